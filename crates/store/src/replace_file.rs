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
        let mut file = self.create_temporary()?;
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

    /// A new file, whatever was there: what somebody who was killed has left, or a link that a package brought along, which
    /// leads to a file of somebody else.
    fn create_temporary(&self) -> io::Result<File> {
        let create = || {
            let mode = self.mode.unwrap_or(0o666);
            OpenOptions::new().write(true).create_new(true).mode(mode).open(self.temporary)
        };
        match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(self.temporary)?;
                create()
            }
            created => created,
        }
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

    #[test]
    fn a_link_in_the_place_of_the_temporary_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("victim"), "precious").unwrap();
        let temporary = at("file.temp");
        let replacement = Replacement { temporary: &temporary, mode: None, durability: Durability::Cached };
        for is_hard in [false, true] {
            match is_hard {
                false => std::os::unix::fs::symlink(at("victim"), &temporary).unwrap(),
                true => std::fs::hard_link(at("victim"), &temporary).unwrap(),
            }
            replacement.write(&at("file"), b"new").unwrap();
            assert_eq!(std::fs::read(at("victim")).unwrap(), b"precious");
            assert!(at("file").symlink_metadata().unwrap().is_file());
            assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        }
    }
}
