//! Opens files beneath the tree being relocated, never through a symbolic link.
//!
//! The names come out of a layer, and so do the links in the tree: `lib -> /etc` with a listed text file
//! `lib/passwd` must not be followed.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The directory a package lies in now.
pub(super) struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens `root`, which is trusted: links in its own path are followed.
    pub(super) fn open(root: &Path) -> io::Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Tree { root: rustix::fs::open(root, flags, Mode::empty())? })
    }

    /// Opens a directory; an empty path is the root.
    pub(super) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        if path.as_os_str().is_empty() {
            return Ok(rustix::fs::openat(&self.root, ".", flags | OFlags::CLOEXEC, Mode::empty())?);
        }
        Ok(self.open_beneath(path, flags)?)
    }

    /// Opens the file `path` for reading and writing.
    pub(super) fn file(&self, path: &Path) -> io::Result<File> {
        open_writable(|flags| self.open_beneath(path, flags))
    }

    /// Opens the directory of `path` and answers its last component.
    pub(super) fn parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.directory(path.parent().unwrap_or(Path::new("")))?, name))
    }

    fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve) {
            // Linux before 5.6 has no openat2, and older container runtimes forbid what they do not know.
            Err(Errno::NOSYS | Errno::PERM) => open_by_component(&self.root, path, flags),
            opened => opened,
        }
    }
}

/// What openat2 does, one component at a time.
fn open_by_component(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut components = path.components();
    let last = components.next_back().ok_or(Errno::NOENT)?;
    let mut directory: Option<OwnedFd> = None;
    for component in components {
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let within = directory.as_ref().unwrap_or(root).as_fd();
        let next = rustix::fs::openat(within, component.as_os_str(), on_the_way, Mode::empty())?;
        directory = Some(next);
    }
    rustix::fs::openat(directory.as_ref().unwrap_or(root), last.as_os_str(), flags, Mode::empty())
}

/// Opens the file `name` in `directory` for reading and writing.
pub(super) fn open_in(directory: &OwnedFd, name: &std::ffi::CStr) -> io::Result<File> {
    open_writable(|flags| {
        rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    })
}

/// Opens for reading and writing with `open`; a file its owner may not write is made writable for the moment of
/// opening.
fn open_writable(open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> io::Result<File> {
    // NONBLOCK: opening a FIFO must not wait for its other end; on regular files it means nothing.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    match open(OFlags::RDWR | flags) {
        Err(Errno::ACCESS) => {
            let readable = File::from(open(OFlags::RDONLY | flags)?);
            let permissions = readable.metadata()?.permissions();
            readable.set_permissions(Permissions::from_mode(permissions.mode() | 0o200))?;
            let writable = open(OFlags::RDWR | flags);
            readable.set_permissions(permissions)?;
            Ok(File::from(writable?))
        }
        opened => Ok(File::from(opened?)),
    }
}

/// Whether a listed path can only mean something beneath the tree: relative, without `..`, not empty.
pub(super) fn is_beneath(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && path.components().all(|component| matches!(component, Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_plain_relative_paths_are_beneath() {
        for good in ["a", "a/b", "a//b", "..a/b.."] {
            assert!(is_beneath(Path::new(good)), "{good}");
        }
        for bad in ["", "/a", "..", "a/../b", "./a", "a\0b"] {
            assert!(!is_beneath(Path::new(bad)), "{bad}");
        }
    }

    #[test]
    fn no_link_is_followed_either_way() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("real")).unwrap();
        std::fs::write(directory.path().join("real/file"), "y").unwrap();
        symlink(outside.path(), directory.path().join("away")).unwrap();
        symlink("real", directory.path().join("near")).unwrap();
        symlink("file", directory.path().join("real/link")).unwrap();
        let tree = Tree::open(directory.path()).unwrap();
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let by_component = |path: &str| open_by_component(&tree.root, Path::new(path), flags).is_ok();
        for (path, expected) in [
            ("real/file", true),
            ("away/secret", false),
            ("near/file", false),
            ("real/link", false),
            ("none", false),
        ] {
            assert_eq!(tree.file(Path::new(path)).is_ok(), expected, "openat2: {path}");
            assert_eq!(by_component(path), expected, "openat: {path}");
        }
        assert!(tree.directory(Path::new("near")).is_err());
        assert!(tree.directory(Path::new("")).is_ok());
    }
}
