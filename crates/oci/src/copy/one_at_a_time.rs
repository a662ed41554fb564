//! [`OneAtATime`]: of the threads that copy the same blob to the same place, one does it at a time.

use std::collections::HashSet;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::{Digest, RepositoryUrl};

/// What is being copied by this process, and where to.
static UNDER_WAY: LazyLock<Mutex<HashSet<(RepositoryUrl, Digest)>>> = LazyLock::new(Mutex::default);
/// Told whenever something is there, or has failed.
static OVER: Condvar = Condvar::new();

/// The turn to copy a blob, which is over when this is dropped. Who comes next looks for himself whether it is there.
pub(super) struct OneAtATime {
    key: (RepositoryUrl, Digest),
}

impl OneAtATime {
    /// Waits while another thread has the turn, whatever handle of the repository it uses.
    pub(super) fn wait(to: &RepositoryUrl, digest: &Digest) -> Self {
        let key = (to.clone(), *digest);
        let mut under_way = lock();
        while under_way.contains(&key) {
            under_way = OVER.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
        under_way.insert(key.clone());
        Self { key }
    }
}

impl Drop for OneAtATime {
    fn drop(&mut self) {
        lock().remove(&self.key);
        OVER.notify_all();
    }
}

fn lock() -> MutexGuard<'static, HashSet<(RepositoryUrl, Digest)>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}
