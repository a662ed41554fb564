//! The directories of a prefix and what is in them, in the order Spack packs them.
//!
//! Depth first, parents before children; in each directory the entries that are no directories, by name, then
//! the directories, by name. Only one directory's names are held at a time, plus the paths still to be visited.
//! Types come from `getdents`, so nothing is stat'ed unless the file system does not say.

use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::PackError;
use super::names::compare_names;

/// Bytes for one `getdents` call: hundreds of names, and far more than the longest one.
const NAMES_BUFFER: usize = 64 << 10;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What can be packed besides directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Symlink,
}

/// An open directory of the prefix.
pub(super) struct Directory {
    pub(super) fd: Rc<OwnedFd>,
    /// Path relative to the prefix, without slashes at either end; empty for the prefix itself.
    pub(super) relative: Vec<u8>,
    /// Files and links in order; devices, sockets and FIFOs are left out.
    pub(super) entries: Vec<(CString, Kind)>,
}

impl Directory {
    /// The path of `name` in here, relative to the prefix.
    pub(super) fn path_of(&self, name: &CStr) -> Vec<u8> {
        join(&self.relative, name.to_bytes())
    }
}

/// Visits the directories of a prefix. After an error the walk is of no further use.
pub(super) struct Walk<'a> {
    prefix: &'a Path,
    root: Rc<OwnedFd>,
    /// Relative paths to visit, the next one last.
    pending: Vec<Vec<u8>>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl<'a> Walk<'a> {
    /// Opens the prefix, which may be a symbolic link to a directory.
    pub(super) fn new(prefix: &'a Path) -> Result<Self, PackError> {
        let root = rustix::fs::openat(CWD, prefix, DIRECTORY, Mode::empty()).map_err(|errno| {
            let source = errno.into();
            match errno {
                Errno::NOENT | Errno::NOTDIR => {
                    PackError::PrefixMissing { prefix: prefix.to_owned(), source }
                }
                _ => PackError::Read { path: prefix.to_owned(), source },
            }
        })?;
        let buffer = vec![MaybeUninit::uninit(); NAMES_BUFFER];
        Ok(Self { prefix, root: Rc::new(root), pending: vec![Vec::new()], buffer })
    }

    /// The prefix itself, open.
    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    fn visit(&mut self, relative: Vec<u8>) -> Result<Directory, PackError> {
        let failed = |path: &[u8], errno: Errno| PackError::Read {
            path: absolute(self.prefix, path),
            source: errno.into(),
        };
        let fd = if relative.is_empty() {
            Rc::clone(&self.root)
        } else {
            let flags = DIRECTORY | OFlags::NOFOLLOW;
            let opened = rustix::fs::openat(&*self.root, relative.as_slice(), flags, Mode::empty());
            Rc::new(opened.map_err(|errno| failed(&relative, errno))?)
        };

        let mut entries = Vec::new();
        let mut directories = Vec::new();
        let mut listing = RawDir::new(&*fd, &mut self.buffer);
        while let Some(entry) = listing.next() {
            let entry = entry.map_err(|errno| failed(&relative, errno))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&*fd, name, AtFlags::SYMLINK_NOFOLLOW);
                    let stat = stat.map_err(|errno| failed(&join(&relative, name.to_bytes()), errno))?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                known => known,
            };
            match kind {
                FileType::Directory => directories.push(name.to_bytes().to_vec()),
                FileType::RegularFile => entries.push((name.to_owned(), Kind::File)),
                FileType::Symlink => entries.push((name.to_owned(), Kind::Symlink)),
                _ => {}
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| compare_names(a.to_bytes(), b.to_bytes()));
        directories.sort_unstable_by(|a, b| compare_names(b, a));
        self.pending.extend(directories.iter().map(|name| join(&relative, name)));
        Ok(Directory { fd, relative, entries })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Directory, PackError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.pending.pop()?;
        Some(self.visit(next))
    }
}

/// The absolute path of something below the prefix.
pub(super) fn absolute(prefix: &Path, relative: &[u8]) -> PathBuf {
    prefix.join(OsStr::from_bytes(relative))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(walk: Walk<'_>) -> Vec<String> {
        let mut all = Vec::new();
        for directory in walk {
            let directory = directory.unwrap();
            all.push(format!("{}/", String::from_utf8_lossy(&directory.relative)));
            for (name, kind) in &directory.entries {
                all.push(format!("{kind:?} {}", String::from_utf8_lossy(&directory.path_of(name))));
            }
        }
        all
    }

    #[test]
    fn directories_come_after_the_files_beside_them_and_in_pre_order() {
        let temporary = tempfile::tempdir().unwrap();
        let prefix = temporary.path();
        for directory in ["b/x", "b.d", "a", ".spack"] {
            std::fs::create_dir_all(prefix.join(directory)).unwrap();
        }
        for file in ["z", "B", "b/f", "b/x/g", "a/\u{fffd}", "a/\u{10000}"] {
            std::fs::write(prefix.join(file), "").unwrap();
        }
        symlink("b", prefix.join("link-to-directory")).unwrap();
        rustix::fs::mknodat(CWD, prefix.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let expected = [
            "/",
            "File B",
            "Symlink link-to-directory",
            "File z",
            ".spack/",
            "a/",
            "File a/\u{fffd}",
            "File a/\u{10000}",
            "b/",
            "File b/f",
            "b/x/",
            "File b/x/g",
            "b.d/",
        ];
        assert_eq!(names(Walk::new(prefix).unwrap()), expected);
    }

    #[test]
    fn many_names_in_one_directory_take_several_calls_and_stay_sorted() {
        let temporary = tempfile::tempdir().unwrap();
        let long = "n".repeat(200);
        for number in 0..1000 {
            std::fs::write(temporary.path().join(format!("{long}-{number:04}")), "").unwrap();
        }
        let all = names(Walk::new(temporary.path()).unwrap());
        assert_eq!(all.len(), 1001);
        assert!(all[1..].is_sorted(), "{all:?}");
    }

    #[test]
    fn a_missing_prefix_and_a_file_are_told_from_other_failures() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        std::fs::write(&file, "").unwrap();
        for prefix in [file.clone(), file.join("below"), temporary.path().join("missing")] {
            match Walk::new(&prefix) {
                Err(PackError::PrefixMissing { prefix: named, .. }) => assert_eq!(named, prefix),
                other => panic!("{:?}", other.err()),
            }
        }
    }
}
