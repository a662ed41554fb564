//! `bin/sbang` under a store's root: what runs scripts whose interpreter's path is too long for a shebang line.
//!
//! Scripts refer to it by its path, so it must be there before the first of them runs. Spack writes its own on its
//! next install; both understand the same scripts.

use crate::replace_file::{Durability, Replacement, host_and_process};
use crate::root::{SbangTooLong, StoreRoot};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The script.
const SCRIPT: &str = include_str!("sbang.sh");

/// sbang could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum SbangError {
    /// Its path is longer than a shebang line.
    #[error(transparent)]
    TooLong(#[from] SbangTooLong),
    /// It could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where it belongs.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Sees to it that sbang is there, and returns its path. One that is there already, Spack's as well, is left alone
/// unless it is empty or not executable. Any number of processes may do this at once.
///
/// # Errors
/// [`SbangError::TooLong`] before anything is written.
pub fn install_sbang(root: &StoreRoot) -> Result<PathBuf, SbangError> {
    let path = root.sbang_path()?;
    if std::fs::metadata(&path)
        .is_ok_and(|file| file.is_file() && file.len() > 0 && file.permissions().mode() & 0o100 != 0)
    {
        return Ok(path);
    }
    let directory = root.unpadded().join("bin");
    // Threads of one process may meet here too.
    let mut temporary = std::ffi::OsString::from(".sbang.");
    temporary.push(host_and_process());
    temporary.push(format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
    let temporary = directory.join(temporary);
    let replacement =
        Replacement { temporary: &temporary, mode: Some(0o755), durability: Durability::Synced };
    create_directory(&directory)
        .and_then(|()| replacement.write(&path, SCRIPT.as_bytes()))
        .map_err(|source| SbangError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// Makes the directory, if it is not there, so that everybody can run what is in it, whatever the umask: mode 0755 as
/// in Spack (`set_install_permissions` in its `filesystem.py`).
fn create_directory(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory.parent().unwrap_or(directory))?;
    match std::fs::create_dir(directory) {
        Ok(()) => {
            let mode = directory.metadata()?.mode();
            std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755 | mode & 0o7000))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
