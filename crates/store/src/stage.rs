//! Where packages are unpacked before they appear: beside the database, to be renamed into place when complete.
//!
//! `<root>/.spack-db/strata-stage/run.UUID/` belongs to one process, which holds a lock on the file `lock` in it for
//! as long as it lives; so what a killed process left behind can be told from what a running one needs, without
//! trusting process ids. Creating and claiming such directories happens under a lock on `strata-stage.lock`.
//!
//! `spack reindex` walks the whole root, the database directory included, and takes every directory with a
//! `.spack/spec.json` for an installed package. Therefore the spec file of a staged tree should wait under another
//! name, [`STAGED_SPEC_FILE`]; [`StagedPrefix::commit`] gives it its own when the tree is in place. The same name in
//! a prefix says that strata was killed between the two.

mod replace;

pub use replace::{Replaced, finish_name, lacks_name};

use crate::flush::ChangedDirectories;
use crate::lock::{self, ByteRange, LockError, LockGuard, LockKind};
use crate::replace_file::hostname;
use crate::store::{LockSettings, Store};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use strata_spec::DagHash;

/// Spack's own directory within a prefix.
pub const METADATA_DIRECTORY: &str = ".spack";
/// The concrete spec of a prefix, within [`METADATA_DIRECTORY`].
pub const SPEC_FILE: &str = "spec.json";
/// What [`SPEC_FILE`] is called until the prefix is in place.
pub const STAGED_SPEC_FILE: &str = "spec.json.strata-staged";

const AREA: &str = "strata-stage";
const GATE: &str = "strata-stage.lock";
const LOCK: &str = "lock";
/// The gate is held for a few system calls; who waits longer waits for a hung file system.
const GATE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a prefix's parent directory is made again after somebody took it away.
const ATTEMPTS: usize = 1000;
const SET_GROUP_ID: u32 = 0o2000;
/// Locks may not reach other hosts on a network file system: what those left must also be this old.
const FOREIGN_AGE: Duration = Duration::from_secs(24 * 3600);

/// Staging failed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// There is something where the package is to go.
    #[error("{} exists already", prefix.display())]
    PrefixExists {
        /// The final prefix.
        prefix: PathBuf,
    },
    /// The final prefix is not on the store's file system, so that nothing can be renamed there.
    #[error("{} is on another file system than {}", prefix.display(), stage.display())]
    OtherFileSystem {
        /// The final prefix.
        prefix: PathBuf,
        /// Where the package was staged.
        stage: PathBuf,
    },
    /// A lock of the staging area could not be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory could not be handled.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StageError {
    move |source| StageError::Io { action, path: path.into(), source }
}

/// This process's part of the staging area. It goes when the last [`StagedPrefix`] and [`SetAside`] of it is gone.
#[derive(Clone, Debug)]
pub struct StageArea {
    run: Arc<Run>,
}

#[derive(Debug)]
struct Run {
    directory: PathBuf,
    database_directory: PathBuf,
    locks: LockSettings,
    _alive: LockGuard,
}

impl Drop for Run {
    fn drop(&mut self) {
        // Without the gate somebody could find this half removed; then it is left to `clean_stale`.
        if let Ok(_gate) = enter(&self.database_directory, &self.locks) {
            let _ = std::fs::remove_dir_all(&self.directory);
            let _ = std::fs::remove_dir(self.database_directory.join(AREA)); // fails where others are at work
        }
    }
}

