//! Writing entries into a directory that nothing can lead out of.
//!
//! Everything is created relative to the descriptor of its parent, and the descriptors of the current path
//! are kept: walking down opens one component at a time without following links, so no entry can pass through
//! a symbolic link that an earlier one planted. The layer's order (depth first) makes that one open per
//! directory.
//!
//! Entries lie under their full name in the layer in a directory of our own until [`Tree::finish`]: which of
//! their parents is the package's prefix is known only with the last entry.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Sink;
use super::archive::Body;
use super::error::{HardLinkProblem, UnpackError};
use super::name::{EntryName, printable};
use super::promote;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How many directories a layer may leave to be made unasked, besides one for each entry: a name takes 1 KiB of a
/// layer and may have hundreds of components, each of which takes 4 KiB of a disk.
const UNLISTED_DIRECTORIES: u32 = 1 << 12;

/// A directory tree that is being written.
pub(super) struct Tree {
    /// Where entries go, for messages.
    path: PathBuf,
    destination: OwnedFd,
    staging: OwnedFd,
    /// The directories from below `staging` down to where the last entry went.
    open: Vec<(Vec<u8>, OwnedFd)>,
    modes: Modes,
    /// How many more directories may be made that are not listed.
    unlisted: u32,
}

/// Which modes the system does not give by itself, because of the umask or a default ACL.
struct Modes {
    /// What is left of 0777 for a new file.
    granted: u32,
    /// The mode to set on directories, if theirs is not right from the start.
    directory: Option<Mode>,
}

impl Tree {
    /// Starts a tree in `path`, an existing empty directory.
    pub(super) fn start(path: &Path) -> Result<Self, UnpackError> {
        let failed = |errno: Errno| UnpackError::Io { path: path.to_owned(), source: errno.into() };
        let destination = rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(failed)?;
        if !promote::names(&destination).map_err(failed)?.is_empty() {
            return Err(UnpackError::NotEmpty { path: path.to_owned() });
        }
        rustix::fs::mkdirat(&destination, promote::STAGING, Mode::from_raw_mode(0o755)).map_err(failed)?;
        let directory = Modes::of_directory(&destination).map_err(failed)?;
        let staging =
            rustix::fs::openat(&destination, promote::STAGING, DIRECTORY, Mode::empty()).map_err(failed)?;
        let modes = Modes { directory, granted: Modes::granted(&staging).map_err(failed)? };
        Ok(Tree {
            path: path.to_owned(),
            destination,
            staging,
            open: Vec::new(),
            modes,
            unlisted: UNLISTED_DIRECTORIES,
        })
    }

    /// Moves what lies in `prefix` (its name in the layer) up into the destination and drops its parents.
    ///
    /// # Errors
    /// If anything lies outside of the prefix but its parents.
    pub(super) fn finish(mut self, prefix: &[u8]) -> Result<(), UnpackError> {
        self.open.clear();
        promote::promote(&self.path, &self.destination, self.staging, prefix)
    }

    /// The directory in which the entry `name` goes, and its name there. Missing parents are made.
    fn parent<'n>(&mut self, name: &'n EntryName) -> Result<(BorrowedFd<'_>, &'n [u8]), UnpackError> {
        let (parent, base) = name.split().unwrap_or_default();
        let (depth, missing) = self.way(parent);
        self.open.truncate(depth);
        self.unlisted = self.unlisted.saturating_add(1);
        for component in missing {
            let directory = self.enter(component, name)?;
            self.open.push((component.to_vec(), directory));
        }
        Ok((self.current(), base))
    }

    /// How many of the open directories lie on the way to `directory`, and the components below them.
    fn way<'n>(&self, directory: &'n [u8]) -> (usize, impl Iterator<Item = &'n [u8]> + use<'n>) {
        let components = directory.split(|byte| *byte == b'/').filter(|component| !component.is_empty());
        let mut components = components.peekable();
        let mut depth = 0;
        let is_open =
            |depth: usize, component: &[u8]| self.open.get(depth).is_some_and(|(open, _)| open == component);
        while components.next_if(|component| is_open(depth, component)).is_some() {
            depth += 1;
        }
        (depth, components)
    }

    /// As [`Tree::parent`], for an entry that is there: nothing is made, and the current directory stays.
    fn existing_parent<'n>(&self, name: &'n EntryName) -> Result<(OwnedFd, &'n [u8]), Errno> {
        let (parent, base) = name.split().unwrap_or_default();
        let (depth, rest) = self.way(parent);
        let nearest = if depth == 0 { &self.staging } else { &self.open[depth - 1].1 };
        let mut directory = rustix::io::fcntl_dupfd_cloexec(nearest, 0)?;
        for component in rest {
            directory = rustix::fs::openat(&directory, component, DIRECTORY, Mode::empty())?;
        }
        Ok((directory, base))
    }

    fn current(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.staging.as_fd(), |(_, directory)| directory.as_fd())
    }

    /// Opens the directory `component` of the current one, on the way to the entry `name`.
    fn enter(&mut self, component: &[u8], name: &EntryName) -> Result<OwnedFd, UnpackError> {
        let current = self.current();
        match rustix::fs::openat(current, component, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                self.unlisted = self
                    .unlisted
                    .checked_sub(1)
                    .ok_or_else(|| UnpackError::UnlistedDirectories { entry: name.to_string() })?;
                let current = self.current();
                self.make_directory(component).map_err(|errno| self.failed(name, errno))?;
                rustix::fs::openat(current, component, DIRECTORY, Mode::empty())
                    .map_err(|errno| self.failed(name, errno))
            }
            // Linux says "not a directory" of a symbolic link too.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let parents = self.open.iter().map(|(open, _)| &open[..]).chain([component]);
                Err(UnpackError::NotBelowDirectory {
                    entry: name.to_string(),
                    parent: printable(&parents.collect::<Vec<_>>().join(&b'/')),
                    kind: kind_of(current, component),
                })
            }
            other => other.map_err(|errno| self.failed(name, errno)),
        }
    }

    /// Makes a directory of mode 0755 in the current one.
    fn make_directory(&self, base: &[u8]) -> Result<(), Errno> {
        let current = self.current();
        rustix::fs::mkdirat(current, base, Mode::from_raw_mode(0o755))?;
        if let Some(mode) = self.modes.directory {
            rustix::fs::chmodat(current, base, mode, AtFlags::empty())?;
        }
        Ok(())
    }

    fn failed(&self, name: &EntryName, error: impl Into<io::Error>) -> UnpackError {
        UnpackError::Io { path: self.path.join(OsStr::from_bytes(name.bytes())), source: error.into() }
    }

    /// What an error of making the entry `name`, `base` in the current directory, means.
    fn not_made(&self, name: &EntryName, base: &[u8], errno: Errno) -> UnpackError {
        match errno {
            Errno::EXIST => {
                UnpackError::Duplicate { entry: name.to_string(), kind: kind_of(self.current(), base) }
            }
            other => self.failed(name, other),
        }
    }
}

