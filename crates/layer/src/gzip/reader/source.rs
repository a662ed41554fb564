//! The compressed stream, with a look ahead over a whole member.

use std::io::{self, BufRead, Read};

use super::GzipError;

/// Read from the stream at a time, in bytes.
const CHUNK: usize = 128 * 1024;

/// A buffered reader that can show more than its buffer, knows its position, and remembers whose an error is.
pub(crate) struct Source<R> {
    inner: R,
    /// Bytes read and not consumed are `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
    ended: bool,
    /// The last error came from `inner`, not from what its bytes mean.
    inner_failed: bool,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(inner: R) -> Self {
        let buffer = vec![0; CHUNK];
        Source { inner, buffer, start: 0, end: 0, position: 0, ended: false, inner_failed: false }
    }

    /// Compressed bytes consumed so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next `wanted` bytes, or fewer at the end of the stream; nothing is consumed. The buffer grows to
    /// `wanted`: the caller bounds it.
    pub(crate) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.end - self.start < wanted && !self.ended {
            self.read_more(wanted)?;
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + wanted)])
    }

    /// Reads once from the inner stream, keeping what is buffered.
    fn read_more(&mut self, wanted: usize) -> io::Result<()> {
        let needed = wanted.max(CHUNK);
        if self.buffer.len() - self.start < needed {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() < needed {
                self.buffer.resize(needed, 0);
            }
        }
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(length) => {
                    self.end += length;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.inner_failed = true;
                    return Err(error);
                }
            }
        }
    }

    /// Consumes zeros; the position of the first byte that is not one, or none if there is none.
    pub(super) fn skip_zeros(&mut self) -> io::Result<Option<u64>> {
        loop {
            let available = self.fill_buf()?;
            if available.is_empty() {
                return Ok(None);
            }
            let zeros = available.iter().take_while(|byte| **byte == 0).count();
            let all = zeros == available.len();
            self.consume(zeros);
            if !all {
                return Ok(Some(self.position));
            }
        }
    }

    /// Reads and drops everything to the end.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        loop {
            let length = self.fill_buf()?.len();
            if length == 0 {
                return Ok(());
            }
            self.consume(length);
        }
    }

    /// What an error of the decoder that reads from here means: the stream's own errors stay as they are.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        if self.inner_failed {
            return error;
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => GzipError::Truncated { offset: self.position },
            _ => GzipError::Corrupt { offset: self.position, reason: error.to_string() },
        }
        .into_io()
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)?;
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        debug_assert!(amount <= self.end - self.start);
        self.start += amount;
        self.position += amount as u64;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
