//! Single entries of a view.

use super::ViewError;
use std::io::ErrorKind;
use std::path::Path;

/// Makes a directory, with the permissions that the process gives to new ones.
pub fn create_directory(path: &Path) -> Result<(), ViewError> {
    std::fs::create_dir(path).map_err(ViewError::io("make the directory", path))
}

/// Makes a symbolic link at `to` that leads to `target`.
pub fn symbolic_link(target: &Path, to: &Path) -> Result<(), ViewError> {
    std::os::unix::fs::symlink(target, to).map_err(ViewError::io("make the link", to))
}

/// Makes another name `to` for the file `from`, which is not followed if it is a symbolic link.
pub fn hard_link(from: &Path, to: &Path) -> Result<(), ViewError> {
    std::fs::hard_link(from, to).map_err(|error| match error.kind() {
        ErrorKind::CrossesDevices => ViewError::OtherFileSystem { from: from.into(), to: to.into() },
        _ => ViewError::io("make the link", to)(error),
    })
}
