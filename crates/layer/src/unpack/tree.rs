//! Writing entries into a directory that nothing can lead out of.
//!
//! Everything is created relative to the descriptor of its parent, and the descriptors of the current path
//! are kept: walking down opens one component at a time without following links, so no entry can pass through
//! a symbolic link that an earlier one planted. The layer's order (depth first) makes that one open per
//! directory. Directories and links are made here, files by the threads of [`Writers`]; which names are taken is
//! known from [`Names`].
//!
//! Entries lie under their full name in the layer in a directory of our own until [`Tree::finish`]: which of
//! their parents is the package's prefix is known only with the last entry.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Sink;
use super::archive::Body;
use super::error::{HardLinkProblem, UnpackError};
use super::name::{EntryName, printable};
use super::names::{Names, NoFile, ROOT, What};
use super::notes::{FileNote, Notes, Owned, OwnedByKind};
use super::promote;
use super::writers::{Done, NewFile, WriteError, Writers};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How many directories a layer may leave to be made unasked, besides one for each entry: a name takes 1 KiB of a
/// layer and may have hundreds of components, each of which takes 4 KiB of a disk.
const UNLISTED_DIRECTORIES: u32 = 1 << 12;

/// Where Python keeps byte-code, of which the first bytes are noted.
const BYTECODE_DIRECTORY: &[u8] = b"__pycache__";

/// A directory tree that is being written.
pub(super) struct Tree {
    /// Where entries go, for messages.
    path: PathBuf,
    destination: OwnedFd,
    names: Names,
    /// By number of the name: what became of a file.
    written: Vec<Option<(Owned, FileNote)>>,
    /// The directories from `staging`, which is always there, down to where the last entry went.
    open: Vec<(u32, Arc<OwnedFd>)>,
    modes: Modes,
    /// Mode and owner that the first symbolic link got: all are alike.
    symlink: Option<Owned>,
    /// How many more directories may be made that are not listed.
    unlisted: u32,
    writers: Writers,
}

/// Which modes the system does not give by itself, because of the umask or a default ACL.
struct Modes {
    /// The mode to set on directories, if theirs is not right from the start.
    directory: Option<Mode>,
    /// Mode and owner that every directory has then: each has those that decide over it from the one above.
    made: Owned,
}

impl Tree {
    /// Starts a tree in `path`, an existing empty directory, with files written by up to `threads` threads.
    pub(super) fn start(path: &Path, threads: usize) -> Result<Self, UnpackError> {
        let failed = |errno: Errno| UnpackError::Io { path: path.to_owned(), source: errno.into() };
        let destination = rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(failed)?;
        if !promote::names(&destination).map_err(failed)?.is_empty() {
            return Err(UnpackError::NotEmpty { path: path.to_owned() });
        }
        rustix::fs::mkdirat(&destination, promote::STAGING, Mode::from_raw_mode(0o755)).map_err(failed)?;
        let (directory, made) = Modes::of_directory(&destination).map_err(failed)?;
        let staging =
            rustix::fs::openat(&destination, promote::STAGING, DIRECTORY, Mode::empty()).map_err(failed)?;
        let granted = Modes::granted(&staging).map_err(failed)?;
        Ok(Tree {
            path: path.to_owned(),
            destination,
            names: Names::new(),
            written: Vec::new(),
            open: vec![(ROOT, Arc::new(staging))],
            modes: Modes { directory, made },
            symlink: None,
            unlisted: UNLISTED_DIRECTORIES,
            writers: Writers::new(threads, granted),
        })
    }

    /// Waits for the files, and moves what lies in `prefix` (its name in the layer) up into the destination, dropping its
    /// parents.
    ///
    /// # Errors
    /// If a file could not be written, or anything lies outside of the prefix but its parents.
    pub(super) fn finish(mut self, prefix: &[u8]) -> Result<Notes, UnpackError> {
        self.wait()?;
        let failed = |errno: Errno| UnpackError::Io { path: self.path.clone(), source: errno.into() };
        let staging = rustix::io::fcntl_dupfd_cloexec(&self.open[0].1, 0).map_err(failed)?;
        self.open.clear();
        promote::promote(&self.path, &self.destination, staging, prefix)?;
        let stat = rustix::fs::fstat(&self.destination).map_err(failed)?;
        let owned = OwnedByKind {
            prefix: Owned::from_stat(&stat),
            directory: self.modes.made,
            symlink: self.symlink.unwrap_or(self.modes.made),
        };
        let node = self.names.find(prefix).ok().flatten().unwrap_or(ROOT);
        Ok(Notes::of(&self.names, node, owned, |node| self.written.get_mut(node as usize)?.take()))
    }

    /// Waits until all files are there.
    fn wait(&mut self) -> Result<(), UnpackError> {
        let mut done = Vec::new();
        let all = self.writers.wait(|file| done.push(file));
        self.take_in(done)?;
        if all {
            return Ok(());
        }
        let source = io::Error::other("a thread that writes files ended early");
        Err(UnpackError::Io { path: self.path.clone(), source })
    }

