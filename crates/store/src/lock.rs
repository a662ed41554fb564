//! Byte-range locks that Spack's own processes see and honour.
//!
//! Spack locks with Python's `fcntl.lockf`, which is POSIX `F_SETLK`. Those locks belong to a process and vanish
//! when it closes *any* descriptor of the file, which no program with threads can live with. Open file description
//! locks (`F_OFD_SETLK`, Linux 3.15) conflict with them byte for byte, but belong to the open file: one guard, one
//! descriptor, safe in threads. `flock` would not be seen by Spack at all.
//!
//! Waiting is polling, as in Spack's `llnl/util/lock.py`: a blocking `F_OFD_SETLKW` could not be given up.

mod holder;

use crate::stale_handle;
use crate::watcher::{Delay, LOCK_PATIENCE, REMINDER, Watcher};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use strata_spec::DagHash;

/// Shared or exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Any number of holders, none of them writing.
    Read,
    /// One holder, and no readers.
    Write,
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockKind::Read => "read",
            LockKind::Write => "write",
        })
    }
}

/// Which bytes of a lock file a lock covers. They need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    start: i64,
    length: i64,
}

impl ByteRange {
    /// Every byte, now and later: what Spack takes on `.spack-db/lock`.
    pub const WHOLE_FILE: Self = Self { start: 0, length: 0 };

    /// The one byte of `.spack-db/prefix_lock` that stands for a spec: the offset is the first 63 bits of its hash.
    pub fn of_spec(hash: &DagHash) -> Self {
        Self { start: (hash.prefix_bits() & i64::MAX as u64) as i64, length: 1 }
    }
}

/// Who keeps us waiting, as far as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The process of that id, on this machine.
    Process(i32),
    /// This process itself, on another thread.
    Ourselves,
    /// Somebody without a process id: another user's open file description lock (strata holds such), or another host.
    Unnamed,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process(id) => write!(f, "process {id}"),
            Holder::Ourselves => f.write_str("this process"),
            Holder::Unnamed => f.write_str("another strata process or another host"),
        }
    }
}

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file can neither be opened nor made.
    #[error("cannot open the lock file {}: {source}", path.display())]
    Open {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A write lock was asked for, and the lock file may only be read.
    #[error("{} cannot be written: the store is read-only for this user", path.display())]
    ReadOnly {
        /// The lock file.
        path: PathBuf,
    },
    /// Others held it all the while.
    #[error(
        "no {kind} lock on {} after {:.1} s{}",
        path.display(), waited.as_secs_f64(), holder.map(|h| format!(": held by {h}")).unwrap_or_default()
    )]
    Timeout {
        /// The lock file.
        path: PathBuf,
        /// What was asked for.
        kind: LockKind,
        /// How long it was tried.
        waited: Duration,
        /// Who held it at the end; none if it had just been let go.
        holder: Option<Holder>,
    },
    /// The file system has no locks, as NFS without a lock manager, or some that are mounted with `nolock`.
    #[error("the file system cannot lock {}: {source}", path.display())]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses for another reason.
    #[error("cannot lock {}: {source}", path.display())]
    System {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A held lock; dropping it lets go.
#[derive(Debug)]
#[must_use = "the lock is let go when the guard is dropped"]
pub struct LockGuard {
    /// None where there is nothing to lock.
    file: Option<File>,
    range: ByteRange,
}

impl LockGuard {
    /// Stands for a lock where locking is switched off.
    pub(crate) fn unlocked() -> Self {
        Self { file: None, range: ByteRange::WHOLE_FILE }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Closing alone would do, but for a child between fork and exec that shares the open file.
        if let Some(file) = &self.file {
            let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&wire(libc::F_UNLCK, self.range)));
        }
    }
}

/// Takes a lock on `range` of the file `path`, which is made if need be; its directory must exist. Waits up to
/// `timeout`, or for ever if that is none.
///
/// A read lock on a file that may only be read uses a read-only descriptor. If there is no file and none can be
/// made, a read lock succeeds and holds nothing: every writer makes the file first, so there is none to wait for.
pub fn acquire(
    path: &Path,
    range: ByteRange,
    kind: LockKind,
    timeout: Option<Duration>,
    watcher: &Watcher,
) -> Result<LockGuard, LockError> {
    let Some(mut file) = watcher.over(path, || open(path, kind))? else { return Ok(LockGuard::unlocked()) };
    let start = Instant::now();
    let mut intervals = poll_intervals();
    let (mut word_at, mut stale) = (LOCK_PATIENCE, 0);
    loop {
        match watcher.over(path, || poll(&file, range, kind)) {
            Ok(true) => return Ok(LockGuard { file: Some(file), range }),
            Ok(false) => {}
            // Somebody replaced the file on the server: the one that has its name now is the one to lock.
            Err(source) if stale_handle::is(&source) && stale < stale_handle::ATTEMPTS => {
                stale += 1;
                std::thread::sleep(stale_handle::PAUSE);
                let Some(again) = open(path, kind)? else { return Ok(LockGuard::unlocked()) };
                file = again;
                continue;
            }
            Err(source) if is_without_locks(&source) => {
                return Err(LockError::NoLocks { path: path.into(), source });
            }
            Err(source) => return Err(LockError::System { path: path.into(), source }),
        }
        let waited = start.elapsed();
        let left = timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(waited));
        if left.is_zero() {
            let holder = holder(&file, range, kind);
            return Err(LockError::Timeout { path: path.into(), kind, waited, holder });
        }
        if waited >= word_at {
            word_at = waited + REMINDER;
            let holder = holder(&file, range, kind);
            watcher.tell(&Delay::Lock { path, kind, holder, waited });
        }
        std::thread::sleep(intervals.next().unwrap_or(LONGEST_INTERVAL).min(left));
    }
}

