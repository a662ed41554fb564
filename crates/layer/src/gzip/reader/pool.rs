//! The threads that inflate members, and the buffers that go to them and back.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use libdeflater::Decompressor;

use super::GzipError;
use super::member::SizedMember;
use crate::gzip::BLOCK_SIZE;

/// Buffers for plain bytes. Those that were lent come back when nobody needs their bytes any more.
#[derive(Clone)]
pub(super) struct Buffers {
    home: Arc<Mutex<Vec<Vec<u8>>>>,
    /// How many are kept for the next block.
    most: usize,
}

/// A filled buffer on loan.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
    from: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.from.give_back(std::mem::take(&mut self.buffer));
    }
}

impl Buffers {
    pub(super) fn new(most: usize) -> Self {
        Buffers { home: Arc::default(), most }
    }

    /// The next bytes of `reader`, at most `limit`; none at its end.
    pub(super) fn read(&self, reader: &mut impl Read, limit: usize) -> io::Result<Bytes> {
        let mut buffer = self.take(limit);
        loop {
            match reader.read(&mut buffer[..limit]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(length) => return Ok(self.lend(buffer, length)),
            }
        }
    }

    fn inflate(
        &self,
        member: &SizedMember<'_>,
        tool: &mut Decompressor,
        offset: u64,
    ) -> Result<Bytes, GzipError> {
        let mut buffer = self.take(BLOCK_SIZE);
        let length = member.inflate(tool, &mut buffer, offset)?;
        Ok(self.lend(buffer, length))
    }

    /// A buffer of `length` bytes at least.
    fn take(&self, length: usize) -> Vec<u8> {
        let mut buffer = self.kept().pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        buffer
    }

    fn lend(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        Bytes::from_owner(Lent { buffer, length, from: self.clone() })
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.push(buffer);
        }
    }

    /// A thread that panicked with the lock has left nothing half done.
    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Job {
    member: Vec<u8>,
    offset: u64,
    reply: Sender<Done>,
}

/// A member after inflating; the buffer of its compressed bytes comes back for the next one.
pub(super) struct Done {
    member: Vec<u8>,
    result: Result<Bytes, GzipError>,
}

/// A member on its way.
pub(super) enum Inflating {
    /// On a thread of the pool.
    Sent(Receiver<Done>),
    /// Inflated on the calling thread.
    Done(Result<Bytes, GzipError>),
}

impl Inflating {
    /// Inflates on the calling thread.
    pub(super) fn now(member: &SizedMember<'_>, offset: u64, buffers: &Buffers) -> Self {
        Inflating::Done(buffers.inflate(member, &mut Decompressor::new(), offset))
    }

    /// The plain bytes, when they are there.
    pub(super) fn wait(self, pool: Option<&mut Pool>) -> io::Result<Bytes> {
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
}

impl Pool {
    /// Starts up to `threads` threads with room for `in_flight` members; none if the system gives no thread.
    pub(super) fn start(threads: usize, in_flight: usize, buffers: &Buffers) -> Option<Self> {
        let (jobs, waiting) = bounded::<Job>(in_flight);
        let threads: Vec<_> = (0..threads.min(in_flight))
            .map_while(|_| {
                let (waiting, buffers) = (waiting.clone(), buffers.clone());
                thread::Builder::new().name("inflate".to_owned()).spawn(move || work(&waiting, &buffers)).ok()
            })
            .collect();
        (!threads.is_empty()).then(|| Pool { jobs: Some(jobs), threads, members: Vec::new() })
    }

    /// Sends `member`, which starts at the compressed byte `offset`, to be inflated.
    pub(super) fn submit(&mut self, member: &SizedMember<'_>, offset: u64) -> Inflating {
        let (reply, receiver) = bounded(1);
        let mut bytes = self.members.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(member.bytes());
        let job = Job { member: bytes, offset, reply };
        // If no thread is left the reply's sender is dropped with the job, and waiting for it says so.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
        Inflating::Sent(receiver)
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

fn work(jobs: &Receiver<Job>, buffers: &Buffers) {
    let mut tool = Decompressor::new();
    for Job { member, offset, reply } in jobs {
        let result = buffers.inflate(&SizedMember::from_bytes(&member), &mut tool, offset);
        // The reader may be gone: nobody waits for this member then.
        let _ = reply.send(Done { member, result });
    }
}
