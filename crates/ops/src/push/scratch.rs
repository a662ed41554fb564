//! Where layers wait between packing and uploading.
//!
//! A push that is killed cannot clean up after itself, and layers are big. So the directory is locked for as long as its
//! push lives, and the next push of the same user removes those that nobody holds any more.

use crate::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use strata_oci::Repository;
use tempfile::TempDir;

/// How the directories of pushes begin.
const PREFIX: &str = "strata-push-";

/// A directory for spool files: beside the blobs of a layout, so that an upload is a rename, else a temporary one.
pub(crate) enum Scratch {
    Layout(PathBuf),
    Temporary(Locked),
}

/// A temporary directory that others of its kind leave alone.
pub(crate) struct Locked {
    directory: TempDir,
    _lock: File,
}

impl Scratch {
    /// The best place for layers of `repository`.
    pub(crate) fn for_repository(repository: &dyn Repository) -> Result<Self, Error> {
        match repository.scratch_dir() {
            Some(path) => Ok(Self::Layout(path)),
            None => Self::temporary(&std::env::temp_dir()),
        }
    }

    fn temporary(parent: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Spool { path: parent.to_owned(), temporary: true, source };
        Ok(Self::Temporary(Locked::below(parent, PREFIX).map_err(refused)?))
    }

    /// The error that nothing can be written there.
    pub(crate) fn refused(&self, source: io::Error) -> Error {
        let temporary = matches!(self, Self::Temporary(_));
        Error::Spool { path: self.path().to_owned(), temporary, source }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Layout(path) => path,
            Self::Temporary(locked) => locked.path(),
        }
    }
}

impl Locked {
    /// A directory in `parent` whose name begins with `prefix`. Others that do and that nobody holds are removed.
    pub(crate) fn below(parent: &Path, prefix: &str) -> io::Result<Self> {
        let locked = Self::made(parent, prefix)?;
        locked.remove_abandoned(parent, prefix);
        Ok(locked)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn made(parent: &Path, prefix: &str) -> io::Result<Self> {
        loop {
            let directory = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
            // Another push may take it for an abandoned one until it is locked.
            let lock = match File::open(directory.path()) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                lock => lock?,
            };
            // Where there are no locks, nothing can be locked by those who would remove it either.
            let _ = lock.lock();
            if directory.path().exists() {
                return Ok(Self { directory, _lock: lock });
            }
        }
    }

    /// Removes what processes of this user that were killed left in `parent`. What cannot be removed stays.
    fn remove_abandoned(&self, parent: &Path, prefix: &str) {
        let (Ok(ours), Ok(entries)) = (fs::metadata(self.directory.path()), fs::read_dir(parent)) else {
            return;
        };
        for entry in entries
            .flatten()
            .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()))
        {
            // Not of what a symbolic link leads to.
            let is_ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == ours.uid());
            if is_ours
                && let Ok(lock) = File::open(entry.path())
                && lock.try_lock().is_ok()
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_a_killed_push_left_is_removed_by_the_next_one() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = parent.path().join("strata-push-abandoned");
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join("layer"), "big").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = parent.path().join("strata-push-link");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();

        let running = Scratch::temporary(parent.path()).unwrap();
        assert!(!abandoned.exists());
        let next = Scratch::temporary(parent.path()).unwrap();
        assert!(running.path().is_dir() && next.path().is_dir(), "a push that lives keeps its own");
        assert!(link.is_symlink() && elsewhere.path().is_dir() && other.is_dir());
        let paths = [running.path().to_owned(), next.path().to_owned()];
        drop((running, next));
        assert!(paths.iter().all(|path| !path.exists()));
    }

    #[test]
    fn pushes_that_begin_at_once_leave_each_other_alone() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let scratch = Scratch::temporary(parent.path()).unwrap();
                        fs::write(scratch.path().join("layer"), "bytes").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
