//! The plain bytes of a layer, block by block.
//!
//! What decompresses hands out blocks that whoever reads the tar may keep and share: the contents of files are slices of
//! them, so nothing is copied on the way to the disk.

use std::io::{self, Read};

use bytes::Bytes;

use crate::gzip::reader::InflateReader;

/// A decompressor of a layer.
pub(crate) trait Blocks {
    /// The next bytes of the uncompressed stream, in order and never empty; `None` at its end.
    ///
    /// # Errors
    /// Those of the compressed stream, unchanged, and what is wrong with its format. After an error there are only errors.
    fn next_block(&mut self) -> io::Result<Option<Bytes>>;

    /// Reads the compressed stream to its end without decompressing it, so that a stream which verifies a digest there
    /// gets to say so. For use after an error of the format.
    ///
    /// # Errors
    /// Those of the compressed stream, unchanged.
    fn drain_compressed(&mut self) -> io::Result<()>;
}

/// The decompressor for `layer`, with up to `threads` threads of its own where the layer allows it.
pub(crate) fn decompressor<'l>(layer: impl Read + 'l, threads: usize) -> Box<dyn Blocks + 'l> {
    Box::new(InflateReader::new(layer, threads))
}

impl<R: Read> Blocks for InflateReader<R> {
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        InflateReader::next_block(self)
    }

    fn drain_compressed(&mut self) -> io::Result<()> {
        InflateReader::drain_compressed(self)
    }
}
