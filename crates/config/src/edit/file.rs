//! Files that are edited by one process at a time, and replaced as a whole.

use std::fs::{self, File};
use std::path::Path;

use crate::{ConfigError, save};

/// Changes the text of `path`, which need not exist and may be `secret` afterwards; nothing is written if it stays the same.
///
/// Several processes may do so at once and nothing is lost: each locks the directory (`flock`). Where that is not to be had, and
/// against editors and Spack, which do not lock, the last one to write wins; readers see one whole file or the other.
pub(crate) fn edit_file<T>(
    path: &Path,
    secret: bool,
    change: impl FnOnce(&str) -> Result<(String, T), ConfigError>,
) -> Result<T, ConfigError> {
    // Links to one file, each in a directory of its own, are edited one after the other too.
    let target = fs::canonicalize(path);
    let directory =
        target.as_deref().unwrap_or(path).parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    // Held until the end. A lock that cannot be had (NFS without locking) is no reason to do nothing.
    let lock = File::open(directory).ok();
    if let Some(lock) = &lock {
        let _ = lock.lock();
    }
    let text = save::read(path)?;
    let (edited, result) = change(text.as_deref().unwrap_or_default())?;
    if text.as_deref().unwrap_or_default() != edited {
        save::replace(path, &edited, secret)?;
    }
    Ok(result)
}

/// Makes the directory of a file that is about to be written.
pub(crate) fn create(directory: &Path) -> Result<(), ConfigError> {
    fs::create_dir_all(directory).map_err(|source| ConfigError::Write { path: directory.to_owned(), source })
}
