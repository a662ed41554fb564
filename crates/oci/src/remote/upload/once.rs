//! [`Uploads`]: each blob is put once, however many threads put it.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Digest;

/// Which blobs the repository has, as far as this process put them there, and which are on their way.
#[derive(Default)]
pub(in crate::remote) struct Uploads {
    states: Mutex<HashMap<Digest, State>>,
    changed: Condvar,
}

#[derive(PartialEq, Eq)]
enum State {
    OnItsWay,
    Present,
}

/// The task of putting a blob. If it is dropped without [`done`](Self::done), the next who waits gets it.
pub(in crate::remote) struct Turn<'a> {
    uploads: &'a Uploads,
    digest: Digest,
    state: Option<State>,
}

impl Uploads {
    /// The task of putting the blob `digest`; `None` if it is there already. Waits while another thread has the task.
    pub(in crate::remote) fn turn(&self, digest: Digest) -> Option<Turn<'_>> {
        let mut states = self.lock();
        loop {
            match states.get(&digest) {
                Some(State::Present) => return None,
                Some(State::OnItsWay) => {
                    states = self.changed.wait(states).unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    states.insert(digest, State::OnItsWay);
                    return Some(Turn { uploads: self, digest, state: None });
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The repository has it.
    pub(in crate::remote) fn done(mut self) {
        self.state = Some(State::Present);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut states = self.uploads.lock();
        match self.state.take() {
            Some(state) => states.insert(self.digest, state),
            None => states.remove(&self.digest),
        };
        drop(states);
        self.uploads.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn of_many_threads_one_does_it_and_after_a_failure_another() {
        let uploads = Uploads::default();
        let (tried, running) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let Some(turn) = uploads.turn(Digest::of(b"x")) else { return };
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    let attempt = tried.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    if attempt == 2 {
                        turn.done();
                    }
                });
            }
        });
        assert_eq!(tried.into_inner(), 3, "two failed, the third did it");
        assert!(uploads.turn(Digest::of(b"y")).is_some(), "others are not concerned");
    }
}
