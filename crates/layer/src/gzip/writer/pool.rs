//! Threads that compress blocks for any number of streams.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, bounded};

use super::member::{CompressError, Member};
use super::queue::Queue;
use crate::compression::{BlockCompressor, Method};

/// Something to do with a thread's compressor.
type Job = Box<dyn FnOnce(&mut BlockCompressor) + Send>;

/// A fixed number of compressor threads. Share it between all packs that run at once; each pack keeps only a bounded
/// number of blocks in its queue, and the blocks of the one that began first are taken first.
///
/// A panic in one block is that stream's error; the thread and the other streams go on. Dropping the pool ends
/// its threads.
pub struct CompressorPool {
    jobs: Arc<Queue<Job>>,
    threads: Vec<JoinHandle<()>>,
    method: Method,
    buffer_size: usize,
}

impl CompressorPool {
    /// Starts `threads` threads that compress with gzip.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(threads: NonZeroUsize) -> io::Result<Self> {
        Self::with_method(threads, Method::Gzip)
    }

    /// Starts `threads` threads that compress with `method`.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn with_method(threads: NonZeroUsize, method: Method) -> io::Result<Self> {
        let buffer_size = BlockCompressor::buffer_size(method);
        let mut pool = Self { jobs: Arc::new(Queue::new()), threads: Vec::new(), method, buffer_size };
        for number in 0..threads.get() {
            let queue = Arc::clone(&pool.jobs);
            let thread = thread::Builder::new()
                .name(format!("compress-{number}"))
                .spawn(move || work(&queue, method))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// How they compress.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Bytes that hold any block before and after.
    pub(super) fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    /// A number for a stream that begins now.
    pub(super) fn begin(&self) -> u64 {
        self.jobs.begin()
    }

    /// Puts a block of a stream in the queue; what becomes of it arrives at the receiver.
    pub(super) fn compress(&self, stream: u64, block: Vec<u8>) -> Receiver<Result<Member, CompressError>> {
        let (reply, result) = bounded(1);
        // Nobody may be waiting any more: then the member is dropped.
        self.run(stream, Box::new(move |compressor| drop(reply.send(compressor.compress(block)))));
        result
    }

    pub(super) fn run(&self, stream: u64, job: Job) {
        self.jobs.push(stream, job);
    }
}

impl Drop for CompressorPool {
    fn drop(&mut self) {
        self.jobs.close();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn work(queue: &Queue<Job>, method: Method) {
    let mut compressor = BlockCompressor::new(method);
    while let Some(job) = queue.pop() {
        // After a panic the compressor may be halfway through a swap of buffers: it is replaced.
        if catch_unwind(AssertUnwindSafe(|| job(&mut compressor))).is_err() {
            compressor = BlockCompressor::new(method);
        }
    }
}
