//! [`Welcome`]: what this process was let do in a repository.
//!
//! Registries that consist of several machines refuse now and then whom they have let in a moment ago. Whoever was
//! never let in has no reason to insist; nor has who was let in long ago, for rights are also taken away, and passwords
//! that are shown again and again after that get accounts locked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};

use super::auth::Scope;
use super::request::Request;

/// For how long a refusal may be a mistake.
const WINDOW: Duration = Duration::from_secs(30);

/// The scopes for which an authorization was taken, and when that last was so.
#[derive(Default)]
pub(super) struct Welcome(Mutex<HashMap<Scope, Instant>>);

impl Welcome {
    /// Takes note of what came of a request that showed an authorization. True if it is a refusal of what was allowed a
    /// moment ago. Not so for HEAD, which some registries allow to nobody, and in whose place GET is tried.
    pub(super) fn note(&self, request: &Request, status: StatusCode) -> bool {
        self.note_at(Instant::now(), request, status)
    }

    fn note_at(&self, now: Instant, request: &Request, status: StatusCode) -> bool {
        let mut scopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if status == StatusCode::UNAUTHORIZED {
            let let_in = scopes.get(&request.scope);
            return request.exchange.method != Method::HEAD
                && let_in.is_some_and(|last| now.saturating_duration_since(*last) < WINDOW);
        }
        // Who is told that there is no such thing was let in, too.
        let let_in = status.is_success() || status == StatusCode::NOT_FOUND;
        if let_in {
            match scopes.get_mut(&request.scope) {
                Some(last) => *last = now,
                None => drop(scopes.insert(request.scope.clone(), now)),
            }
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

    #[test]
    fn who_was_let_in_long_ago_does_not_insist() {
        let request = Request::new(Method::GET, Url::parse("https://h/v2/n/x").unwrap(), Scope::pull("n"));
        let (welcome, begun) = (Welcome::default(), Instant::now());
        let refused = StatusCode::UNAUTHORIZED;
        welcome.note_at(begun, &request, StatusCode::OK);
        assert!(welcome.note_at(begun + WINDOW / 2, &request, refused));
        assert!(!welcome.note_at(begun + WINDOW, &request, refused));
        welcome.note_at(begun + WINDOW, &request, StatusCode::OK);
        assert!(welcome.note_at(begun + WINDOW * 3 / 2, &request, refused), "each time counts");
    }
}
