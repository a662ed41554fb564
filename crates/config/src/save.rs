//! Reading a file that may be missing, and replacing one in a way that leaves the old or the new.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::ConfigError;

/// The text of a file; none if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// Replaces the content of `path`, in one step for whoever reads it. Its mode is kept, and if it is a
/// symbolic link, so is the link: the file it leads to is replaced. A new file with something `secret` in it is for its owner
/// alone.
pub(crate) fn replace(path: &Path, text: &str, secret: bool) -> Result<(), ConfigError> {
    write(path, text, secret).map_err(|source| ConfigError::Write { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str, secret: bool) -> io::Result<()> {
    let target = target(path)?;
    let directory = target.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut builder = tempfile::Builder::new();
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix);
    #[cfg(unix)]
    let file = {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: the umask takes from it.
        builder
            .permissions(Permissions::from_mode(if secret { 0o600 } else { 0o666 }))
            .tempfile_in(directory)?
    };
    #[cfg(not(unix))]
    let file = builder.tempfile_in(directory)?;
    match fs::metadata(&target) {
        Ok(metadata) => file.as_file().set_permissions(metadata.permissions())?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.as_file().write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&target)?;
    // So that the rename is on disk too; some file systems have no way to say so.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// The file that `path` leads to, which need not exist.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(path.to_owned()),
        found => found,
    }
}
