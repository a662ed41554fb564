//! [`WriteAccess`]: one writer's scratch directory in a layout, and the lock that writers share.
//!
//! Writers hold a lock of their own for as long as they live; the kernel lets go of it however they die. A scratch
//! directory whose lock is free was left behind by a killed writer, whatever its age, and the next writer removes it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::directory::{self, OURS, State};
use crate::Error;

/// The name of both kinds of lock file.
const LOCK: &str = "lock";

/// A writer of the layout, from its first write until it is dropped.
pub(super) struct WriteAccess {
    layout: PathBuf,
    /// Removed, with everything in it, before the lock below is let go.
    scratch: TempDir,
    lock: File,
}

impl WriteAccess {
    /// Makes a scratch directory, and the layout if it is not there yet.
    pub(super) fn begin(layout: &Path) -> Result<Self, Error> {
        let writers = layout.join(OURS).join("writers");
        directory::make(layout)?;
        fs::create_dir_all(&writers).map_err(Error::io("create", &writers))?;
        // A scratch directory is made and locked under the common lock, so that nobody takes it for abandoned.
        let _guard = lock_writers(layout)?;
        if directory::examine(layout)? != State::Layout {
            directory::create(layout)?;
        }
        remove_abandoned(&writers);
        let scratch = tempfile::Builder::new()
            .prefix("writer-")
            .tempdir_in(&writers)
            .map_err(Error::io("create a directory in", &writers))?;
        let lock = locked(&scratch.path().join(LOCK))?;
        Ok(Self { layout: layout.to_path_buf(), scratch, lock })
    }

    /// The scratch directory: on the file system of the layout, and this writer's alone.
    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// A new file in it.
    pub(super) fn create_file(&self) -> Result<(File, PathBuf), Error> {
        // The name is tempfile's; the file is made here, because tempfile's are private to their owner, and what is
        // moved into the layout is for everyone whom the umask lets read.
        tempfile::Builder::new()
            .prefix("blob-")
            .make_in(self.directory(), |path| OpenOptions::new().write(true).create_new(true).open(path))
            .and_then(|file| file.keep().map_err(|error| error.error))
            .map_err(Error::io("create a file in", self.directory()))
    }

    /// Replaces the file `target` of the layout by one with these bytes, flushed before; the new file. If that fails,
    /// nothing stays in the scratch directory: a disk that is full is not to be filled by attempts.
    pub(super) fn replace(&self, target: &Path, bytes: &[u8]) -> Result<File, Error> {
        let (mut file, scratch) = self.create_file()?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let replaced = written
            .map_err(Error::io("write", &scratch))
            .and_then(|()| fs::rename(&scratch, target).map_err(Error::io("replace", target)));
        if replaced.is_err() {
            let _ = fs::remove_file(&scratch);
        }
        replaced.map(|()| file)
    }

    /// Gives a spool file that somebody made here the permissions that files of this writer have.
    pub(super) fn share(&self, file: &File, path: &Path) -> Result<(), Error> {
        self.lock
            .metadata()
            .and_then(|metadata| file.set_permissions(metadata.permissions()))
            .map_err(Error::io("set the permissions of", path))
    }

    /// Keeps other writers out until the file is dropped.
    pub(super) fn lock_index(&self) -> Result<File, Error> {
        lock_writers(&self.layout)
    }
}

fn lock_writers(layout: &Path) -> Result<File, Error> {
    locked(&layout.join(OURS).join(LOCK))
}

/// A lock on a file of ours: `flock`, which belongs to the open file and so also keeps threads apart.
fn locked(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(Error::io("create", path))?;
    file.lock().map_err(Error::io("lock", path))?;
    Ok(file)
}

/// Removes the scratch directories of dead writers. What cannot be removed (it may be another user's) does no harm.
fn remove_abandoned(writers: &Path) {
    for entry in fs::read_dir(writers).into_iter().flatten().flatten() {
        let abandoned = match OpenOptions::new().write(true).open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
