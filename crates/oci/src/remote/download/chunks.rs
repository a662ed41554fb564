//! The way from a transfer on the runtime to its reader on a plain thread: [`Inlet`] and [`Chunks`].
//!
//! What waits on it is limited by its bytes. A chunk is what one read of the connection gives, which may be a few
//! hundred KiB or, with TLS, sixteen: so many chunks would be too much of the ones, and too few of the others.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::sync::{Semaphore, mpsc};

use crate::{BlobError, Digest};

/// How many bytes may wait for the reader, and be with it. A reader that is slower than the network holds the network
/// back.
const ROOM: u32 = 1 << 20;

/// How many chunks may wait, however small they are.
const MOST: usize = 64;

/// What passes from a transfer to its reader: bytes, the end, or why there are no more.
type Chunk = Result<Option<Bytes>, String>;

/// The writing end.
pub(super) struct Inlet {
    chunks: mpsc::Sender<Chunk>,
    room: Arc<Semaphore>,
}

/// The reading end.
pub(super) struct Chunks {
    chunks: mpsc::Receiver<Chunk>,
    room: Arc<Semaphore>,
    current: Bytes,
    /// How much room is free once the current chunk is read.
    taken: u32,
    received: u64,
    failure: Option<String>,
    ended: bool,
    location: String,
    digest: Digest,
}

/// Both ends of a transfer from `location`, before which `received` bytes of the blob were there.
pub(super) fn chunks(location: String, digest: Digest, received: u64) -> (Inlet, Chunks) {
    let (sender, receiver) = mpsc::channel(MOST);
    let room = Arc::new(Semaphore::new(ROOM as usize));
    let inlet = Inlet { chunks: sender, room: Arc::clone(&room) };
    let (current, taken, failure, ended) = (Bytes::new(), 0, None, false);
    (inlet, Chunks { chunks: receiver, room, current, taken, received, failure, ended, location, digest })
}

/// The room that a chunk takes: no more than there is, for it has to pass.
fn room_for(chunk: &Bytes) -> u32 {
    u32::try_from(chunk.len()).map_or(ROOM, |length| length.min(ROOM))
}

impl Inlet {
    /// Passes bytes on once there is room for them; false if nobody wants them.
    pub(super) async fn pass_on(&self, chunk: Bytes) -> bool {
        match self.room.acquire_many(room_for(&chunk)).await {
            Ok(room) => room.forget(),
            Err(_) => return false,
        }
        self.chunks.send(Ok(Some(chunk))).await.is_ok()
    }

    /// Says that there are no more, and why if it is too early. An inlet that is merely dropped was killed.
    pub(super) async fn end(&self, outcome: Result<(), String>) {
        let _ = self.chunks.send(outcome.map(|()| None)).await;
    }

    /// Waits until nobody reads any more.
    pub(super) async fn unwanted(&self) {
        self.chunks.closed().await;
    }
}

impl Chunks {
    /// Takes the next chunk, which may be empty without being the last.
    fn advance(&mut self) {
        self.room.add_permits(std::mem::take(&mut self.taken) as usize);
        match self.chunks.blocking_recv() {
            Some(Ok(Some(chunk))) => {
                self.received += chunk.len() as u64;
                self.taken = room_for(&chunk);
                self.current = chunk;
            }
            Some(Ok(None)) => self.ended = true,
            Some(Err(cause)) => self.failure = Some(cause),
            None => self.failure = Some("the transfer was abandoned".to_string()),
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended && self.failure.is_none() && !buffer.is_empty() {
            self.advance();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::remote::http::{block_on, runtime};

    fn pair() -> (Inlet, Chunks) {
        chunks("here".to_string(), Digest::of(b""), 0)
    }

    #[test]
    fn no_more_waits_than_there_is_room_for_and_all_of_it_arrives() {
        let (inlet, mut reader) = pair();
        // Big and small, and one that is more than there is room for.
        let sizes = [400_000, 16 << 10, 1, 3 << 20, 0, 700_000, 700_000, 5];
        let sending = runtime().unwrap().spawn(async move {
            for (number, size) in (0u8..).zip(sizes) {
                assert!(inlet.pass_on(Bytes::from(vec![number; size])).await);
            }
            inlet.end(Ok(())).await;
            inlet.room.available_permits()
        });
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        let expected: Vec<u8> = (0u8..).zip(sizes).flat_map(|(number, size)| vec![number; size]).collect();
        assert!(bytes == expected);
        block_on(sending).unwrap().unwrap();
        assert_eq!(reader.room.available_permits(), ROOM as usize);
    }

    #[test]
    fn a_slow_reader_holds_the_transfer_back() {
        let (inlet, reader) = pair();
        let passed = block_on(async {
            let mut passed = 0;
            while let Ok(true) =
                tokio::time::timeout(Duration::from_millis(20), inlet.pass_on(Bytes::from(vec![0; 400_000])))
                    .await
            {
                passed += 1;
            }
            passed
        });
        assert_eq!(passed.unwrap(), 2);
        drop(reader);
        block_on(inlet.unwanted()).unwrap();
    }

    #[test]
    fn what_is_killed_is_not_the_end() {
        let (inlet, mut reader) = pair();
        assert!(block_on(inlet.pass_on(Bytes::from_static(b"ab"))).unwrap());
        drop(inlet);
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("after 2 bytes"), "{error}");
        assert!(reader.read(&mut [0]).is_err(), "and stays so");
    }
}
