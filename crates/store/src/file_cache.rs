//! Files that packages of a store have in common, so that their contents are on the disk once (`--link-mode`).
//!
//! `<root>/.spack-db/strata-files/ab/ab12…-SIZE-MODE-UID-GID`, named by SHA-1, has the contents of a file that was installed:
//! the same inode where files are hard links, else a clone (`FICLONE`). It is beside the database because names and blocks can
//! only be shared within a file system, and because whoever may change it may change the packages as well.
//!
//! The name is how an entry is found, not why it is believed: before it is used its contents are compared, byte by byte, with
//! those of the file whose place it takes. So an edit in place, a crash of the machine or two contents with one SHA-1 cost
//! another copy and are never installed. An entry that is found wrong is replaced.
//!
//! Nobody has to remove entries for packages to be right. One that no package is linked to takes up room: [`prune`].

use crate::root::StoreRoot;
use crate::stage::{StageArea, create_like_parent};
use data_encoding::HEXLOWER;
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DIRECTORY: &str = "strata-files";
/// Bytes that are compared at a time.
const WINDOW: usize = 64 << 10;

/// How a file is installed that a package has in common with another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkMode {
    /// As a file of its own.
    #[default]
    Copy,
    /// As a clone where the file system can do that, else as a file of its own.
    Auto,
    /// As another name of the same file.
    Hardlink,
    /// As a file of its own that has its blocks in common with the other until one of them is written to.
    Reflink,
}

/// Files cannot be shared in the way that was asked for, or what is shared cannot be handled.
#[derive(Debug, thiserror::Error)]
pub enum FileCacheError {
    /// The file system, or a border between two, does not allow it.
    #[error("cannot make {what} of files in {} in {}: {source}", from.display(), to.display())]
    Unsupported {
        /// Hard links or clones.
        what: &'static str,
        /// Where packages are staged.
        from: PathBuf,
        /// Where files are kept.
        to: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory could not be handled.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileCacheError {
    move |source| FileCacheError::Io { action, path: path.to_owned(), source }
}

/// What is known of a staged file.
#[derive(Clone, Copy, Debug)]
pub struct StagedFile<'f> {
    /// Where it is now.
    pub path: &'f Path,
    /// SHA-1 of the contents.
    pub sha1: [u8; 20],
    /// Bytes in it.
    pub size: u64,
    /// As `st_mode`.
    pub mode: u32,
    /// User id.
    pub owner: u32,
    /// Group id.
    pub group: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    HardLink,
    Clone,
}

/// The files that packages of a store share.
#[derive(Debug)]
pub struct FileCache {
    directory: PathBuf,
    way: Way,
}

impl FileCache {
    /// Those of the store at `root`; none if files are not to be shared. Whether it can be done is tried out.
    ///
    /// # Errors
    /// [`FileCacheError::Unsupported`] where what was asked for cannot be had.
    pub fn open(root: &StoreRoot, area: &StageArea, mode: LinkMode) -> Result<Option<Self>, FileCacheError> {
        let way = match mode {
            LinkMode::Copy => return Ok(None),
            LinkMode::Hardlink => Way::HardLink,
            LinkMode::Auto | LinkMode::Reflink => Way::Clone,
        };
        let cache = Self { directory: root.database_directory().join(DIRECTORY), way };
        create_like_parent(&cache.directory).map_err(failed("create", &cache.directory))?;
        let staged = area.directory().join("probe");
        fs::write(&staged, "probe").map_err(failed("write", &staged))?;
        let twin = cache.directory.join(format!("probe.{}", uuid::Uuid::new_v4().simple()));
        let outcome = cache.duplicate(&staged, &twin, 0o600);
        let _ = fs::remove_file(&staged);
        let _ = fs::remove_file(&twin);
        let Err(source) = outcome else { return Ok(Some(cache)) };
        let _ = fs::remove_dir(&cache.directory); // fails where there is something in it
        if mode == LinkMode::Auto {
            return Ok(None);
        }
        let what = if way == Way::HardLink { "hard links" } else { "clones" };
        let from = area.directory().to_owned();
        Err(FileCacheError::Unsupported { what, from, to: cache.directory, source })
    }

    /// Whether all names of an entry are names of the same file.
    pub fn is_linking(&self) -> bool {
        self.way == Way::HardLink
    }

    /// Puts what is kept of these contents, with the same mode and owner, in the place of `file`, and says when that was
    /// modified last. None if nothing was kept that is the same: then it is from now on, if possible. The file is left as it
    /// is whatever goes wrong. `spare` is a path in the staging area that nobody else uses.
    pub fn share(&self, file: &StagedFile<'_>, spare: &Path) -> Option<(i64, u32)> {
        let entry = self.entry(file);
        let shared = match is_same(&entry, file) {
            Ok(Some(inode)) => self.replace(file, &entry, inode, spare).map(Some),
            Ok(None) => self.keep(file, &entry, spare).map(|()| None),
            Err(error) => Err(error),
        };
        let _ = shared.is_err().then(|| fs::remove_file(spare));
        shared.ok().flatten()
    }

    fn entry(&self, file: &StagedFile<'_>) -> PathBuf {
        let hex = HEXLOWER.encode(&file.sha1);
        let StagedFile { size, mode, owner, group, .. } = file;
        self.directory.join(&hex[..2]).join(format!("{hex}-{size}-{mode:o}-{owner}-{group}"))
    }

