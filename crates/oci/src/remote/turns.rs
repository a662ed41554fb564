//! [`Turns`]: one at a time for what has the same digest, side by side for the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Digest;

/// A lock for each digest that somebody is busy with.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// The lock of `digest`.
    pub(super) fn of(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&digest).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(digest, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_digest_has_the_same_lock_and_no_lock_is_kept() {
        let turns = Turns::default();
        let first = turns.of(Digest::of(b"a"));
        assert!(Arc::ptr_eq(&first, &turns.of(Digest::of(b"a"))));
        assert!(!Arc::ptr_eq(&first, &turns.of(Digest::of(b"b"))));
        drop(first);
        let _ = turns.of(Digest::of(b"c"));
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
