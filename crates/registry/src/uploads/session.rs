//! [`Session`]: the file of one unfinished upload, and the digest of what is in it.
//!
//! The file is the truth: what is in it has come, whatever became of the connection or of the server. The digest is
//! computed while the bytes come. Only when the server was started anew in between, or writing failed, or another
//! server over the same directory has written, are they read again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use strata_oci::{Digest, LayoutRepository};
use tokio::task::JoinHandle;

use crate::failure::{Code, Failure};

/// How long a lock is waited for, and how often it is asked for.
const LOCKED_WITHIN: Duration = Duration::from_secs(2);
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How much is read at once when the digest is computed again.
const CHUNK: usize = 1 << 20;

/// After how many bytes the disk is told to begin. What is left for the end, when the client waits for its answer, is
/// little then.
const FLUSH: u64 = 32 << 20;

/// An upload that is being written to.
pub(crate) struct Session {
    path: PathBuf,
    /// Open only while a request writes, so that thousands of unfinished uploads need no open files.
    file: Option<File>,
    /// Of all bytes in the file; `None` if they must be read for it.
    hasher: Option<Sha256>,
    /// How many bytes the file has. Others may look at it meanwhile.
    received: Arc<AtomicU64>,
    /// How many bytes have come since the disk was last told to write, and whether it is still about it.
    unflushed: u64,
    flushing: Option<JoinHandle<()>>,
    /// Whether it was finished or given up, so that the file is gone.
    ended: bool,
}

impl Session {
    /// A new one, at `path`.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Self { hasher: Some(Sha256::new()), ..Self::at(path, 0) })
    }

    /// One that is there from before; `None` if there is none.
    pub(super) fn resume(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Self::at(path, metadata.len()))),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn at(path: &Path, received: u64) -> Self {
        let received = Arc::new(AtomicU64::new(received));
        Self {
            path: path.to_path_buf(),
            file: None,
            hasher: None,
            received,
            unflushed: 0,
            flushing: None,
            ended: false,
        }
    }

    /// How many bytes have come. Shared, for whoever asks while they come.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, chunks: &[Bytes]) -> Result<(), Failure> {
        let outcome = self.try_append(chunks);
        if let Err(error) = outcome {
            // Some may have been written. What the file has then counts, and is read again.
            self.pause();
            self.hasher = None;
            if let Ok(metadata) = fs::metadata(&self.path) {
                self.received.store(metadata.len(), Ordering::Release);
            }
            return Err(self.failure("write", &error));
        }
        Ok(())
    }

    fn try_append(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        let mut hasher = match self.hasher.take() {
            Some(hasher) => hasher,
            None => self.read_again()?,
        };
        let Some(file) = &mut self.file else { return Ok(()) };
        for chunk in chunks {
            file.write_all(chunk)?;
            hasher.update(chunk);
            self.received.fetch_add(chunk.len() as u64, Ordering::AcqRel);
            self.unflushed += chunk.len() as u64;
        }
        self.hasher = Some(hasher);
        self.begin_to_flush();
        Ok(())
    }

    /// Has the disk write what has come while more comes. Whether it succeeds is asked at the end.
    fn begin_to_flush(&mut self) {
        if self.unflushed < FLUSH || self.flushing.as_ref().is_some_and(|flushing| !flushing.is_finished()) {
            return;
        }
        // Opened anew, so that the lock ends when `file` is closed.
        if let Ok(file) = File::open(&self.path) {
            self.unflushed = 0;
            self.flushing = Some(tokio::task::spawn_blocking(move || {
                let _ = file.sync_data();
            }));
        }
    }

    /// Opens the file for this process alone: while one server stops, the next one may be writing already.
    fn open(&mut self) -> io::Result<File> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        lock_soon(&file)?;
        let (opened, named) = (file.metadata()?, fs::metadata(&self.path)?);
        if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
            // It has become a blob meanwhile.
            return Err(ErrorKind::NotFound.into());
        }
        self.compare(&opened);
        Ok(file)
    }

    /// Looks whether somebody else has written to the file since.
    pub(super) fn look_again(&mut self) {
        if let Ok(metadata) = fs::metadata(&self.path) {
            self.compare(&metadata);
        }
    }

    fn compare(&mut self, metadata: &fs::Metadata) {
        if metadata.len() != self.received() {
            self.hasher = None;
            self.received.store(metadata.len(), Ordering::Release);
        }
    }

    /// Forgets all bytes.
    pub(super) fn empty(&mut self) -> Result<(), Failure> {
        let emptied = OpenOptions::new().write(true).truncate(true).open(&self.path);
        emptied.map_err(|error| self.failure("write", &error))?;
        self.file = None;
        self.hasher = Some(Sha256::new());
        self.received.store(0, Ordering::Release);
        Ok(())
    }

    /// Closes the file until there is more.
    pub(crate) fn pause(&mut self) {
        self.file = None;
    }

    /// Makes what has come the blob `digest` of `layout`. If it is something else, nothing of it stays.
    pub(super) fn finish(&mut self, digest: &Digest, layout: &LayoutRepository) -> Result<(), Failure> {
        // Held until the file has become a blob, so that nothing is added to what was found right.
        let _locked = match self.file.take() {
            Some(file) => file,
            None => self.open().map_err(|error| self.failure("write", &error))?,
        };
        let hasher = match self.hasher.take() {
            Some(hasher) => hasher,
            None => self.read_again().map_err(|error| self.failure("read", &error))?,
        };
        let actual = Digest::from_sha256(hasher.clone().finalize().into());
        if actual != *digest {
            let size = self.received();
            self.give_up()?;
            let message = format!("the {size} bytes that were sent have digest {actual}, not {digest}");
            return Err(Failure::new(Code::DigestInvalid, message));
        }
        // Should the disk fail now, the client can try to finish again.
        self.hasher = Some(hasher);
        let _ = layout.adopt_blob(&self.path, digest, self.received())?;
        self.ended = true;
        Ok(())
    }

    /// Removes what has come.
    pub(super) fn give_up(&mut self) -> Result<(), Failure> {
        self.pause();
        self.ended = true;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::of_file("remove", &error)),
            _ => Ok(()),
        }
    }

    /// The digest so far, of all that is in the file.
    fn read_again(&self) -> io::Result<Sha256> {
        let mut file = File::open(&self.path)?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut total = 0;
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&chunk[..count]);
                    total += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.received.store(total, Ordering::Release);
        Ok(hasher)
    }

    fn failure(&self, action: &str, error: &io::Error) -> Failure {
        if error.kind() == ErrorKind::NotFound {
            return Failure::new(Code::BlobUploadUnknown, "the upload's file was removed");
        }
        if error.kind() == ErrorKind::WouldBlock {
            return Failure::new(
                Code::BlobUploadConflict,
                "another server over the same directory is writing to this upload; try again later",
            );
        }
        Failure::of_file(action, error)
    }
}

/// Locks a file that nobody should have locked for long. Where this process also starts others, each has a copy of every
/// lock from its beginning until it runs a program of its own: the lock of a file that was just closed may last a moment.
fn lock_soon(file: &File) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED_WITHIN => std::thread::sleep(ASK_EVERY),
            outcome => return outcome.map_err(io::Error::from),
        }
    }
}
