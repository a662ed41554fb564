//! [`Progress`]: how far an upload is, so that it is given up when it does not move, and not after a fixed time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::transport::Timeouts;
use crate::Error;

/// How far an upload is.
pub(super) struct Progress(Mutex<State>);

struct State {
    /// When the connection last took a chunk.
    moved: Instant,
    /// Whether it took the last one.
    all_sent: bool,
    /// Why the file could not be read on. The HTTP client knows only that the body failed.
    failure: Option<Error>,
}

impl Progress {
    /// Of a body with `length` bytes, none of which was sent.
    pub(super) fn new(length: u64) -> Self {
        Self(Mutex::new(State { moved: Instant::now(), all_sent: length == 0, failure: None }))
    }

    /// The connection asks for more bytes, which may be the last: it took those before.
    pub(super) fn advance(&self, last: bool) {
        self.with(|state| {
            state.moved = Instant::now();
            state.all_sent = last;
        });
    }

    /// The connection was opened only now.
    pub(super) fn begin(&self) {
        self.with(|state| state.moved = Instant::now());
    }

    /// The body cannot be read on.
    pub(super) fn fail(&self, error: Error) {
        self.with(|state| state.failure = Some(error));
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.with(|state| state.failure.take())
    }

    /// How long it may still not move; `Err` with the limit when it has not moved for too long.
    pub(super) fn time_left(&self, timeouts: &Timeouts) -> Result<Duration, Duration> {
        let (moved, all_sent) = self.with(|state| (state.moved, state.all_sent));
        let allowed = if all_sent { timeouts.commit } else { timeouts.idle };
        match allowed.checked_sub(moved.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(allowed),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
