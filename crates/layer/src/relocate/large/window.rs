//! A stretch of a stream in memory that moves forward through it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// The stretch. What was looked at is given back with [`Window::advance`]; what was not stays.
pub(in crate::relocate) struct Window<'b, R> {
    reader: R,
    buffer: &'b mut Vec<u8>,
    length: usize,
    start: usize,
    is_last: bool,
}

impl<'b, R: Read> Window<'b, R> {
    /// The first `size` bytes of `reader`, in `buffer`.
    pub(in crate::relocate) fn new(reader: R, size: usize, buffer: &'b mut Vec<u8>) -> io::Result<Self> {
        // Not to be filled with zeros anew for each file.
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        buffer.truncate(size);
        let mut window = Window { reader, buffer, length: 0, start: 0, is_last: false };
        window.fill()?;
        Ok(window)
    }

    pub(in crate::relocate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }

    /// Where in the stream the window starts.
    pub(in crate::relocate) fn start(&self) -> usize {
        self.start
    }

    /// Whether the stream ends where the window does.
    pub(in crate::relocate) fn is_last(&self) -> bool {
        self.is_last
    }

    /// How many bytes at the beginning of the window have, each included, `sight` bytes before its end; all in the last one.
    pub(in crate::relocate) fn decided(&self, sight: usize) -> usize {
        if self.is_last { self.length } else { (self.length + 1).saturating_sub(sight.max(1)) }
    }

    /// Moves the window's start behind its first `count` bytes, or all of them if there are fewer, and reads on.
    pub(in crate::relocate) fn advance(&mut self, count: usize) -> io::Result<()> {
        let count = count.min(self.length);
        self.buffer.copy_within(count..self.length, 0);
        self.start += count;
        self.length -= count;
        self.fill()
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.length < self.buffer.len() && !self.is_last {
            match self.reader.read(&mut self.buffer[self.length..]) {
                Ok(0) => self.is_last = true,
                Ok(count) => self.length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A file from an offset on, whatever its own position is: it is written to at the same time.
pub(in crate::relocate) struct FileFrom<'f> {
    pub(in crate::relocate) file: &'f File,
    pub(in crate::relocate) offset: u64,
}

impl Read for FileFrom<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_goes_through_all_bytes_and_keeps_what_was_not_looked_at() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut buffer = vec![7; 200];
        let mut window = Window::new(&bytes[..], 10, &mut buffer).unwrap();
        assert_eq!(
            (window.bytes().to_vec(), window.start(), window.decided(3)),
            (bytes[..10].to_vec(), 0, 8)
        );
        let mut seen = Vec::new();
        while !window.is_last() {
            seen.extend_from_slice(&window.bytes()[..7]);
            window.advance(7).unwrap();
            let start = window.start();
            let end = bytes.len().min(start + 10);
            assert_eq!(window.bytes(), &bytes[start..end]);
        }
        assert_eq!(window.decided(3), window.bytes().len());
        seen.extend_from_slice(window.bytes());
        assert_eq!(seen, bytes);
        window.advance(1000).unwrap();
        assert_eq!((window.bytes().len(), window.start()), (0, 100));
    }
}
