//! [`TokenRequest`]: asking a token server for a token.
//!
//! With a password or with nobody's name it is a GET, as the distribution project's token specification has it; with
//! a refresh token a POST of RFC 6749 section 6. It is tried again by the rules that hold for registries, and follows
//! redirects by theirs: credentials do not go along to another host.

use std::time::Instant;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::authorization;
use super::scope::Scope;
use super::token_answer::Token;
use super::token_server::TokenServer;
use crate::remote::answer;
use crate::remote::exchange::Exchange;
use crate::remote::http::Connections;
use crate::remote::redirect::Route;
use crate::remote::retry::{Backoff, Failure};
use crate::remote::transport::{Notice, TransportOptions};
use crate::{Credentials, Error, Identity, Secret};

/// The most bytes of a token server's answer that are read.
const ANSWER_LIMIT: usize = 1 << 20;

/// What we call ourselves to a server that speaks OAuth2, which wants a name and knows none in advance.
const CLIENT_ID: &str = "strata";

/// Asks for a token.
pub(super) struct TokenRequest<'a> {
    pub(super) connections: &'a Connections,
    pub(super) options: &'a TransportOptions,
    pub(super) server: &'a TokenServer,
    /// The registry whose tokens they are, for messages.
    pub(super) host: &'a str,
    pub(super) scope: &'a Scope,
    pub(super) credentials: Option<&'a Credentials>,
}

/// The request as it is sent.
struct Message {
    /// What its errors call it, which is without the query.
    exchange: Exchange,
    authorization: Option<HeaderValue>,
    form: Option<Zeroizing<String>>,
}

