//! What it means that a token server gives no token, in words that help and hold no secret.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::authorization;
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
        let mut words = answer::words(&content_type, self.without_secrets(body).as_bytes());
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
        format!(
            "{host} does not let {who} {wanted}: the repository is private or does not exist, or the credentials \
             ({origin}) are wrong"
        )
    }

    /// What a server says, should it quote what it was sent, in whatever form. Before anything is cut off from it:
    /// half a password is still to be kept.
    fn without_secrets(&self, body: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(body).into_owned();
        let Some(credentials) = self.credentials else { return text };
        let mut forms = Vec::new();
        let secret = match &credentials.identity {
            Identity::Password { username, password } => {
                forms.push(authorization::basic_pair(username, password));
                password
            }
            Identity::RefreshToken(secret) | Identity::RegistryToken(secret) => secret,
        };
        let secret = secret.expose();
        forms.push(Zeroizing::new(secret.to_string()));
        forms.push(Zeroizing::new(form_urlencoded::byte_serialize(secret.as_bytes()).collect()));
        let in_json = serde_json::to_string(secret).map(Zeroizing::new).unwrap_or_default();
        forms.extend(
            in_json.get(1..in_json.len().saturating_sub(1)).map(|inner| Zeroizing::new(inner.to_string())),
        );
        for form in forms.iter().filter(|form| !form.is_empty()) {
            text = text.replace(form.as_str(), "…");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::with_request;
    use super::*;
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
        assert!(user.contains("the credentials (the file) are wrong"), "{user}");
    }

    #[test]
    fn what_a_server_quotes_of_what_it_was_sent_is_left_out() {
        let password = "p\"w &é";
        let quoting = ["p\"w &é", "p\\\"w &é", "p%22w+%26%C3%A9", "dTpwIncgJsOp"];
        for identity in [
            Identity::Password { username: "u".into(), password: Secret::new(password) },
            Identity::RefreshToken(Secret::new(password)),
        ] {
            let is_password = matches!(identity, Identity::Password { .. });
            let credentials = Credentials { identity, origin: "a test".into() };
            for form in &quoting[..if is_password { 4 } else { 3 }] {
                let body = format!("you said {form}, twice: {form}");
                let said = with_request(Some(&credentials), &Scope::pull("a"), |request| {
                    request.without_secrets(body.as_bytes())
                });
                assert_eq!(said, "you said …, twice: …");
            }
        }
    }
}
