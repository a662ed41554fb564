//! [`Client`]: sends requests to the registry of one repository, as somebody, at a pace, and again if need be.
//!
//! A request goes through: a permit of the host's [`Pace`](super::pace::Pace), authorization, the connection and its
//! redirects, once more with better authorization after a 401, and the decision of [`retry`](super::retry) on
//! whether its failure is worth another attempt.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use reqwest::{Response, StatusCode};
use url::{Origin, Url};

use super::answer;
use super::auth::Authenticator;
use super::exchange::Exchange;
use super::pace::Permit;
use super::reading::{Note, Shown};
use super::recent::RecentlyPut;
use super::redirect::Route;
use super::request::{Request, RequestBody};
use super::retry::{Backoff, Failure};
use super::transport::{Host, Notice, Transport, TransportOptions};
use super::turns::Turns;
use super::welcome::Welcome;
use crate::{Credentials, Error};

/// How often a request is sent again with another authorization. Once is what a token takes that ran out; the next is
/// for registries that refuse a new one by mistake, as those do of which not all machines know yet that it is good.
const REAUTHORIZED: u32 = 2;

/// That an answer refuses what was allowed a moment ago.
#[derive(Clone)]
struct Mistaken;

/// That an answer is not that to the first attempt.
#[derive(Clone)]
struct TriedAgain;

/// Sends requests to the registry of one repository.
pub(super) struct Client {
    host: Host,
    /// The only one that is shown credentials.
    origin: Origin,
    transport: Transport,
    authenticator: Authenticator,
    recent: RecentlyPut,
    welcome: Welcome,
    turns: Turns,
}

impl Client {
    /// A client for `repository` of the registry of `base`, where it is known as `host`.
    pub(super) fn new(
        base: &Url,
        host: &str,
        repository: &str,
        transport: &Transport,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        Ok(Self {
            host: transport.host(base)?,
            origin: base.origin(),
            transport: transport.clone(),
            authenticator: Authenticator::new(base, host, repository, credentials, transport.options()),
            recent: RecentlyPut::default(),
            welcome: Welcome::default(),
            turns: Turns::default(),
        })
    }

    /// Who may put a manifest now.
    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    pub(super) fn options(&self) -> &TransportOptions {
        self.transport.options()
    }

    /// Sends a request until there is an answer that trying again would not better, and gives its head whatever its
    /// status. For requests that may be sent more than once, which is all but those with a stream.
    pub(super) async fn send(&self, request: &Request) -> Result<Response, Error> {
        self.send_counting(request, &mut self.backoff()).await
    }

    /// As [`send`](Self::send), and reads the body of an answer that is a success: that it breaks off is tried again
    /// as well. Of other answers, and of pages for people, the body is left to the caller.
    pub(super) async fn receive(&self, request: &Request, limit: u64) -> Result<(Response, Vec<u8>), Error> {
        let mut backoff = self.backoff();
        loop {
            let mut response = self.send_counting(request, &mut backoff).await?;
            if !response.status().is_success() || answer::Head::of(&response).is_html() {
                return Ok((response, Vec::new()));
            }
            let error = match self.read(&request.exchange, &mut response, limit).await {
                Ok(body) => return Ok((response, body)),
                Err(error) => error,
            };
            let failure = self.silence(&request.exchange, &error);
            if !self.overcame(&failure, &mut backoff).await {
                return Err(backoff.noting(error));
            }
        }
    }

    /// As [`send`](Self::send), but as nobody, whatever the registry says to that.
    pub(super) async fn send_anonymously(&self, request: &Request) -> Result<Response, Error> {
        let mut backoff = self.backoff();
        loop {
            let mut outcome = self.attempt(request, None).await;
            let Some(failure) = self.failed(&request.exchange, &mut outcome).await else { return outcome };
            if !self.overcame(&failure, &mut backoff).await {
                return conclude(outcome, &backoff);
            }
        }
    }

    /// Whether a URL is the registry's: nobody else is shown credentials.
    pub(super) fn is_registry(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// For a message about who we are.
    pub(super) fn tried(&self) -> String {
        self.authenticator.tried()
    }

    /// Whether there are credentials that the registry would take, as far as it has said how it takes them.
    pub(super) fn takes_credentials(&self) -> bool {
        self.authenticator.takes_credentials()
    }

    async fn send_counting(&self, request: &Request, backoff: &mut Backoff) -> Result<Response, Error> {
        loop {
            let mut outcome = self.send_once(request).await;
            if let Ok(response) = &mut outcome
                && backoff.has_failed()
            {
                response.extensions_mut().insert(TriedAgain);
            }
            let Some(failure) = self.failed(&request.exchange, &mut outcome).await else { return outcome };
            if !self.overcame(&failure, backoff).await {
                return conclude(outcome, backoff);
            }
        }
    }

    /// Sends a request; again, and from the beginning of its body, if the registry wants other authorization.
    pub(super) async fn send_once(&self, request: &Request) -> Result<Response, Error> {
        let connections = &self.host.connections;
        let at_home = self.is_registry(&request.exchange.url);
        let mut shown =
            if at_home { self.authenticator.authorization(connections, &request.scope).await? } else { None };
        let mut response = self.attempt(request, shown.as_ref().map(|shown| &shown.value)).await?;
        for _ in 0..REAUTHORIZED {
            // Nobody else is told who we are, nor asked what it takes.
            if response.status() != StatusCode::UNAUTHORIZED || !self.is_registry(response.url()) {
                break;
            }
            let exchange = &request.exchange;
            // A connection whose answer was not read to the end is of no further use.
            let _ = self.beginning(&mut response).await;
            let better = self
                .authenticator
                .answer(connections, exchange, &response, &request.scope, shown.as_ref())
                .await?;
            let Some(better) = better else { break };
            response = self.attempt(request, Some(&better.value)).await?;
            shown = Some(better);
        }
        if let Some(shown) = shown {
            if response.status() != StatusCode::UNAUTHORIZED {
                self.authenticator.accepted(&shown);
            }
            if self.welcome.note(request, response.status()) {
                response.extensions_mut().insert(Mistaken);
            }
        }
        self.recent.note(&request.exchange, response.status());
        Ok(response)
    }

    /// Counts attempts: few, while the registry is taken to be down.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(&self.host.outage.policy(&self.options().retry))
    }

