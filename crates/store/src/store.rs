//! A Spack install tree: its database under Spack's own locks, and the locks of its prefixes.

mod reindex;

pub use reindex::Reindexed;

use crate::index_file::{IndexError, IndexFile};
use crate::lock::{self, ByteRange, Holder, LockError, LockGuard, LockKind};
use crate::root::{RootError, StoreRoot, has_database};
use crate::watcher::{Delay, Watcher};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use strata_spec::{DagHash, Database};

/// How to lock: Spack's settings `config:locks`, `config:db_lock_timeout` and `config:package_lock_timeout`, with
/// its defaults. A timeout of none waits for ever.
#[derive(Clone, Debug)]
pub struct LockSettings {
    /// Whether to lock at all. Without locks nobody else may use the store at the same time.
    pub enabled: bool,
    /// How long to wait for the database.
    pub database_timeout: Option<Duration>,
    /// How long to wait for a prefix.
    pub package_timeout: Option<Duration>,
    /// Who is told that something is waited for.
    pub watcher: Watcher,
}

impl Default for LockSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            database_timeout: Some(Duration::from_secs(120)),
            package_timeout: None,
            watcher: Watcher::default(),
        }
    }
}

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The database cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The database directory could not be made.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An install tree with a database. Nothing is held open between calls: it may be used from any thread.
#[derive(Clone, Debug)]
pub struct Store {
    root: StoreRoot,
    locks: LockSettings,
    index: IndexFile,
}

impl Store {
    /// A store that exists.
    ///
    /// # Errors
    /// [`RootError::NoDatabase`] if it has no database directory.
    pub fn open(root: StoreRoot, locks: LockSettings) -> Result<Self, StoreError> {
        if !locks.watcher.over(root.root(), || has_database(root.root()))? {
            return Err(RootError::NoDatabase { dir: root.root().into() }.into());
        }
        Ok(Self { index: IndexFile::new(root.database_directory()), root, locks })
    }

    /// A store that is made if it does not exist: `.spack-db` with its lock files and an index without records.
    ///
    /// # Errors
    /// [`LockError::NoLocks`] on a file system without locks, of which nothing is left then.
    pub fn create(root: StoreRoot, locks: LockSettings) -> Result<Self, StoreError> {
        let directory = root.database_directory();
        let new: Vec<PathBuf> =
            directory.ancestors().take_while(|path| !path.exists()).map(PathBuf::from).collect();
        std::fs::create_dir_all(&directory)
            .map_err(|source| StoreError::Create { path: directory.clone(), source })?;
        let store = Self { index: IndexFile::new(directory), root, locks };
        let begun = store.begin();
        if let Err(StoreError::Lock(LockError::NoLocks { path, .. })) = &begun
            && !new.is_empty()
        {
            // Nobody can hold it. What somebody else has put there meanwhile stays.
            let _ = std::fs::remove_file(path);
            let _ = new.iter().try_for_each(std::fs::remove_dir);
        }
        begun.map(|()| store)
    }

    /// Writes the first index, if there is none.
    fn begin(&self) -> Result<(), StoreError> {
        if self.index.text()?.is_none() {
            let _lock = self.lock_database(LockKind::Write)?;
            // Spack's own processes make this one when they install.
            let path = self.index.directory().join("prefix_lock");
            lock::open_or_create(&path).map_err(|source| StoreError::Create { path, source })?;
            if self.index.text()?.is_none() {
                self.index.write(&Database::default())?;
            }
        }
        Ok(())
    }

    /// Where the store is.
    pub fn root(&self) -> &StoreRoot {
        &self.root
    }

    /// The index file, for messages.
    pub fn index_path(&self) -> PathBuf {
        self.index.path()
    }

    /// How it is locked, and who is told of waiting.
    pub fn locks(&self) -> &LockSettings {
        &self.locks
    }