    /// Keeps what became of files.
    fn take_in(&mut self, done: Vec<Done>) -> Result<(), UnpackError> {
        for Done { node, result } in done {
            let written = match result {
                Ok(written) => written,
                Err(WriteError::Io(error)) => return Err(self.failed(&self.names.name(node), error)),
                // Names that the file system takes for one.
                Err(WriteError::Exists) => {
                    let entry = printable(&self.names.name(node));
                    return Err(UnpackError::Duplicate { entry, kind: "something else" });
                }
            };
            let mut file = written.file;
            if &**self.names.base(self.names.parent(node)) == BYTECODE_DIRECTORY {
                file.bytecode = written.bytecode.map(Box::new);
            }
            let node = node as usize;
            if self.written.len() <= node {
                self.written.resize_with(node + 1, || None);
            }
            self.written[node] = Some((written.owned, file));
        }
        Ok(())
    }

    /// Goes to the directory in which the entry `name` goes; gives its name there. Missing parents are made.
    fn parent<'n>(&mut self, name: &'n EntryName) -> Result<&'n [u8], UnpackError> {
        let (parent, base) = name.split().unwrap_or_default();
        let (depth, missing) = self.way(parent);
        self.open.truncate(depth);
        self.unlisted = self.unlisted.saturating_add(1);
        for component in missing {
            let directory = self.enter(component, name)?;
            self.open.push(directory);
        }
        Ok(base)
    }

    /// How many of the open directories lie on the way to `directory`, and the components below them.
    fn way<'n>(&self, directory: &'n [u8]) -> (usize, impl Iterator<Item = &'n [u8]> + use<'n>) {
        let components = directory.split(|byte| *byte == b'/').filter(|component| !component.is_empty());
        let mut components = components.peekable();
        let mut depth = 1;
        let is_open = |depth: usize, component: &[u8]| {
            self.open.get(depth).is_some_and(|(node, _)| &**self.names.base(*node) == component)
        };
        while components.next_if(|component| is_open(depth, component)).is_some() {
            depth += 1;
        }
        (depth, components)
    }

    /// The directory of an entry that is there, and its name in it: nothing is made, and the current directory stays.
    fn existing_parent<'n>(&self, name: &'n EntryName) -> Result<(OwnedFd, &'n [u8]), Errno> {
        let (parent, base) = name.split().unwrap_or_default();
        let (depth, rest) = self.way(parent);
        let mut directory = rustix::io::fcntl_dupfd_cloexec(&self.open[depth - 1].1, 0)?;
        for component in rest {
            directory = rustix::fs::openat(&directory, component, DIRECTORY, Mode::empty())?;
        }
        Ok((directory, base))
    }

    /// The number of the current directory, and the directory.
    fn current(&self) -> (u32, &Arc<OwnedFd>) {
        let (node, directory) = &self.open[self.open.len() - 1];
        (*node, directory)
    }

    /// Opens the directory `component` of the current one, on the way to the entry `name`.
    fn enter(&mut self, component: &[u8], name: &EntryName) -> Result<(u32, Arc<OwnedFd>), UnpackError> {
        let (current, _) = self.current();
        let node = match self.names.child(current, component) {
            Some(node) => match self.names.what(node) {
                What::Directory(_) => node,
                other => {
                    return Err(UnpackError::NotBelowDirectory {
                        entry: name.to_string(),
                        parent: printable(&self.names.name(node)),
                        kind: other.kind(),
                    });
                }
            },
            None => {
                self.unlisted = self
                    .unlisted
                    .checked_sub(1)
                    .ok_or_else(|| UnpackError::UnlistedDirectories { entry: name.to_string() })?;
                self.make_directory(component).map_err(|errno| self.not_made(name, component, errno))?;
                self.names.add(current, component, What::directory())
            }
        };
        let (_, directory) = self.current();
        let opened = rustix::fs::openat(directory, component, DIRECTORY, Mode::empty());
        Ok((node, Arc::new(opened.map_err(|errno| self.failed(name.bytes(), errno))?)))
    }

    /// Makes a directory of mode 0755 in the current one.
    fn make_directory(&self, base: &[u8]) -> Result<(), Errno> {
        let (_, current) = self.current();
        rustix::fs::mkdirat(current, base, Mode::from_raw_mode(0o755))?;
        if let Some(mode) = self.modes.directory {
            rustix::fs::chmodat(current, base, mode, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Refuses `name`, `base` in the current directory, if the layer had it before.
    fn only_once(&self, name: &EntryName, base: &[u8]) -> Result<(), UnpackError> {
        match self.names.child(self.current().0, base) {
            Some(node) => {
                let kind = self.names.what(node).kind();
                Err(UnpackError::Duplicate { entry: name.to_string(), kind })
            }
            None => Ok(()),
        }
    }

    fn failed(&self, name: &[u8], error: impl Into<io::Error>) -> UnpackError {
        UnpackError::Io { path: self.path.join(OsStr::from_bytes(name)), source: error.into() }
    }

    /// What an error of making the entry `name`, `base` in the current directory, means.
    fn not_made(&self, name: &EntryName, base: &[u8], errno: Errno) -> UnpackError {
        match errno {
            // Names that the file system takes for one.
            Errno::EXIST => UnpackError::Duplicate {
                entry: name.to_string(),
                kind: kind_of(self.current().1.as_fd(), base),
            },
            other => self.failed(name.bytes(), other),
        }
    }
}

impl Sink for Tree {
    fn directory(&mut self, name: &EntryName) -> Result<(), UnpackError> {
        if name.is_root() {
            return Ok(());
        }
        let base = self.parent(name)?;
        let (current, _) = self.current();
        // Made before as a parent that the archive had not listed, or listed twice: all directories are alike.
        if let Some(node) = self.names.child(current, base)
            && matches!(self.names.what(node), What::Directory(_))
        {
            return Ok(());
        }
        self.only_once(name, base)?;
        self.make_directory(base).map_err(|errno| self.not_made(name, base, errno))?;
        self.names.add(current, base, What::directory());
        Ok(())
    }

    fn file(
        &mut self,
        name: &EntryName,
        executable: bool,
        size: u64,
        body: &mut dyn Body,
    ) -> Result<(), UnpackError> {
        let base = self.parent(name)?;
        self.only_once(name, base)?;
        let done = self.writers.done();
        self.take_in(done)?;
        let (current, directory) = self.current();
        let directory = Arc::clone(directory);
        let node = self.names.add(current, base, What::File);
        let base = Arc::clone(self.names.base(node));
        self.writers.write(NewFile { node, directory, base, executable }, size, body)
    }

    fn symlink(&mut self, name: &EntryName, target: &[u8]) -> Result<(), UnpackError> {
        let base = self.parent(name)?;
        self.only_once(name, base)?;
        let (current, directory) = self.current();
        rustix::fs::symlinkat(target, directory, base).map_err(|errno| self.not_made(name, base, errno))?;
        if self.symlink.is_none() {
            let stat = rustix::fs::statat(directory, base, AtFlags::SYMLINK_NOFOLLOW);
            self.symlink = Some(Owned::from_stat(&stat.map_err(|errno| self.failed(name.bytes(), errno))?));
        }
        self.names.add(current, base, What::Symlink(target.to_owned()));
        Ok(())
    }

    fn hard_link(&mut self, name: &EntryName, target: &EntryName) -> Result<(), UnpackError> {
        let first = self.names.file(target).map_err(|problem| UnpackError::HardLink {
            entry: name.to_string(),
            target: target.to_string(),
            problem: match problem {
                NoFile::Missing => HardLinkProblem::Missing,
                NoFile::Other => HardLinkProblem::NotFile,
            },
        })?;
        let base = self.parent(name)?;
        self.only_once(name, base)?;
        if self.written.get(first as usize).is_none_or(Option::is_none) {
            self.wait()?;
        }
        let (source, source_base) =
            self.existing_parent(target).map_err(|errno| self.failed(target.bytes(), errno))?;
        let (current, directory) = self.current();
        rustix::fs::linkat(&source, source_base, directory, base, AtFlags::empty())
            .map_err(|errno| self.not_made(name, base, errno))?;
        self.names.add(current, base, What::HardLink(first));
        Ok(())
    }
}

/// What the system makes of modes is found out by trying: the umask could be asked only by setting it, for
/// all threads.
impl Modes {
    /// Looks at the new staging directory, made with mode 0755, and sets its mode right.
    fn of_directory(destination: &OwnedFd) -> Result<(Option<Mode>, Owned), Errno> {
        let stat = rustix::fs::statat(destination, promote::STAGING, AtFlags::SYMLINK_NOFOLLOW)?;
        let owned = Owned::from_stat(&stat);
        if stat.st_mode & 0o777 == 0o755 {
            return Ok((None, owned));
        }
        // A set-group-id bit that the parent hands down is the administrator's wish, not the layer's: it
        // stays.
        let mode = Mode::from_raw_mode(0o755 | stat.st_mode & 0o2000);
        rustix::fs::chmodat(destination, promote::STAGING, mode, AtFlags::empty())?;
        Ok((Some(mode), Owned { mode: stat.st_mode & !0o7777 | mode.as_raw_mode(), ..owned }))
    }

    fn granted(staging: &OwnedFd) -> Result<u32, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(staging, "probe", flags, Mode::from_raw_mode(0o777))?;
        let granted = rustix::fs::fstat(&file)?.st_mode & 0o777;
        rustix::fs::unlinkat(staging, "probe", AtFlags::empty())?;
        Ok(granted)
    }
}

/// What `base` in `directory` is, for messages.
fn kind_of(directory: BorrowedFd<'_>, base: &[u8]) -> &'static str {
    match rustix::fs::statat(directory, base, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => "a directory",
            FileType::Symlink => "a symbolic link",
            FileType::RegularFile => "a file",
            _ => "something else",
        },
        Err(_) => "something else",
    }
}
