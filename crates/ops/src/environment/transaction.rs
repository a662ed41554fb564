//! The lock of an environment: who changes its files holds it, Spack too.

use crate::error::Error;
use crate::report::{Event, Reporter};
use std::path::{Path, PathBuf};
use std::time::Duration;
use strata_store::lock::{ByteRange, acquire, try_acquire};
use strata_store::{LockGuard, LockKind, StoreError, Watcher};

/// How long it is waited for others. Who makes an environment concrete holds the lock all the while.
const PATIENCE: Duration = Duration::from_secs(600);

/// Below the environment, Spack's own directory in it.
const DIRECTORY: &str = ".spack-env";
const LOCK: &str = "transaction_lock";

/// The right to change the files of an environment. Read them after it began.
#[derive(Debug)]
#[must_use = "the lock is let go when the transaction is dropped"]
pub struct Transaction {
    _guard: Option<LockGuard>,
}

impl Transaction {
    /// Waits until nobody else changes the environment in `directory`. Without `locks`, nothing is waited for.
    ///
    /// # Errors
    /// If it takes too long, or nothing may be written in `directory`.
    pub fn begin(directory: &Path, locks: bool, reporter: &dyn Reporter) -> Result<Self, Error> {
        if !locks {
            return Ok(Self { _guard: None });
        }
        let path = lock_file(directory)?;
        let failed = |error| Error::Store(StoreError::Lock(error));
        let guard = match try_acquire(&path, ByteRange::WHOLE_FILE, LockKind::Write).map_err(failed)? {
            Some(guard) => guard,
            None => {
                let text = format!("waiting for whoever changes the environment {}", directory.display());
                reporter.event(Event::Warning(&text));
                acquire(&path, ByteRange::WHOLE_FILE, LockKind::Write, Some(PATIENCE), &Watcher::default())
                    .map_err(failed)?
            }
        };
        Ok(Self { _guard: Some(guard) })
    }
}

/// Where the lock is; its directory is made.
fn lock_file(directory: &Path) -> Result<PathBuf, Error> {
    let own = directory.join(DIRECTORY);
    // An environment that is not there is not made for its lock.
    match std::fs::create_dir(&own) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io(&own, error)),
        _ => Ok(own.join(LOCK)),
    }
}