    /// The database as it is now. A database directory without an index is an empty database, as for Spack.
    ///
    /// On a file system that has no locks it is read without one, which the watcher is told: the index is only ever
    /// replaced as a whole, so that what is read is one state of it.
    pub fn read(&self) -> Result<Database, StoreError> {
        let text = {
            let _lock = match self.lock_database(LockKind::Read) {
                Err(StoreError::Lock(LockError::NoLocks { path, source })) => {
                    self.locks.watcher.tell(&Delay::NotLocked { path: &path, source: &source });
                    LockGuard::unlocked()
                }
                other => other?,
            };
            self.text()?
        };
        Ok(self.parse(text)?)
    }

    /// Changes the database: takes the write lock, reads, lets `apply` change what was read, writes and lets go.
    /// Nothing is written if `apply` fails or panics, and whatever else fails leaves the old index.
    ///
    /// # Errors
    /// What `apply` returns; [`LockError::ReadOnly`] for a store that cannot be written;
    /// [`IndexError::OldVersion`] for a database older than version 8, which strata only reads.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        apply: impl FnOnce(&mut Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock_database(LockKind::Write)?;
        if self.locks.enabled {
            self.index.remove_debris();
        }
        let read = || {
            let database = self.parse(self.text()?)?;
            self.index.check_writable(&database)?;
            Ok(database)
        };
        let mut database = read().map_err(|error: IndexError| StoreError::from(error))?;
        let result = apply(&mut database)?;
        self.locks
            .watcher
            .over(self.index.directory(), || self.index.write(&database))
            .map_err(StoreError::from)?;
        Ok(result)
    }

    /// Locks the prefix of a spec as Spack does while it installs (write) or uses (read) it. Waits up to
    /// [`LockSettings::package_timeout`].
    ///
    /// Who holds several takes them in the order of their hashes, or only tries the further ones, lest two processes
    /// wait for each other; and takes them before, never within, a transaction.
    pub fn lock_prefix(&self, hash: &DagHash, kind: LockKind) -> Result<LockGuard, LockError> {
        if !self.locks.enabled {
            return Ok(LockGuard::unlocked());
        }
        let range = ByteRange::of_spec(hash);
        lock::acquire(&self.prefix_lock(), range, kind, self.locks.package_timeout, &self.locks.watcher)
    }

    /// As [`Store::lock_prefix`], but none at once if somebody else holds it.
    pub fn try_lock_prefix(&self, hash: &DagHash, kind: LockKind) -> Result<Option<LockGuard>, LockError> {
        if !self.locks.enabled {
            return Ok(Some(LockGuard::unlocked()));
        }
        lock::try_acquire(&self.prefix_lock(), ByteRange::of_spec(hash), kind)
    }

    /// Who holds the lock of a prefix that [`Store::try_lock_prefix`] could not get; none if nobody does any more.
    pub fn prefix_holder(&self, hash: &DagHash, kind: LockKind) -> Option<Holder> {
        lock::holder_of(&self.prefix_lock(), ByteRange::of_spec(hash), kind)
    }

    /// The file whose bytes stand for the prefixes, for messages.
    pub fn prefix_lock(&self) -> PathBuf {
        self.index.directory().join("prefix_lock")
    }

    fn lock_database(&self, kind: LockKind) -> Result<LockGuard, StoreError> {
        if !self.locks.enabled {
            return Ok(LockGuard::unlocked());
        }
        let path = self.index.directory().join("lock");
        let (timeout, watcher) = (self.locks.database_timeout, &self.locks.watcher);
        Ok(lock::acquire(&path, ByteRange::WHOLE_FILE, kind, timeout, watcher)?)
    }

    fn text(&self) -> Result<Option<Vec<u8>>, IndexError> {
        self.locks.watcher.over(&self.index.path(), || self.index.text())
    }

    fn parse(&self, text: Option<Vec<u8>>) -> Result<Database, IndexError> {
        text.map_or_else(|| Ok(Database::default()), |text| self.index.parse(&text))
    }
}

/// Seconds since the epoch, as `installation_time` has them.
pub fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