    fn replace(
        &self,
        file: &StagedFile<'_>,
        entry: &Path,
        inode: u64,
        spare: &Path,
    ) -> io::Result<(i64, u32)> {
        self.duplicate(entry, spare, file.mode)?;
        let status = spare.symlink_metadata()?;
        // Another process may have replaced the entry meanwhile, and a directory may give its files a group.
        if !is_like(&status, file) || self.is_linking() && status.ino() != inode {
            return Err(io::ErrorKind::InvalidData.into());
        }
        fs::rename(spare, file.path)?;
        Ok((status.mtime(), status.mtime_nsec() as u32))
    }

    fn keep(&self, file: &StagedFile<'_>, entry: &Path, spare: &Path) -> io::Result<()> {
        self.duplicate(file.path, spare, file.mode)?;
        match fs::rename(spare, entry) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_like_parent(entry.parent().unwrap_or(&self.directory))?;
                fs::rename(spare, entry)
            }
            outcome => outcome,
        }
    }

    /// Makes `to`, which does not exist, another name of `from`, or a clone with this mode.
    fn duplicate(&self, from: &Path, to: &Path, mode: u32) -> io::Result<()> {
        if self.way == Way::HardLink {
            return fs::hard_link(from, to);
        }
        let from = open(from)?;
        let to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        rustix::fs::ioctl_ficlone(&to, &from)?;
        to.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
    }
}

/// Opens a file for reading, and nothing but a file; what a link leads to is none of ours.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Whether mode, owner and size are those of the file.
fn is_like(status: &Metadata, file: &StagedFile<'_>) -> bool {
    (status.mode(), status.uid(), status.gid(), status.len())
        == (file.mode, file.owner, file.group, file.size)
}

/// The inode of the entry if it is what the file is.
fn is_same(entry: &Path, file: &StagedFile<'_>) -> io::Result<Option<u64>> {
    let kept = match open(entry) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    let status = kept.metadata()?;
    let same = is_like(&status, file) && is_equal(&kept, &open(file.path)?, file.size)?;
    Ok(same.then(|| status.ino()))
}

/// Whether two files of this many bytes have the same contents.
fn is_equal(one: &File, other: &File, size: u64) -> io::Result<bool> {
    let mut windows = [vec![0; WINDOW], vec![0; WINDOW]];
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).map_or(WINDOW, |rest| rest.min(WINDOW));
        for (file, window) in [one, other].into_iter().zip(&mut windows) {
            file.read_exact_at(&mut window[..length], offset)?;
        }
        if windows[0][..length] != windows[1][..length] {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

/// What [`prune`] removes of the entries that no package is linked to. Each rule removes on its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileRules {
    /// Those that were not linked to for longest, until no more than this many bytes are left.
    pub max_bytes: Option<u64>,
    /// Those that were not linked to for so long.
    pub unused_for: Option<Duration>,
    /// All of them.
    pub everything: bool,
}

/// Entries that no package is linked to; clones never are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrunedFiles {
    /// How many were removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many are left.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

/// Removes entries of the store at `root` that no package is linked to. A package that is being installed finds its entry
/// or does not, and is right in both cases.
///
/// # Errors
/// [`FileCacheError::Io`] for what cannot be read or removed; what was removed before stays so.
pub fn prune(root: &StoreRoot, rules: &FileRules) -> Result<PrunedFiles, FileCacheError> {
    let directory = root.database_directory().join(DIRECTORY);
    let mut unused = Vec::new();
    for (path, status) in entries(&directory)? {
        if status.is_dir() {
            unused.extend(entries(&path)?.into_iter().filter(|(_, status)| status.is_file()));
        } else if status.is_file() {
            // Where a killed process tried out what can be done.
            unused.push((path, status));
        }
    }
    unused.retain(|(_, status)| status.nlink() == 1);
    // Whenever a file gets or loses a name the system stamps it.
    unused.sort_by_key(|(_, status)| (status.ctime(), status.ctime_nsec()));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut left: u64 = unused.iter().map(|(_, status)| status.len()).sum();
    let mut pruned = PrunedFiles::default();
    for (path, status) in unused {
        let age = now.saturating_sub(Duration::from_secs(status.ctime().try_into().unwrap_or_default()));
        let is_too_much = rules.max_bytes.is_some_and(|most| left > most);
        if rules.everything || is_too_much || rules.unused_for.is_some_and(|limit| age >= limit) {
            match fs::remove_file(&path) {
                // Another who prunes was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome.map_err(failed("remove", &path))?,
            }
            left -= status.len();
            (pruned.files, pruned.bytes) = (pruned.files + 1, pruned.bytes + status.len());
        } else {
            (pruned.kept, pruned.kept_bytes) = (pruned.kept + 1, pruned.kept_bytes + status.len());
        }
    }
    Ok(pruned)
}

/// What is in a directory; nothing if it does not exist.
fn entries(directory: &Path) -> Result<Vec<(PathBuf, Metadata)>, FileCacheError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome.map_err(failed("read", directory))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", directory))?;
        // Others may remove things meanwhile.
        found.extend(entry.metadata().ok().map(|status| (entry.path(), status)));
    }
    Ok(found)
}
