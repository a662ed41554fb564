//! [`Keeping`]: hands on a blob as it is downloaded, and puts it into the blob cache.

use std::io::{self, Read};

use super::cached;
use super::transport::Listener;
use crate::cache::Partial;
use crate::{BlobCache, BlobError, VerifyingReader};

/// A reader of a blob that keeps what it reads.
///
/// If it is dropped before the end, what it has kept is gone on with by whoever wants the blob next.
pub(super) struct Keeping<R> {
    verified: VerifyingReader<R>,
    /// Gone once all is kept, or nothing can be.
    partial: Option<Partial>,
    /// How many bytes are still to come.
    left: u64,
    cache: BlobCache,
    listener: Listener,
}

impl<R: Read> Keeping<R> {
    /// Keeps the `size` bytes of `verified` in `partial`, which is empty.
    pub(super) fn new(
        verified: VerifyingReader<R>,
        partial: Partial,
        size: u64,
        cache: &BlobCache,
        listener: &Listener,
    ) -> Self {
        let (cache, listener) = (cache.clone(), listener.clone());
        Self { verified, partial: Some(partial), left: size, cache, listener }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(mut partial) = self.partial.take() else { return };
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if let Err(error) = partial.append(bytes) {
            // It takes the room that is missing.
            partial.discard();
            cached::tell(&self.cache, &self.listener, &error);
        } else if self.left > 0 {
            self.partial = Some(partial);
        } else if let Err(error) = partial.complete() {
            // The last bytes are given out only once all of them are verified.
            cached::tell(&self.cache, &self.listener, &error);
        }
    }
}

impl<R: Read> Read for Keeping<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.verified.read(buffer);
        match &outcome {
            // Nothing was asked for, which says nothing about an empty blob.
            Ok(0) if buffer.is_empty() => {}
            Ok(count) => self.keep(&buffer[..*count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let partial = self.partial.take();
                match BlobError::of(error) {
                    // What came before may be right.
                    None | Some(BlobError::Interrupted { .. }) => {}
                    Some(_) => partial.map_or((), Partial::discard),
                }
            }
        }
        outcome
    }
}
