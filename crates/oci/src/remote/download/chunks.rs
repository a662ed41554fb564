//! [`Chunks`]: the reading end of a transfer.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::{BlobError, Digest};

/// What passes from a transfer to its reader: bytes, the end, or why there are no more.
pub(super) type Chunk = Result<Option<Bytes>, String>;

/// The reading end.
pub(super) struct Chunks {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    received: u64,
    failure: Option<String>,
    ended: bool,
    location: String,
    digest: Digest,
}

impl Chunks {
    /// The end of a transfer from `location`, before which `received` bytes of the blob were there.
    pub(super) fn new(
        chunks: mpsc::Receiver<Chunk>,
        location: String,
        digest: Digest,
        received: u64,
    ) -> Self {
        Self { chunks, current: Bytes::new(), received, failure: None, ended: false, location, digest }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A chunk may be empty without being the last.
        while self.current.is_empty() && !self.ended && self.failure.is_none() && !buffer.is_empty() {
            match self.chunks.blocking_recv() {
                Some(Ok(Some(chunk))) => {
                    self.received += chunk.len() as u64;
                    self.current = chunk;
                }
                Some(Ok(None)) => self.ended = true,
                Some(Err(cause)) => self.failure = Some(cause),
                None => self.failure = Some("the transfer was abandoned".to_string()),
            }
        }
        if let Some(cause) = &self.failure {
            return Err(BlobError::Interrupted {
                location: self.location.clone(),
                digest: self.digest,
                received: self.received,
                cause: cause.clone(),
            }
            .into());
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
