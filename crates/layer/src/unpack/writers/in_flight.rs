//! How much is on its way from one thread to others.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A number of bytes that may be held at once.
pub(super) struct InFlight {
    limit: usize,
    held: Mutex<usize>,
    freed: Condvar,
}

/// Some of them; given back when dropped.
pub(super) struct Held {
    amount: usize,
    of: Arc<InFlight>,
}

impl InFlight {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(InFlight { limit, held: Mutex::new(0), freed: Condvar::new() })
    }

    /// Waits until `amount` more is allowed. More than the limit is allowed when nothing else is held.
    pub(super) fn take(this: &Arc<Self>, amount: usize) -> Held {
        let held = this.held.lock().unwrap_or_else(PoisonError::into_inner);
        let too_much = |held: &mut usize| *held > 0 && *held + amount > this.limit;
        let held = this.freed.wait_while(held, too_much);
        *held.unwrap_or_else(PoisonError::into_inner) += amount;
        Held { amount, of: Arc::clone(this) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.of.held.lock().unwrap_or_else(PoisonError::into_inner) -= self.amount;
        self.of.freed.notify_one();
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
        assert_eq!(*in_flight.held.lock().unwrap(), 0);
    }
}
