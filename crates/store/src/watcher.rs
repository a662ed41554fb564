//! [`Watcher`]: who is told when a store keeps us waiting, or is used in another way than it should be.
//!
//! A lock that somebody else holds and a file system that does not answer look the same from outside: nothing happens.
//! Whoever opens a store can give its [`LockSettings`](crate::LockSettings) a watcher and say which of them it is.

use crate::lock::{Holder, LockKind};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// After how long a lock that others hold is worth a word.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// After how long a file system that does not answer is worth a word.
const FILE_SYSTEM_PATIENCE: Duration = Duration::from_secs(2);
/// How long after each word the next one follows.
pub(crate) const REMINDER: Duration = Duration::from_secs(60);

/// What keeps us waiting, or what was done instead.
#[derive(Debug)]
pub enum Delay<'a> {
    /// Somebody else holds a lock.
    Lock {
        /// The lock file.
        path: &'a Path,
        /// What is wanted.
        kind: LockKind,
        /// Who holds it, as far as it is known.
        holder: Option<Holder>,
        /// How long it was tried.
        waited: Duration,
    },
    /// A file or directory is asked for, and the file system does not answer.
    FileSystem {
        /// The file or directory.
        path: &'a Path,
        /// For how long.
        waited: Duration,
    },
    /// The file system refuses locks, and the file was read without one.
    NotLocked {
        /// The lock file.
        path: &'a Path,
        /// What the system said.
        source: &'a io::Error,
    },
}

impl fmt::Display for Delay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock { path, kind, holder, waited } => {
                write!(f, "waiting for a {kind} lock on {} ({} s)", path.display(), waited.as_secs())?;
                holder.as_ref().map_or(Ok(()), |holder| write!(f, ", which {holder} holds"))
            }
            Self::FileSystem { path, waited } => {
                let seconds = waited.as_secs();
                write!(
                    f,
                    "waiting for the file system of {}, which has not answered for {seconds} s",
                    path.display()
                )
            }
            Self::NotLocked { path, source } => {
                write!(f, "reading without a lock, since {} cannot be locked: {source}", path.display())
            }
        }
    }
}

/// What is done with a delay.
type Tell = dyn Fn(&Delay<'_>) + Send + Sync;

/// Receives [`Delay`]s, from several threads at once. The default one tells nobody.
#[derive(Clone, Default)]
pub struct Watcher(Option<Arc<Tell>>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watcher").field(&self.0.is_some()).finish()
    }
}

impl Watcher {
    /// One that calls `tell`.
    pub fn new(tell: impl Fn(&Delay<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Tells it.
    pub fn tell(&self, delay: &Delay<'_>) {
        if let Some(tell) = &self.0 {
            tell(delay);
        }
    }

    /// Does `work`, which looks at `path`, and tells if that takes long. A hung file system cannot be interrupted: it can only be
    /// said that this is what everything waits for.
    pub fn over<T>(&self, path: &Path, work: impl FnOnce() -> T) -> T {
        if self.0.is_none() {
            return work();
        }
        std::thread::scope(|scope| {
            let (finished, ends) = channel::<()>();
            let watch = move || {
                let started = Instant::now();
                let mut patience = FILE_SYSTEM_PATIENCE;
                while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(patience) {
                    self.tell(&Delay::FileSystem { path, waited: started.elapsed() });
                    patience = REMINDER;
                }
            };
            // Without another thread the work is done all the same.
            let watching = std::thread::Builder::new().spawn_scoped(scope, watch);
            let result = work();
            drop(finished);
            drop(watching);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn only_what_takes_long_is_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let watcher = {
            let told = Arc::clone(&told);
            Watcher::new(move |delay| told.lock().unwrap().push(delay.to_string()))
        };
        assert_eq!(watcher.over(Path::new("/quick"), || 1), 1);
        watcher.over(Path::new("/slow"), || std::thread::sleep(FILE_SYSTEM_PATIENCE * 5 / 4));
        let told = told.lock().unwrap();
        assert_eq!(*told, ["waiting for the file system of /slow, which has not answered for 2 s"]);
    }
}
