//! A layer's tar as a stream of bytes.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};

use super::{Compression, Decompressor};
use crate::blocks::Blocks;

/// The uncompressed bytes of a layer, however it is compressed. Errors of the reader given arrive unchanged.
pub struct Decompressed<R: Read> {
    decompressor: Decompressor<R>,
    current: Bytes,
}

impl<R: Read> Decompressed<R> {
    /// Finds out how `layer` is compressed. What strata wrote is decompressed on up to `threads` threads.
    ///
    /// # Errors
    /// Those of `layer`, from which the first bytes are read.
    pub fn new(layer: R, threads: usize) -> io::Result<Self> {
        Ok(Self { decompressor: Decompressor::new(layer, threads)?, current: Bytes::new() })
    }

    /// How the layer is compressed.
    pub fn compression(&self) -> Compression {
        self.decompressor.compression()
    }

    /// Reads the layer to its end without decompressing it, so that a reader which verifies a digest there gets to say so.
    /// For use after an error, or after the uncompressed end.
    ///
    /// # Errors
    /// Those of the reader given, unchanged.
    pub fn drain_compressed(&mut self) -> io::Result<()> {
        self.decompressor.drain_compressed()
    }
}

impl<R: Read> BufRead for Decompressed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() {
            self.current = self.decompressor.next_block()?.unwrap_or_default();
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
