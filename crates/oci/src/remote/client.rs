//! The HTTP client, the runtime it runs on, and one exchange of request and answer.

use std::error::Error as _;
use std::fmt::Display;
use std::future::Future;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, redirect};
use tokio::runtime::Runtime;
use url::{Host, Url};

use super::{Timeouts, answer};
use crate::Error;

/// The most bytes of an error's document that are read.
const ERROR_LIMIT: u64 = 64 << 10;

/// How many redirects are followed: registries redirect blobs once, to their storage.
const REDIRECTS: usize = 10;

/// Waits on the calling thread for what runs on this module's runtime.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    Ok(runtime()?.block_on(future))
}

/// The process's one runtime for network traffic. Two threads: they only move bytes.
pub(super) fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("strata-network")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|cause| Error::Client { cause: cause.clone() })
}

pub(super) struct Client {
    http: reqwest::Client,
    pub(super) timeouts: Timeouts,
}

impl Client {
    pub(super) fn new(base: &Url, timeouts: Timeouts) -> Result<Self, Error> {
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("strata/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(timeouts.connect)
                .redirect(redirect::Policy::custom(follow));
            // A proxy cannot reach this machine's own loopback.
            if is_loopback(base) { builder.no_proxy() } else { builder }
        };
        let http = builder().build().or_else(|error| {
            // Containers without any certificates are usual. Plain http does not need them; where it is redirected
            // to https all the same, no certificate is trusted and the connection fails.
            if base.scheme() == "http" { builder().tls_certs_only([]).build() } else { Err(error) }
        });
        let http = http.map_err(|error| Error::Client { cause: chain(&error) })?;
        Ok(Self { http, timeouts })
    }

    /// Sends a request without a body to speak of, and waits for the head of the answer, whatever its status.
    pub(super) async fn send(
        &self,
        exchange: &Exchange,
        prepare: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let sending = prepare(self.request(exchange)).send();
        match tokio::time::timeout(self.timeouts.idle, sending).await {
            Ok(outcome) => outcome.map_err(|error| exchange.transport(error)),
            Err(_) => Err(exchange.silence(self.timeouts.idle)),
        }
    }

    pub(super) fn request(&self, exchange: &Exchange) -> RequestBuilder {
        self.http.request(exchange.method.clone(), exchange.url.clone())
    }

    /// The whole body of an answer, if it has no more than `limit` bytes.
    pub(super) async fn body(
        &self,
        exchange: &Exchange,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let chunk = match tokio::time::timeout(self.timeouts.idle, response.chunk()).await {
                Ok(outcome) => outcome.map_err(|error| exchange.transport(error))?,
                Err(_) => return Err(exchange.silence(self.timeouts.idle)),
            };
            let Some(chunk) = chunk else { return Ok(body) };
            let size = body.len() as u64 + chunk.len() as u64;
            if size > limit {
                return Err(Error::TooLarge { location: exchange.shown(), size, limit });
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// The error that an answer is, with the registry's own words if they can be had.
    pub(super) async fn failure(&self, exchange: &Exchange, response: Response) -> Error {
        let head = answer::Head::of(&response);
        let body = self.beginning(response).await;
        answer::failure(exchange, &head, &body)
    }

    /// An answer that is not a page for people; that is an error, with the page's first words.
    pub(super) async fn refuse_html(
        &self,
        exchange: &Exchange,
        wanted: &'static str,
        response: Response,
    ) -> Result<Response, Error> {
        if !answer::Head::of(&response).is_html() {
            return Ok(response);
        }
        let head = answer::Head::of(&response);
        let body = self.beginning(response).await;
        Err(answer::html(exchange, wanted, &head, &body)
            .unwrap_or_else(|| answer::failure(exchange, &head, &body)))
    }

    /// As much of a body as arrives: that it breaks off must not hide what it says.
    async fn beginning(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        while (body.len() as u64) < ERROR_LIMIT {
            match tokio::time::timeout(self.timeouts.idle, response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                _ => break,
            }
        }
        body
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Follows redirects, but never from https to http.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("too many redirects");
    }
    if attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https") {
        return attempt.error("refusing to follow a redirect from https to http");
    }
    attempt.follow()
}

/// A request that was made: what its errors name.
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) url: Url,
}

