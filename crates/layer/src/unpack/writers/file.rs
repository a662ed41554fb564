//! One file, created, written and noted.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha1::{Digest, Sha1};

use super::NewFile;
use crate::relocate::{FIRST_LINE_LIMIT, has_long_shebang};
use crate::unpack::notes::{BYTECODE_HEADER, FileNote, Owned, Written};

const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What the system leaves of mode 0777 for a new file.
#[derive(Clone, Copy)]
pub(super) struct Granted(pub(super) u32);

/// What one file after the other uses.
#[derive(Default)]
pub(super) struct Scratch {
    /// The first bytes of the file.
    start: Vec<u8>,
}

/// Why a file was not written.
pub(in crate::unpack) enum WriteError {
    /// Something of the name is there.
    Exists,
    Io(io::Error),
}

impl From<Errno> for WriteError {
    fn from(errno: Errno) -> Self {
        WriteError::Io(errno.into())
    }
}

/// A file that is being written.
pub(super) struct Writing<'s> {
    file: File,
    /// The mode to set, if it is not right from the start.
    mode: Option<Mode>,
    sha1: Sha1,
    start: &'s mut Vec<u8>,
}

impl<'s> Writing<'s> {
    pub(super) fn create(
        new: &NewFile,
        granted: Granted,
        scratch: &'s mut Scratch,
    ) -> Result<Self, WriteError> {
        let mode = Mode::from_raw_mode(if new.executable { 0o755 } else { 0o644 });
        let file = match rustix::fs::openat(&new.directory, &new.base[..], NEW, mode) {
            Err(Errno::EXIST) => return Err(WriteError::Exists),
            made => File::from(made?),
        };
        scratch.start.clear();
        let mode = (mode.as_raw_mode() & !granted.0 != 0).then_some(mode);
        Ok(Writing { file, mode, sha1: Sha1::new(), start: &mut scratch.start })
    }

    /// Adds `bytes` at the end.
    pub(super) fn write(mut self, bytes: &[u8]) -> Result<Self, WriteError> {
        self.file.write_all(bytes).map_err(WriteError::Io)?;
        self.sha1.update(bytes);
        let missing = FIRST_LINE_LIMIT.saturating_sub(self.start.len());
        self.start.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        Ok(self)
    }

    /// Closes the file.
    pub(super) fn finish(self) -> Result<Written, WriteError> {
        if let Some(mode) = self.mode {
            rustix::fs::fchmod(&self.file, mode)?;
        }
        let stat = rustix::fs::fstat(&self.file)?;
        Ok(Written {
            owned: Owned::from_stat(&stat),
            file: FileNote::new(&stat, self.sha1.finalize().into(), has_long_shebang(self.start)),
            bytecode: self.start.first_chunk::<BYTECODE_HEADER>().copied(),
        })
    }
}
