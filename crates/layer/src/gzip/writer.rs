//! Writing a layer's compressed stream: blocks compressed in parallel, members written in order, digests on the way.
//!
//! A [`CompressorPool`] is a fixed number of threads, each with a compressor of its own, that any number
//! of streams share. A [`MemberWriter`] is one stream: it cuts what it is given into blocks, hands each to the
//! pool, and writes the members in order on the thread that calls it. The stream that began first is served first. Every block is compressed on its own, so
//! the bytes depend on the input alone: not on threads, nor on how the input was cut into writes.

pub(crate) mod member;
mod pool;
mod queue;

use std::collections::VecDeque;
use std::io::{self, Write};

use crossbeam_channel::Receiver;
use sha2::{Digest, Sha256};

use crate::compression::{BlockCompressor, Method};
use member::Member;
pub use member::{CompressError, LEVEL};
pub use pool::CompressorPool;

/// Bytes of blocks of one stream that may wait for the pool or for their turn to be written. Each block holds one buffer of a
/// little over its size, so this bounds a stream's memory, and it feeds as many threads as it has blocks.
const MOST_IN_FLIGHT: usize = 48 << 20;

/// One compressed stream in the making, written to `W`.
///
/// Give it bytes through [`Write`], then call [`MemberWriter::finish`]; without that the stream is incomplete.
/// Dropping it midway leaves blocks that are being compressed to the pool, which forgets them.
///
/// After an error, whether `W`'s or the compressor's, every further call fails.
pub struct MemberWriter<'p, W: Write + Send> {
    pool: &'p CompressorPool,
    /// Its number in the pool: blocks of lower ones go first.
    stream: u64,
    output: W,
    block_size: usize,
    block: Vec<u8>,
    /// Blocks handed out, oldest first. A worker that dies drops its end, so waiting never hangs.
    in_flight: VecDeque<Receiver<Result<Member, CompressError>>>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    uncompressed: Sha256,
    compressed: Sha256,
    uncompressed_size: u64,
    size: u64,
    members: u64,
    failed: bool,
}

/// A finished stream.
#[derive(Clone, Debug)]
pub struct Finished<W> {
    /// What the stream was written to; flushed.
    pub output: W,
    /// SHA-256 of the uncompressed stream.
    pub diff_id: [u8; 32],
    /// SHA-256 of the compressed stream.
    pub digest: [u8; 32],
    /// Bytes of the compressed stream.
    pub size: u64,
    /// Bytes of the uncompressed stream.
    pub uncompressed_size: u64,
}

impl<'p, W: Write + Send> MemberWriter<'p, W> {
    /// Starts a stream to `output`.
    pub fn new(pool: &'p CompressorPool, output: W) -> Self {
        Self {
            pool,
            stream: pool.begin(),
            output,
            block_size: BlockCompressor::block_size(pool.method()),
            block: Vec::with_capacity(pool.buffer_size()),
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            uncompressed: Sha256::new(),
            compressed: Sha256::new(),
            uncompressed_size: 0,
            size: 0,
            members: 0,
            failed: false,
        }
    }

    /// Compresses and writes what is left, and flushes the output. A stream of no bytes has one empty member.
    ///
    /// # Errors
    /// Those of the output, and a [`CompressError`] inside an [`io::Error`].
    pub fn finish(mut self) -> io::Result<Finished<W>> {
        self.check()?;
        if !self.block.is_empty() || self.members == 0 {
            self.submit();
        }
        while !self.in_flight.is_empty() {
            self.write_oldest()?;
        }
        self.output.flush()?;
        let is_compressed = self.is_compressed();
        let diff_id = self.uncompressed.finalize().into();
        Ok(Finished {
            output: self.output,
            diff_id,
            digest: if is_compressed { self.compressed.finalize().into() } else { diff_id },
            size: self.size,
            uncompressed_size: self.uncompressed_size,
        })
    }

    /// Hands the block to the pool.
    fn submit(&mut self) {
        let next = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.pool.buffer_size()));
        let block = std::mem::replace(&mut self.block, next);
        self.uncompressed.update(&block);
        self.uncompressed_size += block.len() as u64;
        self.members += 1;
        self.in_flight.push_back(self.pool.compress(self.stream, block));
    }

    /// Waits for the oldest block and writes its member.
    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.in_flight.pop_front() else { return Ok(()) };
        let written = oldest
            .recv()
            .unwrap_or(Err(CompressError::WorkerLost))
            .map_err(io::Error::other)
            .and_then(|member| self.output.write_all(&member.bytes).map(|()| member));
        match written {
            Ok(member) => {
                if self.is_compressed() {
                    self.compressed.update(&member.bytes);
                }
                self.size += member.bytes.len() as u64;
                let mut buffer = member.bytes;
                buffer.clear();
                self.spare.push(buffer);
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                self.in_flight.clear();
                Err(error)
            }
        }
    }

    /// Whether the bytes that are written are others than those given.
    fn is_compressed(&self) -> bool {
        self.pool.method() != Method::None
    }

    fn check(&self) -> io::Result<()> {
        if self.failed { Err(io::Error::other("the stream failed earlier")) } else { Ok(()) }
    }
}

impl<W: Write + Send> Write for MemberWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        let taken = bytes.len().min(self.block_size - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == self.block_size {
            // Two per thread keep every thread busy while this one reads, hashes and writes.
            let most = (2 * self.pool.threads() + 1).min(MOST_IN_FLIGHT / self.block_size);
            while self.in_flight.len() >= most
                || self.in_flight.front().is_some_and(|oldest| !oldest.is_empty())
            {
                self.write_oldest()?;
            }
            self.submit();
        }
        Ok(taken)
    }

    /// Writes what is complete. A block that is not full stays: where blocks end must not depend on the caller.
    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        while !self.in_flight.is_empty() {
            self.write_oldest()?;
        }
        self.output.flush()
    }
}

#[cfg(test)]
mod tests;
