//! [`Welcome`]: what this process was let do in a repository.
//!
//! Registries that consist of several machines refuse now and then whom they have let in a moment ago. Whoever was
//! never let in has no reason to insist.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use reqwest::{Method, StatusCode};

use super::auth::Scope;
use super::request::Request;

/// The scopes for which an authorization was taken.
#[derive(Default)]
pub(super) struct Welcome(Mutex<HashSet<Scope>>);

impl Welcome {
    /// Takes note of what came of a request that showed an authorization. True if it is a refusal of what was allowed
    /// before. Not so for HEAD, which some registries allow to nobody, and in whose place GET is tried.
    pub(super) fn note(&self, request: &Request, status: StatusCode) -> bool {
        let mut scopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if status == StatusCode::UNAUTHORIZED {
            return request.exchange.method != Method::HEAD && scopes.contains(&request.scope);
        }
        // Who is told that there is no such thing was let in, too.
        let let_in = status.is_success() || status == StatusCode::NOT_FOUND;
        if let_in && !scopes.contains(&request.scope) {
            scopes.insert(request.scope.clone());
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn only_who_was_let_in_for_the_same_is_refused_by_mistake() {
        let request = |method, scope| Request::new(method, Url::parse("https://h/v2/n/x").unwrap(), scope);
        let welcome = Welcome::default();
        let refused = StatusCode::UNAUTHORIZED;
        assert!(!welcome.note(&request(Method::GET, Scope::pull("n")), refused));
        assert!(!welcome.note(&request(Method::GET, Scope::pull("n")), StatusCode::INTERNAL_SERVER_ERROR));
        assert!(!welcome.note(&request(Method::GET, Scope::pull("n")), refused));
        assert!(!welcome.note(&request(Method::GET, Scope::pull("n")), StatusCode::OK));
        assert!(welcome.note(&request(Method::GET, Scope::pull("n")), refused));
        assert!(!welcome.note(&request(Method::HEAD, Scope::pull("n")), refused));
        assert!(!welcome.note(&request(Method::PUT, Scope::push("n")), refused));
        assert!(!welcome.note(&request(Method::POST, Scope::push("n")), StatusCode::NOT_FOUND));
        assert!(welcome.note(&request(Method::PUT, Scope::push("n")), refused));
    }
}