impl StageArea {
    /// Opens a part of the staging area of `store` for this process.
    pub fn open(store: &Store) -> Result<Self, StageError> {
        let (database_directory, locks) = (store.root().database_directory(), store.locks().clone());
        let _gate = enter(&database_directory, &locks)?;
        let area = database_directory.join(AREA);
        create_like_parent(&area).map_err(failed("create", &area))?;
        let directory = area.join(format!("run.{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&directory).map_err(failed("create", &directory))?;
        let lock_file = directory.join(LOCK);
        std::fs::write(&lock_file, hostname()).map_err(failed("write", &lock_file))?;
        let alive = match locks.enabled {
            true => lock::acquire(
                &lock_file,
                ByteRange::WHOLE_FILE,
                LockKind::Write,
                Some(Duration::ZERO),
                &locks.watcher,
            )?,
            false => LockGuard::unlocked(),
        };
        Ok(Self { run: Arc::new(Run { directory, database_directory, locks, _alive: alive }) })
    }

    /// The directory of this process, for what is made aside of a staged tree; all in it goes with it.
    pub fn directory(&self) -> &Path {
        &self.run.directory
    }

    /// A new empty directory to unpack the package of that hash into, with the mode of a prefix: 0755 whatever the
    /// umask, as by default in Spack (`get_package_dir_permissions` in its `package_prefs.py`).
    pub fn stage(&self, hash: &DagHash) -> Result<StagedPrefix, StageError> {
        let path = self.run.directory.join(format!("{hash}.{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).map_err(failed("create", &path))?;
        let mode = path.metadata().map_err(failed("create", &path))?.mode();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755 | mode & SET_GROUP_ID))
            .map_err(failed("create", &path))?;
        Ok(StagedPrefix { path, _run: Arc::clone(&self.run) })
    }

    /// Takes a prefix that no record claims out of the way, in one step: one left unfinished (see
    /// [`crate::prefix_state`]), or one that was just uninstalled (see [`crate::removal`]). The tree is deleted when
    /// the value is dropped. The caller holds the write lock of the prefix.
    pub fn set_aside(&self, prefix: &Path) -> Result<SetAside, StageError> {
        let metadata = prefix.join(METADATA_DIRECTORY);
        match std::fs::rename(metadata.join(SPEC_FILE), metadata.join(STAGED_SPEC_FILE)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            other => other.map_err(failed("set aside", prefix))?,
        }
        let path = self.run.directory.join(format!("aside.{}", uuid::Uuid::new_v4().simple()));
        std::fs::rename(prefix, &path).map_err(failed("set aside", prefix))?;
        Ok(SetAside { path, _run: Arc::clone(&self.run) })
    }
}

/// A directory that a package is unpacked into; removed when dropped, unless committed.
#[derive(Debug)]
pub struct StagedPrefix {
    path: PathBuf,
    _run: Arc<Run>,
}

impl StagedPrefix {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the tree the prefix `prefix`, whose parent directories are created as needed, with the mode of the one
    /// above. What has to be flushed for the names to last is added to `changed`; flushing the files is left to who
    /// wrote them, or to [`FileSystem`](crate::FileSystem). The caller holds the prefix's write lock.
    ///
    /// # Errors
    /// Nothing is at `prefix` then that was not there before, nor is the staged tree any more.
    /// [`StageError::PrefixExists`] if there is anything at `prefix`, even an empty directory: it is not touched.
    pub fn commit(self, prefix: &Path, changed: &mut ChangedDirectories) -> Result<(), StageError> {
        let parent = prefix.parent().unwrap_or(Path::new("/"));
        let new: Vec<&Path> = parent.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        self.appear(prefix, parent).inspect_err(|_| {
            // Fails where others have put something meanwhile.
            let _ = new.iter().try_for_each(std::fs::remove_dir);
        })?;
        changed.add(&prefix.join(METADATA_DIRECTORY));
        let last = new.last().and_then(|highest| highest.parent()).unwrap_or(parent);
        parent.ancestors().take_while(|above| above.starts_with(last)).for_each(|above| changed.add(above));
        Ok(())
    }

    /// Renames the tree and gives its spec file its name, or does neither.
    fn appear(&self, prefix: &Path, parent: &Path) -> Result<(), StageError> {
        let rename = || {
            create_like_parent(parent).map_err(failed("create", parent))?;
            rename_new(&self.path, prefix)
        };
        let is_missing = |error: &StageError| matches!(error, StageError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound);
        // Who uninstalls the last package of a directory removes that as well, under the lock of another prefix.
        let attempt =
            (0..ATTEMPTS).map(|_| rename()).find(|outcome| !outcome.as_ref().is_err_and(is_missing));
        attempt.unwrap_or_else(rename)?;
        replace::rename_spec(prefix, STAGED_SPEC_FILE, SPEC_FILE).map_err(|error| {
            // Where that fails as well, the next install sees that it is unfinished.
            let _ = std::fs::rename(prefix, &self.path);
            failed("rename the spec file in", &prefix.join(METADATA_DIRECTORY))(error)
        })
    }
}

impl Drop for StagedPrefix {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path); // gone already after a commit
    }
}

/// A tree that was taken out of the way; deleted when dropped.
#[derive(Debug)]
pub struct SetAside {
    path: PathBuf,
    _run: Arc<Run>,
}