    /// Waits for a failure to pass. False if it is not worth another attempt, or there were enough.
    pub(super) async fn overcame(&self, failure: &Failure, backoff: &mut Backoff) -> bool {
        let Some(delay) = backoff.after(failure) else {
            if failure.is_absence() {
                self.host.outage.begins();
            }
            return false;
        };
        self.pause(delay, failure).await;
        true
    }

    /// How a request failed to which there was no answer, or none that ended.
    pub(super) fn silence(&self, exchange: &Exchange, error: &Error) -> Failure {
        Failure::of_error(exchange, error).while_serving(self.host.pace.served())
    }

    /// How a request failed, if it did: what [`Backoff::after`] wants to know. What was read of the answer for that
    /// is kept with it, so that [`failure`](Self::failure) can still quote it.
    pub(super) async fn failed(
        &self,
        exchange: &Exchange,
        outcome: &mut Result<Response, Error>,
    ) -> Option<Failure> {
        let response = match outcome {
            Ok(response) => response,
            Err(error) => return Some(self.silence(exchange, error)),
        };
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        let body = self.beginning(response).await;
        let mistaken = response.extensions().get::<Mistaken>().is_some();
        let unsettled = mistaken || self.recent.explains(exchange, status, &body);
        let failure = Failure::of_answer(exchange, status, response.headers(), &body, unsettled);
        Some(failure.while_serving(self.host.pace.served()))
    }

    /// Waits before another attempt at what failed, and says so. If the registry wants to be left alone, then by
    /// everybody, and it is said only once.
    async fn pause(&self, delay: Duration, failure: &Failure) {
        let notice = if failure.concerns_everybody() {
            let host = self.host.pace.host().to_string();
            self.host.pace.hold(delay).then_some(Notice::Waiting { host, delay })
        } else {
            Some(Notice::Retrying { cause: failure.cause().to_string(), delay })
        };
        if let Some(notice) = notice {
            (self.options().listener)(&notice);
        }
        tokio::time::sleep(delay).await;
    }

    /// One pass through the connection and its redirects.
    async fn attempt(
        &self,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let permit = self.host.pace.permit().await;
        let mut route = Route::of(&request.exchange, self.is_registry(&request.exchange.url));
        loop {
            let authorization = authorization.filter(|_| route.at_home);
            let mut response = self.transmit(request, &route, authorization).await?;
            if let Some(shown) = authorization {
                response.extensions_mut().insert(Shown(shown.clone()));
            }
            if !route.follow(&request.exchange, &response)? {
                self.mind(&permit, response.status());
                return Ok(response);
            }
            let _ = self.beginning(&mut response).await;
        }
    }

    fn mind(&self, permit: &Permit, status: StatusCode) {
        if !status.is_server_error() {
            self.host.outage.ends();
        }
        match status {
            StatusCode::TOO_MANY_REQUESTS => permit.refused(),
            // Some of the latter mean the rate of requests, too: neither shows that the registry is at work.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {}
            _ if status.is_server_error() => {}
            _ => permit.succeeded(),
        }
    }

    /// Sends a request to where its route has led, and waits for the head of an answer for as long as there is
    /// progress.
    async fn transmit(
        &self,
        request: &Request,
        route: &Route,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let timeouts = &self.options().timeouts;
        let exchange = &request.exchange;
        let mut headers = request.headers.clone();
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let mut builder =
            self.host.connections.client(route.at_home).request(route.method.clone(), route.url.clone());
        let mut progress = None;
        match &request.body {
            _ if !route.keeps_body(exchange) => {
                headers.remove(CONTENT_LENGTH);
            }
            RequestBody::None => {}
            RequestBody::Bytes(bytes) => builder = builder.body(bytes.clone()),
            RequestBody::Stream(stream) => {
                let (body, stream_progress) = stream.open();
                progress = Some(stream_progress);
                headers.insert(CONTENT_LENGTH, stream.length().into());
                builder = builder.body(body);
            }
        }
        let mut sending = std::pin::pin!(builder.headers(headers).send());
        let failed = |error| exchange.transport_at(error, &route.url);
        let Some(progress) = progress else {
            return match tokio::time::timeout(timeouts.idle, sending).await {
                Ok(outcome) => outcome.map_err(failed),
                Err(_) => Err(exchange.silence(timeouts.idle)),
            };
        };
        progress.begin();
        loop {
            let left = progress.time_left(timeouts).map_err(|limit| exchange.silence(limit))?;
            match tokio::time::timeout(left, &mut sending).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(progress.take_failure().unwrap_or_else(|| failed(error))),
                Err(_) => {}
            }
        }
    }
}

