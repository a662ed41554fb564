//! [`TokenServer`]: where a registry's Bearer challenge says that tokens are had, and whether to go there.

use url::Url;

use super::challenge::Challenge;
use crate::remote::exchange::{shown, shown_text};

/// Where tokens are had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenServer {
    /// Without user and password; its query, if it has one, is kept.
    pub(super) realm: Url,
    pub(super) service: Option<String>,
}

impl TokenServer {
    /// The one that a Bearer challenge of `registry` names. The error says why it cannot be asked: tokens and
    /// passwords go over plain http only if all else does.
    pub(super) fn of(challenge: &Challenge, registry: &Url) -> Result<Self, String> {
        let realm =
            challenge.parameter("realm").ok_or("its Bearer challenge does not say where tokens are had")?;
        let not_a_url = |why: &str| {
            format!("its Bearer challenge names {:?} as where tokens are had: {why}", shown_text(realm))
        };
        let mut url = Url::parse(realm).map_err(|error| not_a_url(&error.to_string()))?;
        // What is not in a realm cannot be sent, or shown, by mistake.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.set_fragment(None);
        match url.scheme() {
            "https" => {}
            "http" if registry.scheme() == "http" => {}
            "http" => {
                return Err(format!(
                    "it sends us for a token to {}, and credentials must not travel over plain http",
                    shown(&url)
                ));
            }
            _ => return Err(not_a_url("not an http URL")),
        }
        Ok(Self { realm: url, service: challenge.parameter("service").map(str::to_string) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(realm: &str, registry: &str) -> Result<TokenServer, String> {
        let parameters = vec![("realm".to_string(), realm.to_string())];
        let challenge = Challenge { scheme: "bearer".into(), token68: None, parameters };
        TokenServer::of(&challenge, &Url::parse(registry).unwrap())
    }

    #[test]
    fn a_realm_over_plain_http_is_for_registries_over_plain_http() {
        assert!(server("https://auth/token", "https://registry/v2/").is_ok());
        assert!(server("https://auth/token", "http://registry/v2/").is_ok());
        assert!(server("http://auth/token", "http://registry/v2/").is_ok());
        let error = server("http://u:hunter2@auth/token?x=secret", "https://registry/v2/").unwrap_err();
        assert!(error.contains("http://auth/token,"), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_realm_that_is_no_url_is_named() {
        for realm in ["Registry Realm", "/token", "", "ftp://auth/token", "file:///etc/passwd"] {
            let error = server(realm, "http://registry/v2/").unwrap_err();
            assert!(error.contains(&format!("{realm:?}")), "{error}");
        }
        let error = server("ftp://u:hunter2@auth/token?x=hunter2", "http://registry/v2/").unwrap_err();
        assert!(error.contains("ftp://auth/token") && !error.contains("hunter2"), "{error}");
        let none = Challenge { scheme: "bearer".into(), token68: None, parameters: Vec::new() };
        let error = TokenServer::of(&none, &Url::parse("http://registry/").unwrap()).unwrap_err();
        assert!(error.contains("does not say"), "{error}");
    }
}
