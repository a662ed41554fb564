//! Zstd → plain bytes, in parallel where the stream allows it.
//!
//! Frames that are small and say how long their content is, as those that strata wrote, are cut out of the stream whole
//! and decompressed on several threads, and their bytes come out in order. Every other frame, such as the single one of
//! most layers, streams through a decoder of bounded memory. Both kinds may follow each other in one stream, with frames in
//! between that are to be skipped.
//!
//! The compressed stream is always read to its very end before the end is reported: a caller whose stream verifies a digest
//! there learns of a mismatch.

mod pool;
mod streaming;

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use bytes::Bytes;
use thiserror::Error;
use zstd::zstd_safe::get_error_name;

use super::frame::{self, MAX_WINDOW, Next};
use crate::blocks::Blocks;
use crate::gzip::reader::source::Source;
use pool::{Decoding, FrameDecoder, Pool};
use streaming::Streaming;

/// The most that a frame may have in it to be decompressed whole, in bytes.
const MAX_CONTENT: u64 = 4 << 20;

/// The most compressed bytes of such a frame. Incompressible data grows by less than a thousandth.
const MAX_LENGTH: usize = (4 << 20) + (64 << 10);

/// The most bytes, compressed and not, of frames that are held at once, unless there is only one.
const MAX_HELD: usize = 40 << 20;

/// The most frames that are held at once.
const MAX_IN_FLIGHT: usize = 24;

/// What can be wrong with a zstd stream. Arrives as the inner error of an [`io::Error`] of kind `InvalidData`, or
/// `UnexpectedEof` where the stream is cut short. Offsets count compressed bytes from the start of the stream.
#[derive(Debug, Error)]
pub enum ZstdError {
    /// The stream does not start with a frame.
    #[error("not a zstd stream: it starts with the bytes {start:02x?}")]
    NotZstd {
        /// The first bytes of the stream, at most eight.
        start: Vec<u8>,
    },
    /// Something other than a frame follows the last one.
    #[error("the last zstd frame is followed by something else, at byte {offset}")]
    TrailingGarbage {
        /// Where it starts.
        offset: u64,
    },
    /// The stream ends within a frame.
    #[error("the zstd stream is cut short: it ends at byte {offset}, within a frame")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// A frame cannot be decompressed, or does not have the checksum or the length that it says.
    #[error("the zstd frame at byte {offset} is corrupt: {reason}")]
    Corrupt {
        /// Where the frame starts.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Reading a frame takes more memory than is allowed.
    #[error("the zstd frame at byte {offset} needs a window of {window} bytes, and {MAX_WINDOW} are allowed")]
    Window {
        /// Where the frame starts.
        offset: u64,
        /// What it asks for, in bytes.
        window: u64,
    },
    /// A frame was compressed with a dictionary, which nobody gave us.
    #[error("the zstd frame at byte {offset} needs the dictionary {dictionary}, and layers have none")]
    Dictionary {
        /// Where the frame starts.
        offset: u64,
        /// The number of the dictionary.
        dictionary: u64,
    },
    /// The system has no memory for what decompresses a frame.
    #[error("there is no memory to decompress the zstd frame at byte {offset}")]
    NoMemory {
        /// Where the frame starts.
        offset: u64,
    },
    /// A thread that decompresses is gone, or the reader is used after it reported an error.
    #[error("decompressing stopped earlier")]
    Stopped,
}

/// What zstd returns when it gets no memory: the negative of its `ZSTD_error_memory_allocation`.
const NO_MEMORY: usize = 64_usize.wrapping_neg();

impl ZstdError {
    /// What zstd says of the frame that starts at `offset`.
    fn of_code(code: usize, offset: u64) -> Self {
        match code {
            NO_MEMORY => Self::NoMemory { offset },
            _ => Self::Corrupt { offset, reason: get_error_name(code).to_owned() },
        }
    }

