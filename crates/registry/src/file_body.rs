//! A part of a file as the body of an answer: read piece by piece, the next one while the last is being sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// How much is read at once, at most and at least.
const PIECE: u64 = 1 << 20;
const SMALLEST: u64 = 16 << 10;
/// How many pieces of an answer may be on their way to the client, beside the one that is being read. Whoever writes to
/// the connection would else take many.
const ON_THEIR_WAY: usize = 2;
/// How much memory pieces may take together, as long as they need not be smaller than the smallest: the more answers
/// there are, the smaller are their pieces. A client that has stopped reading keeps its own.
const MEMORY: u64 = 16 << 20;

/// How many answers are being sent.
static SENDING: AtomicU64 = AtomicU64::new(0);

/// One of them, until it is dropped.
struct Sending;

impl Sending {
    fn begin() -> Self {
        SENDING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        SENDING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A piece on its way, until it has been written.
struct Piece {
    bytes: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How long a piece is to be while so many answers are being sent.
fn piece(sending: u64) -> u64 {
    (MEMORY / (3 * sending.max(1))).clamp(SMALLEST, PIECE)
}

type Reading = JoinHandle<io::Result<Bytes>>;

/// The bytes `[start, end)` of `file`. No thread waits for a slow client: one is needed only while the disk is read.
/// A file that is shorter than it was found to be breaks the connection, which is how the client learns of it.
pub(crate) fn of_file(file: File, start: u64, end: u64) -> Body {
    let file = Arc::new((file, Sending::begin()));
    let places = Arc::new(Semaphore::new(ON_THEIR_WAY));
    // Nothing is read before somebody wants it: of a HEAD's answer, only the header is used.
    Body::from_stream(stream::try_unfold((start, None), move |(at, reading)| {
        let (file, places) = (Arc::clone(&file), Arc::clone(&places));
        async move {
            if at >= end {
                return Ok::<_, io::Error>(None);
            }
            let reading = reading.unwrap_or_else(|| read(&file, at, end));
            let bytes = reading.await.map_err(io::Error::other)??;
            let _place = places.acquire_owned().await.map_err(io::Error::other)?;
            let at = at + bytes.len() as u64;
            let next = (at < end).then(|| read(&file, at, end));
            Ok(Some((Bytes::from_owner(Piece { bytes, _place }), (at, next))))
        }
    }))
}

fn read(file: &Arc<(File, Sending)>, at: u64, end: u64) -> Reading {
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || {
        let size = usize::try_from((end - at).min(piece(SENDING.load(Ordering::Relaxed))))
            .map_err(io::Error::other)?;
        let mut piece = vec![0; size];
        file.0.read_exact_at(&mut piece, at)?;
        Ok(Bytes::from(piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_answers_share_the_memory() {
        assert_eq!([0, 1, 5].map(piece), [PIECE; 3]);
        assert_eq!(piece(64), MEMORY / 192);
        assert_eq!(piece(1 << 20), SMALLEST);
    }
}
