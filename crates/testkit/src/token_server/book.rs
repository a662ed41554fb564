//! [`TokenBook`]: random tokens, what they are good for and until when; shared by who gives them and who checks them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Rights;

/// What a token allows with one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The repository's name.
    pub repository: String,
    /// "pull", "push", "delete".
    pub actions: Vec<String>,
}

impl Grant {
    /// From a scope: `repository:NAME:ACTION,ACTION`. Anything else grants nothing.
    pub fn parse(scope: &str) -> Self {
        let mut parts = scope.strip_prefix("repository:").unwrap_or_default().rsplitn(2, ':');
        let actions = parts.next().unwrap_or_default();
        let repository = parts.next().unwrap_or_default().to_string();
        let actions = actions.split(',').filter(|action| !action.is_empty()).map(String::from).collect();
        Self { repository, actions }
    }

    /// What of it somebody may have.
    pub fn limited_to(mut self, rights: Rights) -> Self {
        self.actions.retain(|action| match rights {
            Rights::Nothing => false,
            Rights::Pull => action == "pull",
            Rights::Everything => true,
        });
        self
    }
}

/// What a token is to the registry it is shown to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It allows what is asked for.
    Good,
    /// It is good, but for something else.
    Insufficient,
    /// It was never given, is over, or was revoked.
    Invalid,
}

/// All tokens that are good.
#[derive(Debug, Clone, Default)]
pub struct TokenBook(Arc<Mutex<Tokens>>);

/// What each is good for, and until when.
type Tokens = HashMap<String, (Vec<Grant>, Instant)>;

impl TokenBook {
    /// Makes a token. It says nothing of itself, and has all characters that one may have (RFC 6750 section 2.1).
    pub fn issue(&self, grants: Vec<Grant>, valid_for: Duration) -> String {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(40).collect();
        let token = format!("opaque-._~+/{random}==");
        self.tokens().insert(token.clone(), (grants, Instant::now() + valid_for));
        token
    }

    /// What `token` is to a request that needs each of `wanted`, of which each names one action.
    pub fn check(&self, token: &str, wanted: &[(String, &'static str)]) -> Verdict {
        let tokens = self.tokens();
        let Some((grants, until)) = tokens.get(token) else { return Verdict::Invalid };
        if *until < Instant::now() {
            return Verdict::Invalid;
        }
        let allows = |(repository, action): &(String, &'static str)| {
            grants.iter().any(|g| g.repository == *repository && g.actions.iter().any(|a| a == action))
        };
        if wanted.iter().all(allows) { Verdict::Good } else { Verdict::Insufficient }
    }

    /// No token that was given is good any more.
    pub fn revoke_all(&self) {
        self.tokens().clear();
    }

    /// All tokens that may still be good, for tests that look for them where they must not be.
    pub fn all(&self) -> Vec<String> {
        self.tokens().keys().cloned().collect()
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
