//! Gzip → plain bytes, in parallel where the stream allows it.
//!
//! Members that strata wrote say in their header how long they are (see `member.rs`), so they are cut out of
//! the stream whole and inflated by libdeflate on several threads, and their bytes come out in order. Every
//! other member, such as the single one of Spack's layers, streams through a decoder of constant memory. Both
//! kinds may follow each other in one stream.
//!
//! The compressed stream is always read to its very end before the end is reported: a caller whose stream
//! verifies a digest there learns of a mismatch.

mod member;
mod pool;
pub(crate) mod source;

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;
use thiserror::Error;

use member::SizedMember;
use pool::{Buffers, Inflating, Pool};
use source::Source;

/// How much of a member of unknown length is inflated at a time, in bytes.
const STREAMED_BLOCK: usize = 128 * 1024;

/// What can be wrong with a gzip stream. Arrives as the inner error of an [`io::Error`] of kind
/// `InvalidData`, or `UnexpectedEof` where the stream is cut short. Offsets count compressed bytes from the
/// start of the stream.
#[derive(Debug, Error)]
pub enum GzipError {
    /// The stream has no bytes at all.
    #[error("the compressed stream is empty")]
    Empty,
    /// The stream does not start with a gzip header.
    #[error("not a gzip stream: it starts with the bytes {start:02x?}")]
    NotGzip {
        /// The first bytes of the stream, at most eight.
        start: Vec<u8>,
    },
    /// Something other than zero padding follows the last member.
    #[error("the last gzip member is followed by something else, at byte {offset}")]
    TrailingGarbage {
        /// Where it starts.
        offset: u64,
    },
    /// The stream ends within a member.
    #[error("the gzip stream is cut short: it ends at byte {offset}, within a member")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// A member cannot be inflated or does not have the checksum or length its trailer gives.
    #[error("the gzip member at byte {offset} is corrupt: {reason}")]
    Corrupt {
        /// Where the member starts; for a member of unknown length, how far it was read.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A thread that inflates is gone, or the reader is used after it reported an error.
    #[error("inflating stopped earlier")]
    Stopped,
}

impl GzipError {
    fn into_io(self) -> io::Error {
        let kind = match self {
            GzipError::Empty | GzipError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            GzipError::Stopped => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

/// The plain bytes of a gzip stream of one or several members.
///
/// Memory stays below 64 MiB whatever the stream says, besides the blocks that the caller keeps: at most
/// [`InflateReader::MAX_IN_FLIGHT`] members of at most 1 MiB are in flight, and as many buffers are kept for more. Errors of the compressed stream arrive unchanged; errors of the format carry a
/// [`GzipError`]. After an error the reader yields only errors.
///
/// A member that gives its length is taken at its word: bytes between the end of its deflate data and its
/// trailer are not looked for (libdeflate's binding does not tell where the data ended). Its checksum, its
/// length and, where the caller checks them, the digests of blob and layer are.
pub struct InflateReader<R> {
    input: Input<R>,
    threads: usize,
    pool: Option<Pool>,
    in_flight: VecDeque<Inflating>,
    buffers: Buffers,
    current: Bytes,
    members: u64,
    failed: bool,
}

enum Input<R> {
    /// Between two members, or before the first.
    Boundary(Source<R>),
    /// Within a member of unknown length.
    Member(Box<GzDecoder<Source<R>>>),
    /// All was read.
    Ended(Source<R>),
    /// Only while moving from one state to another.
    Moving,
}

impl<R: Read> InflateReader<R> {
    /// The most members that are held at once, inflated or waiting for it.
    pub const MAX_IN_FLIGHT: usize = 24;

    /// Reads `compressed`, inflating on up to `threads` threads of its own; with 0 or 1 on the calling
    /// thread.
    ///
    /// Threads start when the first member that gives its length is met, and end with the reader.
    pub fn new(compressed: R, threads: usize) -> Self {
        InflateReader {
            input: Input::Boundary(Source::new(compressed)),
            threads,
            pool: None,
            in_flight: VecDeque::new(),
            buffers: Buffers::new(Self::MAX_IN_FLIGHT),
            current: Bytes::new(),
            members: 0,
            failed: false,
        }
    }

    /// Reads the compressed stream to its end without inflating it, so that a stream which verifies a digest
    /// there gets to say so. For use after an error of the format.
    ///
    /// # Errors
    /// Those of the compressed stream, unchanged.
    pub fn drain_compressed(&mut self) -> io::Result<()> {
        self.failed = true;
        match &mut self.input {
            Input::Boundary(source) | Input::Ended(source) => source.drain(),
            Input::Member(decoder) => decoder.get_mut().drain(),
            Input::Moving => Ok(()),
        }
    }

    /// The next plain bytes, in order and never empty; `None` at the end of the stream. Their buffer is used again when
    /// they and all slices of them are dropped.
    ///
    /// # Errors
    /// As for reading.
    pub fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        if !self.current.is_empty() {
            return Ok(Some(std::mem::take(&mut self.current)));
        }
        if self.failed {
            return Err(GzipError::Stopped.into_io());
        }
        self.failed = true;
        let block = self.inflate_more()?;
        self.failed = false;
        Ok(block)
    }

    fn inflate_more(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            self.read_ahead()?;
            let block = if let Some(inflating) = self.in_flight.pop_front() {
                inflating.wait(self.pool.as_mut())?
            } else if let Input::Member(decoder) = &mut self.input {
                let block = match self.buffers.read(decoder, STREAMED_BLOCK) {
                    Ok(block) => block,
                    Err(error) => return Err(decoder.get_ref().explain(error)),
                };
                if block.is_empty() {
                    self.end_member();
                }
                block
            } else {
                return Ok(None);
            };
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
    }

    /// Hands out members until enough are in flight, or one of unknown length or the end is reached.
    fn read_ahead(&mut self) -> io::Result<()> {
        let wanted = match self.threads {
            0 | 1 => 1,
            threads => (2 * threads).min(Self::MAX_IN_FLIGHT),
        };
        while self.in_flight.len() < wanted {
            let Input::Boundary(source) = &mut self.input else { return Ok(()) };
            if !begins_member(source, self.members)? {
                self.move_input(|source| Input::Ended(source));
                return Ok(());
            }
            self.members += 1;
            let offset = source.position();
            let Some(member) = SizedMember::peek(source)? else {
                // GzDecoder reports what is wrong with a header at its first read.
                self.move_input(|source| Input::Member(Box::new(GzDecoder::new(source))));
                return Ok(());
            };
            let length = member.length();
            if self.threads > 1 && self.pool.is_none() {
                self.pool = Pool::start(self.threads, wanted, &self.buffers);
            }
            self.in_flight.push_back(match &mut self.pool {
                Some(pool) => pool.submit(&member, offset),
                None => Inflating::now(&member, offset, &self.buffers),
            });
            source.consume(length);
        }
        Ok(())
    }

    fn end_member(&mut self) {
        if let Input::Member(decoder) = std::mem::replace(&mut self.input, Input::Moving) {
            self.input = Input::Boundary(decoder.into_inner());
        }
    }

    fn move_input(&mut self, next: impl FnOnce(Source<R>) -> Input<R>) {
        self.input = match std::mem::replace(&mut self.input, Input::Moving) {
            Input::Boundary(source) => next(source),
            other => other,
        };
    }
}

/// Whether another member starts here; false at the end of the stream, after any zero padding.
fn begins_member<R: Read>(source: &mut Source<R>, members: u64) -> io::Result<bool> {
    let offset = source.position();
    match *source.peek(2)? {
        [0x1f, 0x8b] => Ok(true),
        [0x1f] => Err(GzipError::Truncated { offset: offset + 1 }.into_io()),
        [] if members == 0 => Err(GzipError::Empty.into_io()),
        _ if members == 0 => Err(GzipError::NotGzip { start: source.peek(8)?.to_vec() }.into_io()),
        [] => Ok(false),
        [0, ..] => match source.skip_zeros()? {
            None => Ok(false),
            Some(offset) => Err(GzipError::TrailingGarbage { offset }.into_io()),
        },
        _ => Err(GzipError::TrailingGarbage { offset }.into_io()),
    }
}

impl<R: Read> BufRead for InflateReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() {
            self.current = self.next_block()?.unwrap_or_default();
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl<R: Read> Read for InflateReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