    pub(super) fn into_io(self) -> io::Error {
        let kind = match self {
            Self::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            Self::NoMemory { .. } => io::ErrorKind::OutOfMemory,
            Self::Stopped => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

/// The plain bytes of a zstd stream of one or several frames.
///
/// Memory stays below 64 MiB, besides the window of a frame that is streamed, of 128 MiB at most, whatever the stream
/// says. Errors of the compressed stream arrive unchanged; errors of the format carry a [`ZstdError`]. After an error the
/// reader yields only errors.
pub(crate) struct FrameReader<R> {
    source: Source<R>,
    threads: usize,
    pool: Option<Pool>,
    /// What decompresses on the calling thread.
    here: Option<FrameDecoder>,
    in_flight: VecDeque<Decoding>,
    /// Bytes of what is in flight.
    held: usize,
    /// What decompresses frames that are not decompressed whole.
    streaming: Option<Streaming>,
    /// Within such a frame.
    is_streaming: bool,
    frames: u64,
    ended: bool,
    failed: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads `compressed`, decompressing on up to `threads` threads of its own; with 0 or 1 on the calling thread.
    ///
    /// Threads start when the first frame is met that can be decompressed whole, and end with the reader.
    pub(crate) fn new(compressed: R, threads: usize) -> Self {
        Self {
            source: Source::new(compressed),
            threads,
            pool: None,
            here: None,
            in_flight: VecDeque::new(),
            held: 0,
            streaming: None,
            is_streaming: false,
            frames: 0,
            ended: false,
            failed: false,
        }
    }

    fn decompress_more(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            self.read_ahead()?;
            let block = if let Some(decoding) = self.in_flight.pop_front() {
                self.held -= decoding.held();
                decoding.wait(self.pool.as_mut())?
            } else if self.is_streaming
                && let Some(streaming) = &mut self.streaming
            {
                match streaming.next(&mut self.source)? {
                    Some(block) => block,
                    None => {
                        self.is_streaming = false;
                        continue;
                    }
                }
            } else {
                return Ok(None);
            };
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
    }

    /// Hands out frames until enough are in flight, or one that is to be streamed or the end is reached.
    fn read_ahead(&mut self) -> io::Result<()> {
        let wanted = match self.threads {
            0 | 1 => 1,
            threads => threads.saturating_mul(2).min(MAX_IN_FLIGHT),
        };
        while !self.ended
            && !self.is_streaming
            && self.in_flight.len() < wanted
            && (self.in_flight.is_empty() || self.held + MAX_LENGTH + MAX_CONTENT as usize <= MAX_HELD)
        {
            let header = match frame::next(&mut self.source, self.frames == 0)? {
                Next::End => {
                    self.ended = true;
                    return Ok(());
                }
                Next::Skippable(length) => {
                    self.frames += 1;
                    self.skip(length)?;
                    continue;
                }
                Next::Frame(header) => header,
            };
            self.frames += 1;
            let offset = self.source.position();
            let whole = match header.content {
                Some(content) if content <= MAX_CONTENT => {
                    let length = frame::length(&mut self.source, &header, MAX_LENGTH)?;
                    length.map(|length| (content as usize, length))
                }
                _ => None,
            };
            let Some((content, length)) = whole else {
                match &mut self.streaming {
                    Some(streaming) => streaming.begin(offset),
                    none => *none = Some(Streaming::new(offset)?),
                }
                self.is_streaming = true;
                return Ok(());
            };
            if self.threads > 1 && self.pool.is_none() {
                self.pool = Pool::start(self.threads, wanted);
            }
            let frame = self.source.peek(length)?;
            let decoding = match &mut self.pool {
                Some(pool) => pool.submit(frame, content, offset),
                None => Decoding::now(&mut self.here, frame, content, offset),
            };
            self.held += decoding.held();
            self.in_flight.push_back(decoding);
            self.source.consume(length);
        }
        Ok(())
    }

    fn skip(&mut self, mut length: u64) -> io::Result<()> {
        while length > 0 {
            let available = self.source.fill_buf()?.len();
            if available == 0 {
                return Err(ZstdError::Truncated { offset: self.source.position() }.into_io());
            }
            let amount = usize::try_from(length).unwrap_or(usize::MAX).min(available);
            self.source.consume(amount);
            length -= amount as u64;
        }
        Ok(())
    }
}

impl<R: Read> Blocks for FrameReader<R> {
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        if self.failed {
            return Err(ZstdError::Stopped.into_io());
        }
        self.failed = true;
        let block = self.decompress_more()?;
        self.failed = false;
        Ok(block)
    }

    fn drain_compressed(&mut self) -> io::Result<()> {
        self.failed = true;
        self.source.drain()
    }
}

#[cfg(test)]
mod tests;
