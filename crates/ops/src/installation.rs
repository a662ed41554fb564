//! Whether an installed package is still what was installed, told by `stat` alone: no file is opened.
//!
//! Whoever edits, adds, removes, renames, links or replaces something makes the system stamp the file, or the directory that
//! it is in, with the time of the change (`st_ctime`), which nobody can set. So what was changed after an installation was
//! noted has something in it that is younger than the note. What cannot be seen is an edit within the same tick of the
//! system's clock (at most ten milliseconds), or one while the clock of the machine was set back.

use serde::{Deserialize, Serialize};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which directory a package was installed as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installation {
    prefix: PathBuf,
    inode: u64,
}

impl Installation {
    /// What is at `prefix` now.
    pub(crate) fn at(prefix: &Path) -> io::Result<Self> {
        Ok(Self { prefix: prefix.to_owned(), inode: fs::symlink_metadata(prefix)?.ino() })
    }

    /// Whether it is at `prefix` still, with nothing in it that is younger than `note`, a file that was written when all of
    /// it was there. What cannot be looked at may have changed.
    pub(crate) fn is_unchanged(&self, prefix: &Path, note: &Metadata) -> bool {
        let is_same = Self::at(prefix).is_ok_and(|found| found == *self);
        is_same && none_younger(prefix, (note.mtime(), note.mtime_nsec())).unwrap_or(false)
    }
}

/// Whether nothing in the tree was changed after `time`: seconds since 1970, and nanoseconds.
fn none_younger(root: &Path, time: (i64, i64)) -> io::Result<bool> {
    let is_younger = |metadata: &Metadata| (metadata.ctime(), metadata.ctime_nsec()) > time;
    if is_younger(&fs::symlink_metadata(root)?) {
        return Ok(false);
    }
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if is_younger(&metadata) {
                return Ok(false);
            }
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;

    /// A prefix, what was installed there, and a file written after that.
    fn installed(scratch: &Path) -> (PathBuf, Installation, Metadata) {
        let prefix = scratch.join("x-1");
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::write(prefix.join("bin/x"), "x").unwrap();
        fs::write(prefix.join("bin/y"), "y").unwrap();
        let installation = Installation::at(&prefix).unwrap();
        let note = scratch.join("note");
        fs::write(&note, "").unwrap();
        // Longer than a tick of the clock that files are stamped by.
        std::thread::sleep(Duration::from_millis(30));
        (prefix, installation, fs::metadata(note).unwrap())
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 7] = [
            ("an edit that keeps size and time", |bin| {
                let path = bin.join("x");
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                fs::write(&path, "z").unwrap();
                fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            }),
            ("a new file", |bin| fs::write(bin.join("new"), "").unwrap()),
            ("a removed file", |bin| fs::remove_file(bin.join("y")).unwrap()),
            ("a renamed file", |bin| fs::rename(bin.join("y"), bin.join("w")).unwrap()),
            ("a new link", |bin| std::os::unix::fs::symlink("y", bin.join("link")).unwrap()),
            ("other permissions", |bin| {
                let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                fs::set_permissions(bin.join("x"), permissions).unwrap();
            }),
            ("another directory in its place", |bin| {
                let prefix = bin.parent().unwrap();
                fs::rename(prefix, prefix.with_extension("old")).unwrap();
                fs::create_dir(prefix).unwrap();
            }),
        ];
        for (what, change) in changes {
            let scratch = tempfile::tempdir().unwrap();
            let (prefix, installation, note) = installed(scratch.path());
            assert!(installation.is_unchanged(&prefix, &note), "before {what}");
            change(&prefix.join("bin"));
            assert!(!installation.is_unchanged(&prefix, &note), "{what}");
        }
    }

    #[test]
    fn reading_is_no_change_and_a_prefix_that_is_gone_is_one() {
        let scratch = tempfile::tempdir().unwrap();
        let (prefix, installation, note) = installed(scratch.path());
        fs::read(prefix.join("bin/x")).unwrap();
        assert!(installation.is_unchanged(&prefix, &note));
        assert!(!installation.is_unchanged(&scratch.path().join("other"), &note));
        fs::remove_dir_all(&prefix).unwrap();
        assert!(!installation.is_unchanged(&prefix, &note));
    }
}
