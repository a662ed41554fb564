//! [`Outage`]: that a registry was given up on a moment ago.
//!
//! A push asks for many things. If the registry is down, the first few requests find that out, with all their attempts;
//! the others need not find it out again, each for itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::transport::RetryPolicy;

/// How long a registry is taken to be down after it was given up on, unless it answers.
const LASTS: Duration = Duration::from_secs(10);

/// Attempts at one request meanwhile: a second one, for it may just be over.
const ATTEMPTS: u32 = 2;

/// Whether a registry is taken to be down.
#[derive(Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// A request was given up on, for there was no answer, or none but that the registry is broken.
    pub(super) fn begins(&self) {
        self.set(Some(Instant::now()));
    }

    /// The registry has answered.
    pub(super) fn ends(&self) {
        self.set(None);
    }

    /// How often to try, as things are.
    pub(super) fn policy(&self, usual: &RetryPolicy) -> RetryPolicy {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match since {
            Some(since) if since.elapsed() < LASTS => {
                RetryPolicy { attempts: usual.attempts.min(ATTEMPTS), ..*usual }
            }
            _ => *usual,
        }
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}
