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

    /// What is to be said of a stream that is no tar from its very first header on, if there is more to say than that.
    fn no_layer(&self) -> Option<io::Error> {
        None
    }
}

impl<R: Read> Blocks for InflateReader<R> {
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        InflateReader::next_block(self)
    }

    fn drain_compressed(&mut self) -> io::Result<()> {
        InflateReader::drain_compressed(self)
    }
}
