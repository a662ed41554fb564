//! A cache to read from, and what was learnt of reaching it.

use crate::error::{Error, chain};
use crate::report::{Event, Reporter};
use std::sync::OnceLock;
use strata_oci::Repository;

/// A cache to read from.
pub struct Mirror {
    /// What the user calls it: its name, or its URL.
    pub name: String,
    /// The cache itself.
    pub repository: Box<dyn Repository>,
    down: OnceLock<String>,
}

impl Mirror {
    /// A cache that was not asked for anything yet.
    pub fn new(name: String, repository: Box<dyn Repository>) -> Self {
        Self { name, repository, down: OnceLock::new() }
    }

    /// Asks the mirror, unless it was found to be out of reach: then the answer is what was said that time. A failure
    /// is reported, and is the error where there is no other mirror to ask; what failed is in `failures`.
    ///
    /// Not a network's slowness but its absence is remembered, lest each of a thousand packages waits for it anew.
    pub(crate) fn ask<T>(
        &self,
        others: bool,
        failures: &mut Vec<(String, String)>,
        reporter: &dyn Reporter,
        question: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(message) = self.down.get() {
            failures.push((self.name.clone(), message.clone()));
            return Ok(None);
        }
        match question() {
            // With one mirror there is nothing to fall back on: its own error says the most.
            Err(error) if others => {
                let message = chain(&error);
                let first = !error.is_unreachable() || self.down.set(message.clone()).is_ok();
                if first {
                    reporter.event(Event::Warning(&format!("mirror {}: {message}", self.name)));
                }
                failures.push((self.name.clone(), message));
                Ok(None)
            }
            answer => answer,
        }
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.repository.url())
    }
}