impl Sink for Tree {
    fn directory(&mut self, name: &EntryName) -> Result<(), UnpackError> {
        if name.is_root() {
            return Ok(());
        }
        let (_, base) = self.parent(name)?;
        match self.make_directory(base) {
            // Made before as a parent that the archive had not listed, or listed twice: all directories are
            // alike.
            Err(Errno::EXIST) if kind_of(self.current(), base) == DIRECTORY_KIND => Ok(()),
            made => made.map_err(|errno| self.not_made(name, base, errno)),
        }
    }

    fn file(
        &mut self,
        name: &EntryName,
        executable: bool,
        _size: u64,
        body: &mut dyn Body,
    ) -> Result<(), UnpackError> {
        const NEW: OFlags = OFlags::WRONLY
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let mode = if executable { 0o755 } else { 0o644 };
        let (current, base) = self.parent(name)?;
        let made = rustix::fs::openat(current, base, NEW, Mode::from_raw_mode(mode));
        let mut file = File::from(made.map_err(|errno| self.not_made(name, base, errno))?);
        loop {
            let chunk = body.chunk()?;
            if chunk.is_empty() {
                break;
            }
            file.write_all(chunk).map_err(|error| self.failed(name, error))?;
            let length = chunk.len();
            body.consume(length);
        }
        if mode & !self.modes.granted != 0 {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(|errno| self.failed(name, errno))?;
        }
        Ok(())
    }

    fn symlink(&mut self, name: &EntryName, target: &[u8]) -> Result<(), UnpackError> {
        let (current, base) = self.parent(name)?;
        rustix::fs::symlinkat(target, current, base).map_err(|errno| self.not_made(name, base, errno))
    }

    fn hard_link(&mut self, name: &EntryName, target: &EntryName) -> Result<(), UnpackError> {
        let refused =
            |problem| UnpackError::HardLink { entry: name.to_string(), target: target.to_string(), problem };
        let (source, source_base) = self.existing_parent(target).map_err(|errno| match errno {
            Errno::NOENT => refused(HardLinkProblem::Missing),
            Errno::NOTDIR | Errno::LOOP => refused(HardLinkProblem::NotFile),
            other => self.failed(target, other),
        })?;
        match rustix::fs::statat(&source, source_base, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {}
            Ok(_) => return Err(refused(HardLinkProblem::NotFile)),
            Err(Errno::NOENT) => return Err(refused(HardLinkProblem::Missing)),
            Err(other) => return Err(self.failed(target, other)),
        }
        let (current, base) = self.parent(name)?;
        rustix::fs::linkat(&source, source_base, current, base, AtFlags::empty())
            .map_err(|errno| self.not_made(name, base, errno))
    }
}

/// What the system makes of modes is found out by trying: the umask could be asked only by setting it, for
/// all threads.
impl Modes {
    /// Looks at the new staging directory, made with mode 0755, and sets its mode right.
    fn of_directory(destination: &OwnedFd) -> Result<Option<Mode>, Errno> {
        let stat = rustix::fs::statat(destination, promote::STAGING, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_mode & 0o777 == 0o755 {
            return Ok(None);
        }
        // A set-group-id bit that the parent hands down is the administrator's wish, not the layer's: it
        // stays.
        let mode = Mode::from_raw_mode(0o755 | stat.st_mode & 0o2000);
        rustix::fs::chmodat(destination, promote::STAGING, mode, AtFlags::empty())?;
        Ok(Some(mode))
    }

    fn granted(staging: &OwnedFd) -> Result<u32, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(staging, "probe", flags, Mode::from_raw_mode(0o777))?;
        let granted = rustix::fs::fstat(&file)?.st_mode & 0o777;
        rustix::fs::unlinkat(staging, "probe", AtFlags::empty())?;
        Ok(granted)
    }
}

const DIRECTORY_KIND: &str = "a directory";

/// What `base` in `directory` is, for messages.
fn kind_of(directory: BorrowedFd<'_>, base: &[u8]) -> &'static str {
    match rustix::fs::statat(directory, base, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => DIRECTORY_KIND,
            FileType::Symlink => "a symbolic link",
            FileType::RegularFile => "a file",
            _ => "something else",
        },
        Err(_) => "something else",
    }
}
