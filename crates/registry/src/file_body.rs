//! A part of a file as the body of an answer: read piece by piece, the next one while the last is being sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::task::JoinHandle;

/// How much is read at once. Two pieces per answer are in memory.
const PIECE: u64 = 256 << 10;

type Reading = JoinHandle<io::Result<Bytes>>;

/// The bytes `[start, end)` of `file`. No thread waits for a slow client: one is needed only while the disk is read.
/// A file that is shorter than it was found to be breaks the connection, which is how the client learns of it.
pub(crate) fn of_file(file: File, start: u64, end: u64) -> Body {
    let file = Arc::new(file);
    // Nothing is read before somebody wants it: of a HEAD's answer, only the header is used.
    Body::from_stream(stream::try_unfold((start, None), move |(at, reading)| {
        let file = Arc::clone(&file);
        async move {
            if at >= end {
                return Ok::<_, io::Error>(None);
            }
            let reading = reading.unwrap_or_else(|| read(&file, at, end));
            let piece = reading.await.map_err(io::Error::other)??;
            let at = at + piece.len() as u64;
            let next = (at < end).then(|| read(&file, at, end));
            Ok(Some((piece, (at, next))))
        }
    }))
}

fn read(file: &Arc<File>, at: u64, end: u64) -> Reading {
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || {
        let size = usize::try_from((end - at).min(PIECE)).map_err(io::Error::other)?;
        let mut piece = vec![0; size];
        file.read_exact_at(&mut piece, at)?;
        Ok(Bytes::from(piece))
    })
}
