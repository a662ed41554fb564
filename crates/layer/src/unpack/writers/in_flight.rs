//! How much is on its way from one thread to others.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A number of bytes that may be held at once.
pub(super) struct InFlight {
    limit: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    held: usize,
    /// Whether somebody waits: waking nobody would be a system call all the same.
    waiting: bool,
}

/// Some of them; given back when dropped.
pub(super) struct Held {
    amount: usize,
    of: Arc<InFlight>,
}

impl InFlight {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(InFlight { limit, state: Mutex::default(), freed: Condvar::new() })
    }

    /// Waits until `amount` more is allowed. More than the limit is allowed when nothing else is held.
    pub(super) fn take(this: &Arc<Self>, amount: usize) -> Held {
        let mut state = this.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.held > 0 && state.held + amount > this.limit {
            state.waiting = true;
            state = this.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.held += amount;
        Held { amount, of: Arc::clone(this) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.of.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held -= self.amount;
        if std::mem::take(&mut state.waiting) {
            self.of.freed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_is_held_than_allowed_but_one_large_piece() {
        let in_flight = InFlight::new(10);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let (sender, receiver) = crossbeam_channel::unbounded::<(usize, Held)>();
            let now = &now;
            scope.spawn(move || {
                for (amount, held) in receiver {
                    now.fetch_sub(amount, Ordering::SeqCst);
                    drop(held);
                }
            });
            for amount in (0..200).map(|n| n % 7) {
                let held = InFlight::take(&in_flight, amount);
                most.fetch_max(now.fetch_add(amount, Ordering::SeqCst) + amount, Ordering::SeqCst);
                sender.send((amount, held)).unwrap();
            }
        });
        assert!(most.into_inner() <= 10);
        assert_eq!(InFlight::take(&in_flight, 11).amount, 11);
        assert_eq!(in_flight.state.lock().unwrap().held, 0);
    }
}