impl Exchange {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url }
    }

    /// The URL without what must not get into a log: a query holds upload state or a signature.
    pub(super) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // Only URLs with a host can have these, and only with one can they be removed: nothing to report.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.to_string()
    }

    pub(super) fn verb(&self) -> &'static str {
        match self.method {
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            _ => "GET",
        }
    }

    pub(super) fn transport(&self, error: reqwest::Error) -> Error {
        let cause = cause(error);
        Error::Transport { method: self.verb(), url: self.shown(), cause }
    }

    pub(super) fn silence(&self, waited: Duration) -> Error {
        let cause = format!("nothing was heard for {} s", waited.as_secs_f32());
        Error::Transport { method: self.verb(), url: self.shown(), cause }
    }

    pub(super) fn protocol(&self, problem: impl Display) -> Error {
        Error::Protocol { method: self.verb(), url: self.shown(), problem: problem.to_string() }
    }

    /// A header's value as the type it should be.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, value: &str) -> Result<T, Error> {
        value.trim().parse().map_err(|_| self.protocol(format!("its {name} is {value:?}")))
    }

    /// What a header of the answer points at. A registry behind a proxy that ends TLS may point at http: on the same
    /// host the scheme is put right, and another host is not followed there.
    pub(super) fn pointed_at(&self, name: &str, target: &str, answered_by: &Url) -> Result<Url, Error> {
        let bad = |why: &str| self.protocol(format!("its {name} header is {target:?}: {why}"));
        let mut url = answered_by.join(target).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("not an http URL"));
        }
        if self.url.scheme() == "https" && url.scheme() == "http" {
            if url.host() != self.url.host() {
                return Err(bad("refusing to go from https to http"));
            }
            let port = if url.port().is_some() { url.port() } else { self.url.port() };
            if url.set_scheme("https").is_err() || url.set_port(port).is_err() {
                return Err(bad("refusing to go from https to http"));
            }
        }
        url.set_fragment(None);
        Ok(url)
    }
}

/// Why a transfer failed, in full but without the URL: after a redirect it may be a signed one.
pub(super) fn cause(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

/// The messages of an error and its sources, each once.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let message = inner.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(url: &str) -> Exchange {
        Exchange::new(Method::POST, Url::parse(url).unwrap())
    }

    fn pointed_at(from: &str, target: &str) -> Result<String, Error> {
        let exchange = exchange(from);
        exchange.pointed_at("Location", target, &exchange.url).map(|url| url.to_string())
    }

    #[test]
    fn relative_and_absolute_locations_are_taken_as_they_are() {
        for (from, target, expected) in [
            ("http://h:5/v2/n/blobs/uploads/", "/v2/x?a=&b=%2F%2f", "http://h:5/v2/x?a=&b=%2F%2f"),
            ("http://h:5/v2/n/blobs/uploads/", "7?state=a+b", "http://h:5/v2/n/blobs/uploads/7?state=a+b"),
            ("http://h:5/v2/n/blobs/uploads/", "https://s3/x?sig=%3D", "https://s3/x?sig=%3D"),
            ("https://h/v2/", "https://other/x#fragment", "https://other/x"),
        ] {
            assert_eq!(pointed_at(from, target).unwrap(), expected);
        }
    }

    #[test]
    fn https_is_never_left() {
        assert_eq!(pointed_at("https://h/v2/", "http://h/x?a=b").unwrap(), "https://h/x?a=b");
        assert_eq!(pointed_at("https://h:8443/v2/", "http://h/x").unwrap(), "https://h:8443/x");
        for target in ["http://other/x", "ftp://h/x", "file:///etc/passwd", "http://[bad"] {
            let error = pointed_at("https://h/v2/", target).unwrap_err();
            assert!(error.to_string().contains(target), "{error}");
        }
    }

    #[test]
    fn what_is_shown_has_no_query() {
        assert_eq!(exchange("https://u:p@h/x?signature=secret#f").shown(), "https://h/x");
    }

    #[test]
    fn loopback_is_recognised() {
        for (url, loopback) in [
            ("http://localhost:5000/", true),
            ("http://127.8.9.1/", true),
            ("http://[::1]:5000/", true),
            ("http://10.0.0.1/", false),
            ("https://localhost.example.org/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
        }
    }
}
