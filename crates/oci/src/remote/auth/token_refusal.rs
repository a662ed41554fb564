//! What it means that a token server gives no token, in words that help and hold no secret.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};

use super::redaction;
use super::token::TokenRequest;
use crate::error::Status;
use crate::remote::answer;
use crate::remote::exchange::Exchange;
use crate::remote::retry;
use crate::{Error, Identity};

impl TokenRequest<'_> {
    /// The error that an answer is.
    pub(super) fn refusal(&self, exchange: &Exchange, response: &Response, body: &[u8]) -> Error {
        let (method, url, status) = (exchange.verb(), exchange.shown(), Status(response.status()));
        let content_type = answer::header(response, CONTENT_TYPE).unwrap_or_default();
        let mut words = answer::words(&content_type, &self.without_secrets(body));
        let by_refresh_token = exchange.method == Method::POST;
        match response.status() {
            StatusCode::FORBIDDEN if retry::wants_fewer(body) => {
                Error::Throttled { method, url, status, words }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Error::TokenRefused { method, url, status, words, refusal: self.who_may_not_do_what() }
            }
            // RFC 6749 section 5.2, for a refresh token that is not good any more.
            StatusCode::BAD_REQUEST if by_refresh_token && words.contains("invalid_grant") => {
                Error::TokenRefused { method, url, status, words, refusal: self.who_may_not_do_what() }
            }
            StatusCode::TOO_MANY_REQUESTS => Error::Throttled { method, url, status, words },
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if by_refresh_token => {
                words.push_str(": this server takes no identity tokens; log in with a password");
                Error::Status { method, url, status, words }
            }
            _ => Error::Status { method, url, status, words },
        }
    }

    /// For a message: what it means that there is no token for us.
    fn who_may_not_do_what(&self) -> String {
        let (host, wanted) = (self.host, self.scope.described());
        // Whoever logs in asks for no repository yet.
        let may_be = match wanted.is_empty() {
            true => "",
            false => "the repository is private or does not exist, or ",
        };
        let wanted = if wanted.is_empty() { "in" } else { &wanted };
        let Some(credentials) = self.credentials else {
            return format!(
                "{host} does not let anybody {wanted} without credentials: the repository is private or does not \
                 exist, and no credentials are configured for it (strata login {host})"
            );
        };
        let who = match &credentials.identity {
            Identity::Password { username, .. } => username.as_str(),
            Identity::RefreshToken(_) | Identity::RegistryToken(_) => "the owner of this token",
        };
        let origin = &credentials.origin;
        format!("{host} does not let {who} {wanted}: {may_be}the credentials ({origin}) are wrong")
    }

    /// What a server says, should it quote what it was sent.
    fn without_secrets(&self, body: &[u8]) -> Vec<u8> {
        match self.credentials.map(|credentials| &credentials.identity) {
            None => body.to_vec(),
            Some(Identity::Password { username, password }) => {
                redaction::of_password(username, password, body)
            }
            Some(Identity::RefreshToken(secret) | Identity::RegistryToken(secret)) => {
                redaction::of_secret(secret, body)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::with_request;
    use crate::remote::auth::Scope;
    use crate::{Credentials, Secret};

    #[test]
    fn a_refusal_says_who_may_not_do_what() {
        let (pull, push) = (Scope::pull("org/cache"), Scope::push("org/cache"));
        let nobody = with_request(None, &pull, |request| request.who_may_not_do_what());
        assert!(nobody.contains("registry does not let anybody pull from org/cache"), "{nobody}");
        assert!(nobody.contains("strata login registry"), "{nobody}");
        let credentials = Credentials::password("user", Secret::new("hunter2"), "the file");
        let user = with_request(Some(&credentials), &push, |request| request.who_may_not_do_what());
        assert!(user.contains("registry does not let user push to org/cache"), "{user}");
        assert!(user.contains("does not exist, or the credentials (the file) are wrong"), "{user}");
        let login = Scope::default();
        let user = with_request(Some(&credentials), &login, |request| request.who_may_not_do_what());
        assert_eq!(user, "registry does not let user in: the credentials (the file) are wrong");
    }
}
