//! Whether an installed package is still what was installed, told by `stat` alone: no file is opened.
//!
//! Whoever edits, adds, removes, renames, links or replaces something makes the system stamp the file, or the directory that
//! it is in, with the time of the change (`st_ctime`), which nobody can set. So a prefix that was
//! changed later has something in it that is younger than the last step of its installation, which gives the spec file its name.
//! The note is not written before the clock that files are stamped by has gone on since: from then on no edit is missed. What
//! cannot be seen is an edit while the clock of the machine was set back.

use serde::{Deserialize, Serialize};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use strata_store::stage::{METADATA_DIRECTORY, SPEC_FILE};

/// Which directory a package was installed as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installation {
    prefix: PathBuf,
    inode: u64,
    /// When the last step of the installation was: seconds since 1970, and nanoseconds.
    ended: (i64, i64),
}

impl Installation {
    /// What is at `prefix` now, where it was put just before.
    pub(crate) fn at(prefix: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(prefix)?;
        let metadata = prefix.join(METADATA_DIRECTORY);
        let last_steps = [metadata.join(SPEC_FILE), metadata];
        let last_steps = last_steps.iter().filter_map(|path| fs::symlink_metadata(path).ok());
        let ended = last_steps.map(|step| changed(&step)).fold(changed(&found), Ord::max);
        Ok(Self { prefix: prefix.to_owned(), inode: found.ino(), ended })
    }

    /// Whether what is changed once `note`, a file of the same file system, is written gets a later time than the installation has.
    pub(crate) fn is_before(&self, note: &Metadata) -> bool {
        self.ended < (note.mtime(), note.mtime_nsec())
    }

    /// Whether it is at `prefix` still, with nothing in it that is younger. What cannot be looked at may have changed.
    pub(crate) fn is_unchanged(&self, prefix: &Path) -> bool {
        let inode = fs::symlink_metadata(prefix).map(|found| found.ino());
        let is_same = prefix == self.prefix && inode.is_ok_and(|inode| inode == self.inode);
        is_same && none_younger(prefix, self.ended).unwrap_or(false)
    }
}

fn changed(metadata: &Metadata) -> (i64, i64) {
    (metadata.ctime(), metadata.ctime_nsec())
}

/// Whether nothing in the tree was changed after `time`: seconds since 1970, and nanoseconds.
fn none_younger(root: &Path, time: (i64, i64)) -> io::Result<bool> {
    let is_younger = |metadata: &Metadata| changed(metadata) > time;
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
    use crate::origin::write_after;

    /// A prefix, and what was installed there and noted.
    fn installed(scratch: &Path) -> (PathBuf, Installation) {
        let prefix = scratch.join("x-1");
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::write(prefix.join("bin/x"), "x").unwrap();
        fs::write(prefix.join("bin/y"), "y").unwrap();
        // The last step.
        fs::create_dir(prefix.join(METADATA_DIRECTORY)).unwrap();
        fs::write(prefix.join(METADATA_DIRECTORY).join(SPEC_FILE), "{}").unwrap();
        let installation = Installation::at(&prefix).unwrap();
        write_after(&scratch.join("note"), b"", &installation).unwrap();
        (prefix, installation)
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
        // Often, for an edit in the same tick of the clock is seen now and then without waiting for the next.
        for (what, change) in changes.iter().cycle().take(8 * changes.len()) {
            let scratch = tempfile::tempdir().unwrap();
            let (prefix, installation) = installed(scratch.path());
            assert!(installation.is_unchanged(&prefix), "before {what}");
            change(&prefix.join("bin"));
            assert!(!installation.is_unchanged(&prefix), "{what}");
        }
    }

    #[test]
    fn reading_is_no_change_and_a_prefix_that_is_gone_is_one() {
        let scratch = tempfile::tempdir().unwrap();
        let (prefix, installation) = installed(scratch.path());
        fs::read(prefix.join("bin/x")).unwrap();
        assert!(installation.is_unchanged(&prefix));
        assert!(!installation.is_unchanged(&scratch.path().join("other")));
        fs::remove_dir_all(&prefix).unwrap();
        assert!(!installation.is_unchanged(&prefix));
    }
}
