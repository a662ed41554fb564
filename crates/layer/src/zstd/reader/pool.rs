//! The threads that decompress frames.

use std::io;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use zstd::zstd_safe::DCtx;

use super::ZstdError;

/// The most bytes of buffers that are kept for the next frames: frames of all sizes may take turns, and each buffer is as
/// large as the largest that was in it.
pub(super) const MAX_SPARE: usize = 8 << 20;

/// What one thread needs to decompress whole frames.
pub(super) struct FrameDecoder {
    context: DCtx<'static>,
}

impl FrameDecoder {
    fn new() -> Option<Self> {
        Some(Self { context: DCtx::try_create()? })
    }

    /// Decompresses a frame of which `content` bytes are to come out.
    fn decode(&mut self, frame: &[u8], content: usize, offset: u64) -> Result<Bytes, ZstdError> {
        let mut block = Vec::with_capacity(content);
        match self.context.decompress(&mut block, frame) {
            Ok(length) if length == content => Ok(block.into()),
            Ok(_) => {
                let reason = "it does not have the length that its header says".to_owned();
                Err(ZstdError::Corrupt { offset, reason })
            }
            Err(code) => Err(ZstdError::of_code(code, offset)),
        }
    }
}

struct Job {
    frame: Vec<u8>,
    content: usize,
    offset: u64,
    reply: Sender<Done>,
}

/// A frame after decompressing; its buffer comes back for the next one.
pub(super) struct Done {
    frame: Vec<u8>,
    result: Result<Bytes, ZstdError>,
}

/// A frame on its way.
pub(super) enum Decoding {
    /// On a thread of the pool, with its bytes before and after.
    Sent(Receiver<Done>, usize),
    /// Decompressed on the calling thread.
    Done(Result<Bytes, ZstdError>),
}

impl Decoding {
    /// Decompresses on the calling thread.
    pub(super) fn now(decoder: &mut Option<FrameDecoder>, frame: &[u8], content: usize, offset: u64) -> Self {
        if decoder.is_none() {
            *decoder = FrameDecoder::new();
        }
        Self::Done(match decoder {
            Some(decoder) => decoder.decode(frame, content, offset),
            None => Err(ZstdError::NoMemory { offset }),
        })
    }

    /// Bytes that it holds.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Sent(_, held) => *held,
            Self::Done(result) => result.as_ref().map_or(0, Bytes::len),
        }
    }

    /// The plain bytes, when they are there.
    pub(super) fn wait(self, pool: Option<&mut Pool>) -> io::Result<Bytes> {
        let result = match self {
            Self::Done(result) => result,
            Self::Sent(reply, _) => match reply.recv() {
                Err(_) => Err(ZstdError::Stopped),
                Ok(done) => {
                    if let Some(pool) = pool {
                        pool.keep(done.frame);
                    }
                    done.result
                }
            },
        };
        result.map_err(ZstdError::into_io)
    }
}

/// Threads that decompress one frame after another. Dropping it waits for them, for at most what is in flight.
pub(super) struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

impl Pool {
    /// Starts up to `threads` threads with room for `in_flight` frames; none if the system gives no thread.
    pub(super) fn start(threads: usize, in_flight: usize) -> Option<Self> {
        let (jobs, waiting) = bounded::<Job>(in_flight);
        let threads: Vec<_> = (0..threads.min(in_flight))
            .map_while(|_| {
                let waiting = waiting.clone();
                thread::Builder::new().name("decompress".to_owned()).spawn(move || work(&waiting)).ok()
            })
            .collect();
        (!threads.is_empty()).then(|| Self { jobs: Some(jobs), threads, spare: Vec::new() })
    }

    /// Sends the frame that starts at the compressed byte `offset`, with `content` bytes in it, to be decompressed.
    pub(super) fn submit(&mut self, frame: &[u8], content: usize, offset: u64) -> Decoding {
        let (reply, receiver) = bounded(1);
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.reserve_exact(frame.len());
        bytes.extend_from_slice(frame);
        let held = bytes.capacity() + content;
        // If no thread is left the reply's sender is dropped with the job, and waiting for it says so.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Job { frame: bytes, content, offset, reply });
        }
        Decoding::Sent(receiver, held)
    }

    /// Keeps a buffer for the next frame, unless that is too much to keep.
    fn keep(&mut self, buffer: Vec<u8>) {
        if self.spare_bytes() + buffer.capacity() <= MAX_SPARE {
            self.spare.push(buffer);
        }
    }

    /// Bytes of the buffers that wait for a frame.
    pub(super) fn spare_bytes(&self) -> usize {
        self.spare.iter().map(Vec::capacity).sum()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(jobs: &Receiver<Job>) {
    let mut decoder = FrameDecoder::new();
    for Job { frame, content, offset, reply } in jobs {
        let result = match &mut decoder {
            Some(decoder) => decoder.decode(&frame, content, offset),
            None => Err(ZstdError::NoMemory { offset }),
        };
        // The reader may be gone: nobody waits for this frame then.
        let _ = reply.send(Done { frame, result });
    }
}