/// What systems say where a file system has no locks.
fn is_without_locks(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOLCK | libc::ENOSYS | libc::EOPNOTSUPP))
}

/// As [`acquire`], but gives up at once: none if somebody else holds the lock.
pub fn try_acquire(path: &Path, range: ByteRange, kind: LockKind) -> Result<Option<LockGuard>, LockError> {
    match acquire(path, range, kind, Some(Duration::ZERO), &Watcher::default()) {
        Ok(guard) => Ok(Some(guard)),
        Err(LockError::Timeout { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &Path, kind: LockKind) -> Result<Option<File>, LockError> {
    let failed = |source| LockError::Open { path: path.into(), source };
    let refused = match stale_handle::again(|| open_or_create(path)) {
        Ok(file) => return Ok(Some(file)),
        Err(error) => error,
    };
    match (refused.kind(), kind) {
        (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem, LockKind::Write) => {
            Err(LockError::ReadOnly { path: path.into() })
        }
        (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem, LockKind::Read) => {
            match File::open(path) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(error)),
            }
        }
        _ => Err(failed(refused)),
    }
}

/// The lock file `path`, made if need be. Whoever may write in its directory may lock it then, whatever the umask of
/// who came first: in a store that is shared by a group, a lock file that only its owner can open locks out the rest.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    let existing = || OpenOptions::new().read(true).write(true).open(path);
    match existing() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return existing(),
        other => other?,
    };
    if let Some(directory) = path.parent().and_then(|directory| directory.metadata().ok()) {
        let mode = file.metadata()?.mode() | directory.mode() & 0o666;
        // Where modes cannot be set, they do not matter either.
        let _ = file.set_permissions(Permissions::from_mode(mode & 0o777));
    }
    Ok(file)
}

/// One attempt: whether the lock is ours now.
fn poll(file: &File, range: ByteRange, kind: LockKind) -> io::Result<bool> {
    loop {
        return match fcntl(file, FcntlArg::F_OFD_SETLK(&wire(lock_type(kind), range))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

fn holder(file: &File, range: ByteRange, kind: LockKind) -> Option<Holder> {
    let mut lock = wire(lock_type(kind), range);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
    match (i32::from(lock.l_type), lock.l_pid) {
        (libc::F_UNLCK, _) => None,
        (_, id) if id > 0 => Some(Holder::Process(id)),
        _ => Some(holder::named(file).unwrap_or(Holder::Unnamed)),
    }
}

/// Who holds a lock that could not be had; none if nobody does, or the file is not there.
pub(crate) fn holder_of(path: &Path, range: ByteRange, kind: LockKind) -> Option<Holder> {
    holder(&open(path, kind).ok()??, range, kind)
}

fn lock_type(kind: LockKind) -> i32 {
    match kind {
        LockKind::Read => libc::F_RDLCK,
        LockKind::Write => libc::F_WRLCK,
    }
}

fn wire(lock_type: i32, range: ByteRange) -> libc::flock {
    libc::flock {
        l_type: lock_type as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: range.start,
        l_len: range.length,
        l_pid: 0, // must be zero for open file description locks
    }
}

const LONGEST_INTERVAL: Duration = Duration::from_millis(500);

/// Spack's pace (0.1 s for two seconds, 0.2 s up to ten, then 0.5 s) after a quick start: most of our transactions
/// are over in milliseconds.
fn poll_intervals() -> impl Iterator<Item = Duration> {
    let quick = [2, 4, 8, 16, 32].into_iter();
    let paces = [(20, 100), (40, 200)].into_iter().flat_map(|(times, pace)| std::iter::repeat_n(pace, times));
    quick.chain(paces).map(Duration::from_millis).chain(std::iter::repeat(LONGEST_INTERVAL))
}
