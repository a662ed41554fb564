//! [`Mounts`]: from where blobs may be mounted, as far as has been found out.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The repositories from which the registry, or its token server, did not let us mount. Asking again for each of a
/// thousand layers would give the same answer a thousand times.
#[derive(Default)]
pub(in crate::remote) struct Mounts {
    refused: Mutex<HashSet<String>>,
    /// Whether blobs that are there were mounted, or nothing came of it.
    worked: Mutex<HashMap<String, bool>>,
}

impl Mounts {
    /// Whether it is worth asking for a blob of `repository`.
    pub(super) fn may_ask(&self, repository: &str) -> bool {
        !lock(&self.refused).contains(repository)
    }

    /// It was asked, and not allowed.
    pub(super) fn refused(&self, repository: &str) {
        lock(&self.refused).insert(repository.to_string());
    }

    /// Whether it is worth asking for a blob that `repository` is known to have. A registry that does not mount at all
    /// shows that with the first.
    pub(super) fn may_work(&self, repository: &str) -> bool {
        self.may_ask(repository) && lock(&self.worked).get(repository) != Some(&false)
    }

    /// It was asked for a blob that `repository` is known to have. One that fails where others were mounted is itself the
    /// reason.
    pub(super) fn tried(&self, repository: &str, mounted: bool) {
        let mut worked = lock(&self.worked);
        let known = worked.entry(repository.to_string()).or_insert(mounted);
        *known |= mounted;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_worked_is_not_tried_again() {
        let mounts = Mounts::default();
        assert!(mounts.may_work("a"));
        mounts.tried("a", false);
        assert!(!mounts.may_work("a") && mounts.may_ask("a"));
        mounts.tried("b", true);
        mounts.tried("b", false);
        assert!(mounts.may_work("b"));
        mounts.refused("b");
        assert!(!mounts.may_work("b") && !mounts.may_ask("b"));
    }
}
