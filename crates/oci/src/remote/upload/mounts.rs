//! [`Mounts`]: from where blobs may be mounted, as far as has been found out.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The repositories from which the registry, or its token server, did not let us mount. Asking again for each of a
/// thousand layers would give the same answer a thousand times.
#[derive(Default)]
pub(in crate::remote) struct Mounts(Mutex<HashSet<String>>);

impl Mounts {
    /// Whether it is worth asking for a blob of `repository`.
    pub(super) fn may_ask(&self, repository: &str) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(repository)
    }

    /// It was asked, and not allowed.
    pub(super) fn refused(&self, repository: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(repository.to_string());
    }
}