/// The outcome of the last attempt, from which on it says how often it was tried.
pub(super) fn conclude(outcome: Result<Response, Error>, backoff: &Backoff) -> Result<Response, Error> {
    let mut response = outcome.map_err(|error| backoff.noting(error))?;
    if let Some(note) = backoff.note() {
        response.extensions_mut().insert(Note(note));
    }
    Ok(response)
}

/// Whether there were attempts before the one that `response` is the answer to.
pub(super) fn was_tried_again(response: &Response) -> bool {
    response.extensions().get::<TriedAgain>().is_some()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread::JoinHandle;

    use reqwest::Method;

    use super::*;
    use crate::remote::auth::Scope;
    use crate::remote::http::block_on;
    use crate::remote::transport::Timeouts;

    /// A server that redirects one request after the other to these targets, or answers those without one; the
    /// requests' heads.
    fn redirecting(listener: TcpListener, targets: Vec<String>) -> JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            let mut heads = Vec::new();
            for answer in targets {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                heads.push(head.join("\n").to_ascii_lowercase());
                let status = match answer.as_str() {
                    "" => "200 OK".to_string(),
                    target => format!("307 Temporary Redirect\r\nLocation: {target}"),
                };
                let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(format!("HTTP/1.1 {status}\r\n{rest}").as_bytes()).unwrap();
            }
            heads
        })
    }

    fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        (listener, base)
    }

    #[test]
    fn credentials_stay_with_the_registry_for_however_many_redirects() {
        let ((home, home_url), (away, away_url)) = (listener(), listener());
        // At the registry from one path to another; then to its storage; and that redirects within itself.
        let home = redirecting(home, vec![format!("{home_url}/second"), format!("{away_url}/first")]);
        let away = redirecting(away, vec![format!("{away_url}/second"), String::new()]);
        let base = Url::parse(&format!("{home_url}/v2/n/")).unwrap();
        let client = Client::new(&base, "h", "n", &Transport::default(), None).unwrap();
        let request = Request::new(Method::GET, base, Scope::pull("n"));
        let authorization = HeaderValue::from_static("Bearer secret");
        let response = block_on(client.attempt(&request, Some(&authorization))).unwrap().unwrap();
        assert_eq!(response.url().as_str(), format!("{away_url}/second"));
        assert!(home.join().unwrap().iter().all(|head| head.contains("authorization: bearer secret")));
        let away = away.join().unwrap();
        assert_eq!(away.len(), 2);
        for head in away {
            assert!(!head.contains("authorization") && !head.contains("secret"), "{head}");
            assert!(!head.contains("referer"), "{head}");
        }
    }

    #[test]
    fn an_error_that_comes_a_byte_at_a_time_is_not_waited_for() {
        let (listener, url) = listener();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            stream.write_all(b"HTTP/1.1 400 No\r\nContent-Length: 60000\r\n\r\n").unwrap();
            // Until the client goes away.
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let base = Url::parse(&format!("{url}/v2/n/")).unwrap();
        let timeouts = Timeouts { idle: Duration::from_millis(400), ..Timeouts::default() };
        let transport = Transport::new(TransportOptions { timeouts, ..TransportOptions::default() });
        let client = Client::new(&base, "h", "n", &transport, None).unwrap();
        let request = Request::new(Method::GET, base, Scope::pull("n"));
        let error = block_on(async {
            let response = client.send(&request).await.unwrap();
            client.failure(&request.exchange, response).await
        });
        assert!(error.unwrap().to_string().contains("400 Bad Request: xxx"));
        server.join().unwrap();
    }

    #[test]
    fn credentials_reach_the_registry_and_no_upload_elsewhere() {
        for at_home in [true, false] {
            let ((home, home_url), (away, away_url)) = (listener(), listener());
            let (server, url) = if at_home { (home, &home_url) } else { (away, &away_url) };
            let server = redirecting(server, vec![String::new()]);
            let base = Url::parse(&format!("{home_url}/v2/n/")).unwrap();
            let client = Client::new(&base, "h", "n", &Transport::default(), None).unwrap();
            let request =
                Request::new(Method::PUT, Url::parse(&format!("{url}/u")).unwrap(), Scope::push("n"));
            let authorization = HeaderValue::from_static("Bearer secret");
            block_on(client.attempt(&request, Some(&authorization))).unwrap().unwrap();
            assert_eq!(server.join().unwrap()[0].contains("authorization: bearer secret"), at_home);
        }
    }
}
