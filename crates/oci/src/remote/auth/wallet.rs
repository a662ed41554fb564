//! [`Wallet`]: the credentials for one repository, looked up once, and only when a registry asks for some.
//!
//! Credential helpers give out passwords that are good for some hours (those of Amazon, Google and Azure do), and a
//! push may take longer. So credentials that were accepted once and are refused later are looked up again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;

use super::authorization::{self, Authorization, next_serial};
use super::flight::{Flight, Outcome};
use crate::{CredentialStore, Credentials, Error, Identity};

/// The credentials for one repository.
pub(super) struct Wallet {
    source: Source,
    held: Mutex<Option<Flight<Option<Arc<Held>>>>>,
}

/// Where credentials are from.
#[derive(Clone)]
enum Source {
    Given(Credentials),
    Store { store: CredentialStore, host: String, repository: String },
}

/// Credentials that were found.
pub(super) struct Held {
    pub(super) credentials: Credentials,
    serial: u64,
    /// Whether somebody accepted them.
    accepted: AtomicBool,
}

impl Wallet {
    /// With `given` credentials, else with those that `store` has for `repository` of `host`.
    pub(super) fn new(
        host: &str,
        repository: &str,
        given: Option<Credentials>,
        store: CredentialStore,
    ) -> Self {
        let (host, repository) = (host.to_string(), repository.to_string());
        let source = given.map_or(Source::Store { store, host, repository }, Source::Given);
        Self { source, held: Mutex::default() }
    }

    /// The credentials, if there are any.
    pub(super) async fn credentials(&self) -> Outcome<Option<Arc<Held>>> {
        let flight = self.with_held(|held| {
            // A helper that failed may be asked again, by whoever comes after those that waited for it.
            if held.as_ref().is_none_or(|flight| matches!(flight.landed(), Some(Err(_)))) {
                *held = Some(Flight::new(self.source.clone().look_up()));
            }
            held.clone()
        });
        match flight {
            Some(flight) => flight.outcome().await,
            None => Ok(None),
        }
    }

    /// The credentials that were found already.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.with_held(|held| held.as_ref()?.landed()?.as_ref().ok()?.clone())
    }

    /// Has credentials that are refused looked up again, if they were accepted before; false if they never were.
    pub(super) fn renew(&self, refused: &Held) -> bool {
        if !refused.accepted.load(Ordering::SeqCst) {
            return false;
        }
        self.with_held(|held| {
            let current = held.as_ref().and_then(|flight| flight.landed()?.as_ref().ok()?.clone());
            // Another request may have had them renewed since.
            if current.is_some_and(|current| current.serial == refused.serial) {
                *held = None;
            }
        });
        true
    }

    fn with_held<T>(&self, use_it: impl FnOnce(&mut Option<Flight<Option<Arc<Held>>>>) -> T) -> T {
        use_it(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source {
    async fn look_up(self) -> Outcome<Option<Arc<Held>>> {
        let found = match self {
            Self::Given(credentials) => Some(credentials),
            // Files and helpers block.
            Self::Store { store, host, repository } => {
                match tokio::task::spawn_blocking(move || store.lookup(&host, &repository)).await {
                    Ok(found) => found.map_err(Error::Credentials)?,
                    Err(stopped) => return Err(Error::Client { cause: stopped.to_string() }.into()),
                }
            }
        };
        Ok(found.map(|credentials| Arc::new(Held::new(credentials))))
    }
}

impl Held {
    fn new(credentials: Credentials) -> Self {
        Self { credentials, serial: next_serial(), accepted: AtomicBool::new(false) }
    }

    /// What shows them to the registry itself, which an OAuth2 refresh token cannot do.
    pub(super) fn authorization(&self) -> Option<Authorization> {
        let value: Option<HeaderValue> = match &self.credentials.identity {
            Identity::Password { username, password } => authorization::basic(username, password),
            Identity::RegistryToken(token) => authorization::bearer(token),
            Identity::RefreshToken(_) => None,
        };
        Some(Authorization { value: value?, serial: self.serial, fresh: false })
    }

    pub(super) fn is(&self, authorization: &Authorization) -> bool {
        self.serial == authorization.serial
    }

    pub(super) fn accept(&self) {
        self.accepted.store(true, Ordering::SeqCst);
    }

    /// For a message: `as USER (from ORIGIN)`.
    pub(super) fn described(&self) -> String {
        let origin = &self.credentials.origin;
        match &self.credentials.identity {
            Identity::Password { username, .. } => format!("as {username} (from {origin})"),
            Identity::RefreshToken(_) => format!("with the identity token from {origin}"),
            Identity::RegistryToken(_) => format!("with the registry token from {origin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn wallet() -> Wallet {
        let given = Credentials::password("user", Secret::new("hunter2"), "a test");
        Wallet::new("host", "name", Some(given), CredentialStore::empty())
    }

    #[tokio::test]
    async fn only_credentials_that_were_accepted_once_are_looked_up_again() {
        let wallet = wallet();
        assert!(wallet.held().is_none(), "nobody asked yet");
        let first = wallet.credentials().await.unwrap().unwrap();
        assert!(!wallet.renew(&first));
        first.accept();
        assert!(wallet.renew(&first));
        let second = wallet.credentials().await.unwrap().unwrap();
        assert_ne!(first.serial, second.serial);
        // A late one, whose request was sent with the first ones too, gets those that are new already.
        assert!(wallet.renew(&first));
        assert_eq!(wallet.credentials().await.unwrap().unwrap().serial, second.serial);
    }

    #[tokio::test]
    async fn a_store_without_any_has_none() {
        let wallet = Wallet::new("host", "name", None, CredentialStore::empty());
        assert!(wallet.credentials().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn they_are_described_without_the_secret() {
        let held = wallet().credentials().await.unwrap().unwrap();
        assert_eq!(held.described(), "as user (from a test)");
        assert!(!format!("{:?}", held.credentials).contains("hunter2"));
    }
}
