//! Replacing a file of an environment in one step: whoever reads it finds the old one or the new one, whenever we are killed.

use crate::error::Error;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Puts `text` at `path`. The mode of what is there is kept, and if it is a symbolic link, so is the link.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text).map_err(|error| Error::io(path, error))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let target = target(path)?;
    let directory = target.parent().ok_or(ErrorKind::InvalidInput)?;
    let mode = match target.metadata() {
        Ok(metadata) => Some(metadata.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // As any new file: the umask takes from it.
    let mut builder = tempfile::Builder::new();
    let mut file =
        builder.prefix(".spack.lock.").permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    if let Some(mode) = mode {
        file.as_file().set_permissions(mode)?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&target)?;
    // So that the rename is on disk too; some file systems have no way to say so.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Removes what is at `path`, if anything is.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// The file that `path` leads to, which need not exist.
fn target(path: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(path.to_owned()),
        found => found,
    }
}
