//! [`probe`]: what a repository, and whoever asks, can do. Nothing is left behind by asking.

mod directory;
mod known;
mod login;
mod registry;

use serde::Serialize;

pub use self::login::{Login, check_login};
use super::http;
use crate::{Credentials, Error, ErrorKind, Location, RepositoryUrl, Transport};

/// What was found out about a repository.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// The repository.
    pub url: String,
    /// Each thing that was asked, in the order in which they depend on each other.
    pub checks: Vec<Check>,
}

/// One thing that a repository can do or not.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What it is: "reach", "tls", "api", "authentication", "pull", "push", "mount", "delete", "referrers",
    /// "upload chunks", "ranges".
    pub name: &'static str,
    /// Whether it works.
    pub outcome: Outcome,
    /// How that showed, or the error.
    pub detail: String,
    /// What may help, or what to expect.
    pub hint: Option<String>,
    /// What kind of failure it is, for exit codes; only if there was an error.
    #[serde(skip)]
    pub kind: Option<ErrorKind>,
}

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It works.
    Yes,
    /// It is not offered or not allowed.
    No,
    /// It cannot be told.
    Unknown,
    /// Asking for it failed.
    Failed,
}

impl Probe {
    /// The check called `name`, if it was made.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl Check {
    fn new(name: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { name, outcome, detail: detail.into(), hint: None, kind: None }
    }

    /// Of an error: what is denied or not supported does not work, anything else failed.
    fn of_error(name: &'static str, error: &Error) -> Self {
        let outcome = match error.kind() {
            ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Invalid => Outcome::No,
            _ => Outcome::Failed,
        };
        Self { kind: Some(error.kind()), ..Self::new(name, outcome, error.to_string()) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Finds out what the repository at `url` can do for whoever `credentials` are, or the transport's credential files
/// say. What begins an upload is ended again; nothing is put and nothing deleted.
///
/// Checks end where those that follow would say the same: with a registry that cannot be reached there is one.
pub fn probe(url: &RepositoryUrl, transport: &Transport, credentials: Option<Credentials>) -> Probe {
    let checks = match url.location() {
        Location::Layout { directory } => directory::checks(url, directory),
        Location::Registry { https, host, name } => {
            let mut checks = http::block_on(registry::checks(*https, host, name, transport, credentials))
                .unwrap_or_else(|error| vec![Check::of_error("reach", &error)]);
            known::add_hints(host, &mut checks);
            checks
        }
    };
    Probe { url: url.to_string(), checks }
}
