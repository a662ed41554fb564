//! The threads that inflate members, and the buffers that go to them and back.

use std::io::{self, Read};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use libdeflater::Decompressor;

use super::GzipError;
use super::member::SizedMember;
use crate::gzip::BLOCK_SIZE;

/// Plain bytes, of which the front may have been consumed.
#[derive(Default)]
pub(super) struct Block {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn consume(&mut self, amount: usize) {
        debug_assert!(amount <= self.end - self.start);
        self.start += amount;
    }

    /// Replaces the content by the next bytes of `reader`, at most `limit`; 0 at its end.
    pub(super) fn refill(&mut self, reader: &mut impl Read, limit: usize) -> io::Result<usize> {
        if self.buffer.len() < limit {
            self.buffer.resize(limit, 0);
        }
        (self.start, self.end) = (0, 0);
        loop {
            match reader.read(&mut self.buffer[..limit]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(length) => {
                    self.end = length;
                    return Ok(length);
                }
            }
        }
    }

    fn inflate(
        &mut self,
        member: &SizedMember<'_>,
        tool: &mut Decompressor,
        offset: u64,
    ) -> Result<(), GzipError> {
        if self.buffer.len() < BLOCK_SIZE {
            self.buffer.resize(BLOCK_SIZE, 0);
        }
        (self.start, self.end) = (0, 0);
        self.end = member.inflate(tool, &mut self.buffer, offset)?;
        Ok(())
    }
}

struct Job {
    member: Vec<u8>,
    block: Block,
    offset: u64,
    reply: Sender<Done>,
}

/// A member after inflating; its buffer comes back for the next one.
pub(super) struct Done {
    member: Vec<u8>,
    result: Result<Block, GzipError>,
}

/// A member on its way.
pub(super) enum Inflating {
    /// On a thread of the pool.
    Sent(Receiver<Done>),
    /// Inflated on the calling thread.
    Done(Result<Block, GzipError>),
}

impl Inflating {
    /// Inflates on the calling thread, into the buffer of `spent`.
    pub(super) fn now(member: &SizedMember<'_>, offset: u64, spent: &mut Block) -> Self {
        let mut block = std::mem::take(spent);
        let result = block.inflate(member, &mut Decompressor::new(), offset);
        Inflating::Done(result.map(|()| block))
    }

    /// The plain bytes, when they are there.
    pub(super) fn wait(self, pool: Option<&mut Pool>) -> io::Result<Block> {
        let result = match self {
            Inflating::Done(result) => result,
            Inflating::Sent(reply) => match reply.recv() {
                Err(_) => Err(GzipError::Stopped),
                Ok(done) => {
                    if let Some(pool) = pool {
                        pool.members.push(done.member);
                    }
                    done.result
                }
            },
        };
        result.map_err(GzipError::into_io)
    }
}

/// Threads that inflate one member after another. Dropping it waits for them, for at most what is in flight.
pub(super) struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    /// Buffers to be used again.
    members: Vec<Vec<u8>>,
    blocks: Vec<Block>,
}

impl Pool {
    /// Starts up to `threads` threads with room for `in_flight` members; none if the system gives no thread.
    pub(super) fn start(threads: usize, in_flight: usize) -> Option<Self> {
        let (jobs, waiting) = bounded::<Job>(in_flight);
        let threads: Vec<_> = (0..threads.min(in_flight))
            .map_while(|_| {
                let waiting = waiting.clone();
                thread::Builder::new().name("inflate".to_owned()).spawn(move || work(&waiting)).ok()
            })
            .collect();
        (!threads.is_empty()).then(|| Pool {
            jobs: Some(jobs),
            threads,
            members: Vec::new(),
            blocks: Vec::new(),
        })
    }

    /// Sends `member`, which starts at the compressed byte `offset`, to be inflated.
    pub(super) fn submit(&mut self, member: &SizedMember<'_>, offset: u64) -> Inflating {
        let (reply, receiver) = bounded(1);
        let mut bytes = self.members.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(member.bytes());
        let job = Job { member: bytes, block: self.blocks.pop().unwrap_or_default(), offset, reply };
        // If no thread is left the reply's sender is dropped with the job, and waiting for it says so.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
        Inflating::Sent(receiver)
    }

    /// Takes back a block whose bytes are spent.
    pub(super) fn recycle(&mut self, block: Block) {
        self.blocks.push(block);
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
    let mut tool = Decompressor::new();
    for Job { member, mut block, offset, reply } in jobs {
        let result = block.inflate(&SizedMember::from_bytes(&member), &mut tool, offset).map(|()| block);
        // The reader may be gone: nobody waits for this member then.
        let _ = reply.send(Done { member, result });
    }
}
