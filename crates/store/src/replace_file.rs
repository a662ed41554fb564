//! Writing a file in whole or not at all: a temporary file beside it, then a rename over it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Whether the bytes must have reached the disk before the rename, so that a crash of the machine cannot leave an
/// empty file under the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Flush the file, and after the rename its directory.
    Synced,
    /// Leave it to the system.
    Cached,
}

/// How a file is to be written.
pub(crate) struct Replacement<'a> {
    /// Where the bytes gather first; in the directory of the final file, and nobody else's.
    pub(crate) temporary: &'a Path,
    /// Permission bits; none for those of any new file.
    pub(crate) mode: Option<u32>,
    /// How safe against a crash.
    pub(crate) durability: Durability,
}

impl Replacement<'_> {
    /// Puts `bytes` at `path`. On failure `path` is as it was and the temporary file is gone.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let written = self.write_temporary(bytes).and_then(|()| std::fs::rename(self.temporary, path));
        if written.is_err() {
            let _ = std::fs::remove_file(self.temporary);
        }
        written?;
        match (self.durability, path.parent()) {
            (Durability::Synced, Some(directory)) => sync_directory(directory),
            _ => Ok(()),
        }
    }

    fn write_temporary(&self, bytes: &[u8]) -> io::Result<()> {
        let mode = self.mode.unwrap_or(0o666);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(self.temporary)?;
        file.write_all(bytes)?;
        if let Some(mode) = self.mode {
            // The umask may have taken bits away.
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        if self.durability == Durability::Synced {
            file.sync_all()?;
        }
        Ok(())
    }
}

/// Makes the names in `directory` survive a crash, where the file system can.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

/// `HOST.PID`, which tells temporary files of different processes apart, on a shared file system as well.
pub(crate) fn host_and_process() -> OsString {
    let mut name = OsString::from(hostname());
    name.push(format!(".{}", std::process::id()));
    name
}

/// The name of this machine, without anything that could not stand in a file name.
pub(crate) fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.replace(['/', '\0', '\n'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_no_debris() {
        let dir = tempfile::tempdir().unwrap();
        let (path, temporary) = (dir.path().join("file"), dir.path().join("file.temp"));
        let replacement = Replacement { temporary: &temporary, mode: None, durability: Durability::Synced };
        replacement.write(&path, b"old").unwrap();
        // A rename onto a directory fails after the temporary file is complete.
        let directory = dir.path().join("directory");
        std::fs::create_dir(&directory).unwrap();
        assert!(replacement.write(&directory, b"new").is_err());
        assert!(!temporary.exists());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}