impl Drop for SetAside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed processes left in the staging area of `store`, and returns how many there were. Running ones
/// are told by the lock they hold. Since locks do not always reach other hosts, what another host left must be a day
/// old as well; without locks, so must everything. What cannot be removed, another user's most likely, stays: it does no
/// harm.
pub fn clean_stale(store: &Store) -> Result<usize, StageError> {
    let (database_directory, locks) = (store.root().database_directory(), store.locks());
    let area = database_directory.join(AREA);
    if !area.exists() {
        return Ok(0);
    }
    let claimed: Vec<(PathBuf, LockGuard)> = {
        let _gate = enter(&database_directory, locks)?;
        let claimed = |directory: PathBuf| {
            let guard = claim(&directory, locks.enabled).ok()??;
            Some((directory, guard))
        };
        entries(&area)?.into_iter().filter_map(claimed).collect()
    };
    // Removing trees takes long, so others may come and go meanwhile; the lock file stays, and with it the claim.
    for (directory, _guard) in &claimed {
        replace::bring_back(directory);
        for tree in entries(directory)?.into_iter().filter(|path| !path.ends_with(LOCK)) {
            let _ = std::fs::remove_dir_all(&tree);
        }
    }
    let _gate = enter(&database_directory, locks)?;
    let removed =
        claimed.iter().filter(|(directory, _guard)| std::fs::remove_dir_all(directory).is_ok()).count();
    let _ = std::fs::remove_dir(&area); // fails where others are at work
    Ok(removed)
}

/// The paths of what is in `directory`; nothing if it is gone.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, StageError> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("list", directory))?,
    };
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    paths.map_err(failed("list", directory))
}

/// The lock of a part of the area that nobody alive owns; none if somebody does. Under the gate.
fn claim(directory: &Path, by_lock: bool) -> Result<Option<LockGuard>, StageError> {
    let lock_file = directory.join(LOCK);
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let owner = match std::fs::read(&lock_file) {
        Err(error) if is_missing(&error) => Vec::new(),
        other => other.map_err(failed("read", &lock_file))?,
    };
    let owner = match owner.is_empty() {
        // Killed before it had written who it was. With a lock file it can be told who is at it.
        true => {
            let owner = hostname().into_bytes();
            std::fs::write(&lock_file, &owner).map_err(failed("write", &lock_file))?;
            owner
        }
        false => owner,
    };
    let modified = lock_file.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_old = modified.elapsed().is_ok_and(|age| age > FOREIGN_AGE);
    if (owner != hostname().as_bytes() || !by_lock) && !is_old {
        return Ok(None);
    }
    if !by_lock {
        return Ok(Some(LockGuard::unlocked()));
    }
    Ok(lock::try_acquire(&lock_file, ByteRange::WHOLE_FILE, LockKind::Write)?)
}

fn enter(database_directory: &Path, locks: &LockSettings) -> Result<LockGuard, LockError> {
    if !locks.enabled {
        return Ok(LockGuard::unlocked());
    }
    lock::acquire(
        &database_directory.join(GATE),
        ByteRange::WHOLE_FILE,
        LockKind::Write,
        Some(GATE_TIMEOUT),
        &locks.watcher,
    )
}

/// Makes `directory` and what is missing above it, each with the mode and, if possible, the group of the lowest
/// directory that exists: whoever may install into a store may also install beside what others installed there
/// (`default_perms="parents"` of `mkdirp` in Spack's `filesystem.py`).
pub(crate) fn create_like_parent(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    let Some(existing) = missing.last().and_then(|highest| highest.parent()) else { return Ok(()) };
    let model = existing.metadata()?;
    for new in missing.into_iter().rev() {
        match std::fs::create_dir(new) {
            Ok(()) => {}
            // By somebody else, who sees to its mode.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && new.is_dir() => continue,
            Err(error) => return Err(error),
        }
        if new.metadata()?.gid() != model.gid() {
            // Only to a group that the user is in.
            let _ = std::os::unix::fs::chown(new, None, Some(model.gid()));
        }
        // After the group, whose change takes the set-group-id bit away.
        std::fs::set_permissions(new, Permissions::from_mode(model.mode() & 0o3777))?;
    }
    Ok(())
}

/// Renames `from` to `to`, which must not exist.
fn rename_new(from: &Path, to: &Path) -> Result<(), StageError> {
    let exists = || StageError::PrefixExists { prefix: to.into() };
    let error = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => return Err(exists()),
        // Some file systems, NFS among them, have no such rename; the caller's lock makes this as good.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.symlink_metadata().is_ok() => {
            return Err(exists());
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match std::fs::rename(from, to) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        },
        Err(error) => error.into(),
    };
    if error.kind() == io::ErrorKind::CrossesDevices {
        return Err(StageError::OtherFileSystem { prefix: to.into(), stage: from.into() });
    }
    Err(failed("create", to)(error))
}