impl TokenRequest<'_> {
    /// Sends it, again if that may help.
    ///
    /// # Errors
    /// [`Error::TokenRefused`] if the server does not let these credentials have a token for this scope.
    pub(super) async fn send(&self) -> Result<Token, Error> {
        let message = self.message();
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let (error, failure) = match self.attempt(&message).await {
                Ok(token) => return Ok(token),
                Err(failed) => failed,
            };
            let Some(delay) = backoff.after(&failure) else { return Err(backoff.noting(error)) };
            (self.options.listener)(&Notice::Retrying { cause: failure.cause().to_string(), delay });
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&self, message: &Message) -> Result<Token, (Error, Failure)> {
        let exchange = &message.exchange;
        let failed = |error: Error| {
            let failure = Failure::of_error(exchange, &error);
            (error, failure)
        };
        let asked = Instant::now();
        let mut response = self.transmit(message).await.map_err(failed)?;
        let body = self.body(exchange, &mut response).await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            let failure = Failure::of_answer(exchange, status, response.headers(), &body, false);
            return Err((self.refusal(exchange, &response, &body), failure));
        }
        if let Some(page) = answer::html(exchange, "a token", &answer::Head::of(&response), &body) {
            return Err(failed(page));
        }
        Token::parse(&body, asked).map_err(|problem| failed(exchange.protocol(problem)))
    }

    /// One pass through the connection and its redirects, up to the head of the answer.
    async fn transmit(&self, message: &Message) -> Result<Response, Error> {
        let exchange = &message.exchange;
        let mut route = Route::of(exchange, true);
        loop {
            let mut request =
                self.connections.client(route.at_home).request(route.method.clone(), route.url.clone());
            if let Some(authorization) = message.authorization.as_ref().filter(|_| route.at_home) {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if let Some(form) = &message.form {
                if !route.at_home || !route.keeps_body(exchange) {
                    let problem = "redirected to where an identity token must not be taken";
                    return Err(exchange.redirect(problem.to_string()));
                }
                request = request
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.as_bytes().to_vec());
            }
            let idle = self.options.timeouts.idle;
            let response = match tokio::time::timeout(idle, request.send()).await {
                Ok(outcome) => {
                    outcome.map_err(|error| exchange.transport_for(error, &route.url, self.host))?
                }
                Err(_) => return Err(exchange.silence(idle)),
            };
            if !route.follow(exchange, &response)? {
                return Ok(response);
            }
        }
    }

    /// The body of an answer. Of one that is an error what there is of it: that it breaks off must not hide what it
    /// says.
    async fn body(&self, exchange: &Exchange, response: &mut Response) -> Result<Zeroizing<Vec<u8>>, Error> {
        let idle = self.options.timeouts.idle;
        let mut body = Zeroizing::new(Vec::new());
        loop {
            let chunk = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(outcome) => outcome.map_err(|error| exchange.transport(error)),
                Err(_) => Err(exchange.silence(idle)),
            };
            match chunk {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_LIMIT => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                _ if !response.status().is_success() => return Ok(body),
                Ok(Some(_)) => {
                    return Err(exchange.protocol("a token was due, and what comes is too long for one"));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn message(&self) -> Message {
        let service = self.server.service.as_deref();
        let mut url = self.server.realm.clone();
        let identity = self.credentials.map(|credentials| &credentials.identity);
        if let Some(Identity::RefreshToken(token)) = identity {
            let form = Some(refresh_form(token, service, self.scope));
            return Message { exchange: Exchange::new(Method::POST, url), authorization: None, form };
        }
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .extend_pairs(self.scope.texts().iter().map(|scope| ("scope", scope)));
        let authorization = match identity {
            Some(Identity::Password { username, password }) => authorization::basic(username, password),
            _ => None,
        };
        Message { exchange: Exchange::new(Method::GET, url), authorization, form: None }
    }
}

/// The form of RFC 6749 section 6, in which one blank separates scopes.
fn refresh_form(token: &Secret, service: Option<&str>, scope: &Scope) -> Zeroizing<String> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    form.extend_pairs(service.map(|service| ("service", service)));
    form.append_pair("scope", &scope.texts().join(" "));
    form.append_pair("client_id", CLIENT_ID);
    form.append_pair("refresh_token", token.expose());
    Zeroizing::new(form.finish())
}

#[cfg(test)]
pub(super) mod tests {
    use url::Url;

    use super::*;

    /// Uses a request for `scope` from a server that wants a query of its own kept.
    pub(in crate::remote::auth) fn with_request<T>(
        credentials: Option<&Credentials>,
        scope: &Scope,
        use_it: impl FnOnce(&TokenRequest<'_>) -> T,
    ) -> T {
        let realm = Url::parse("https://auth/token?tenant=a%20b").unwrap();
        let options = TransportOptions::default();
        let request = TokenRequest {
            connections: &Connections::of(&realm, &options).unwrap(),
            options: &options,
            server: &TokenServer { realm, service: Some("the service".into()) },
            host: "registry",
            scope,
            credentials,
        };
        use_it(&request)
    }

    #[test]
    fn there_is_one_scope_per_repository_and_the_realms_own_query_is_kept() {
        let message = with_request(None, &Scope::push("a/b").and_pull("c"), |request| request.message());
        assert_eq!(
            message.exchange.url.as_str(),
            "https://auth/token?tenant=a%20b&service=the+service\
             &scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        assert!(message.authorization.is_none(), "nobody's name, for we have none");
        assert_eq!(message.exchange.shown(), "https://auth/token");
    }

    #[test]
    fn a_password_travels_in_a_header_that_does_not_print() {
        let credentials = Credentials::password("user", Secret::new("hunter2"), "a test");
        let message = with_request(Some(&credentials), &Scope::pull("a"), |request| request.message());
        assert_eq!(message.exchange.method, Method::GET);
        assert!(message.form.is_none());
        assert!(message.authorization.unwrap().is_sensitive());
    }

    #[test]
    fn a_refresh_token_travels_in_a_form() {
        let form = refresh_form(&Secret::new("a&b"), Some("s"), &Scope::push("a").and_pull("b"));
        assert_eq!(
            form.as_str(),
            "grant_type=refresh_token&service=s&scope=repository%3Aa%3Apull%2Cpush+repository%3Ab%3Apull\
             &client_id=strata&refresh_token=a%26b"
        );
    }
}
