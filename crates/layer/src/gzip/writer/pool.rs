//! Threads that compress blocks for any number of streams.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::member::{BlockCompressor, CompressError, Member};

/// Something to do with a thread's compressor.
type Job = Box<dyn FnOnce(&mut BlockCompressor) + Send>;

/// A fixed number of compressor threads. Share it between all packs that run at once; each pack keeps only a bounded
/// number of blocks in its queue, and blocks are taken in the order they came.
///
/// A panic in one block is that stream's error; the thread and the other streams go on. Dropping the pool ends
/// its threads.
pub struct CompressorPool {
    /// Taken away to end the threads.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    buffer_size: usize,
}

impl CompressorPool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(threads: NonZeroUsize) -> io::Result<Self> {
        let (jobs, queue) = unbounded();
        let buffer_size = BlockCompressor::new().buffer_size();
        let mut pool = Self { jobs: Some(jobs), threads: Vec::new(), buffer_size };
        for number in 0..threads.get() {
            let queue = queue.clone();
            let thread =
                thread::Builder::new().name(format!("compress-{number}")).spawn(move || work(&queue))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Bytes that hold any block before and after.
    pub(super) fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    /// Puts a block in the queue; what becomes of it arrives at the receiver.
    pub(super) fn compress(&self, block: Vec<u8>) -> Receiver<Result<Member, CompressError>> {
        let (reply, result) = bounded(1);
        // Nobody may be waiting any more: then the member is dropped.
        self.run(Box::new(move |compressor| drop(reply.send(compressor.compress(block)))));
        result
    }

    pub(super) fn run(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // Fails only if every thread is gone; then the job's receiver says so.
            drop(jobs.send(job));
        }
    }
}

impl Drop for CompressorPool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn work(queue: &Receiver<Job>) {
    let mut compressor = BlockCompressor::new();
    for job in queue {
        // After a panic the compressor may be halfway through a swap of buffers: it is replaced.
        if catch_unwind(AssertUnwindSafe(|| job(&mut compressor))).is_err() {
            compressor = BlockCompressor::new();
        }
    }
}
