//! The uncompressed stream of a layer: counted, limited and hashed to its very end.

use std::io;

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use super::error::UnpackError;
use crate::blocks::Blocks;

/// Bytes of a block: headers are one, and file contents are padded to a multiple.
pub(super) const BLOCK: usize = 512;

/// What is read from `blocks`, in pieces as large as it has them.
pub(super) struct TarStream<'l> {
    blocks: Box<dyn Blocks + 'l>,
    /// What was read and not consumed; in the digest already.
    current: Bytes,
    digest: Sha256,
    position: u64,
    limit: u64,
}

impl<'l> TarStream<'l> {
    /// Reads `blocks`, of which at most `limit` bytes are allowed.
    pub(super) fn new(blocks: Box<dyn Blocks + 'l>, limit: u64) -> Self {
        TarStream { blocks, current: Bytes::new(), digest: Sha256::new(), position: 0, limit }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Refuses `entry` if the stream were over its limit `bytes` further on.
    pub(super) fn allow(&self, bytes: u64, entry: impl FnOnce() -> String) -> Result<(), UnpackError> {
        let reached = self.position.saturating_add(bytes);
        if reached > self.limit {
            return Err(UnpackError::TooLarge { entry: entry(), reached, limit: self.limit });
        }
        Ok(())
    }

    /// The next bytes, at most `limit`; empty at the end of the stream. Nothing is consumed.
    pub(super) fn chunk(&mut self, limit: u64) -> io::Result<&[u8]> {
        let length = self.at_hand(limit)?;
        Ok(&self.current[..length])
    }

    /// The next bytes, at most `limit`, which are consumed; empty at the end of the stream. They are not copied.
    pub(super) fn take(&mut self, limit: u64) -> io::Result<Bytes> {
        let length = self.at_hand(limit)?;
        self.position += length as u64;
        Ok(self.current.split_to(length))
    }

    /// How many of the next `limit` bytes are there without reading on; 0 at the end of the stream.
    fn at_hand(&mut self, limit: u64) -> io::Result<usize> {
        if self.current.is_empty() {
            self.current = self.blocks.next_block()?.unwrap_or_default();
            self.digest.update(&self.current);
        }
        Ok(usize::try_from(limit).unwrap_or(usize::MAX).min(self.current.len()))
    }

    /// Moves on by `amount`, at most what [`TarStream::chunk`] gave last.
    pub(super) fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
        self.position += amount as u64;
    }

    /// Fills `block`; false if the stream ends before its first byte.
    pub(super) fn read_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, UnpackError> {
        let mut filled = 0;
        while filled < BLOCK {
            let chunk = self.chunk((BLOCK - filled) as u64).map_err(read)?;
            let length = chunk.len();
            if length == 0 {
                if filled == 0 {
                    return Ok(false);
                }
                return Err(UnpackError::Truncated { offset: self.position });
            }
            block[filled..filled + length].copy_from_slice(chunk);
            self.consume(length);
            filled += length;
        }
        Ok(true)
    }

    /// Moves on by `amount`, whatever the bytes are.
    pub(super) fn skip(&mut self, mut amount: u64) -> Result<(), UnpackError> {
        while amount > 0 {
            let length = self.chunk(amount).map_err(read)?.len();
            if length == 0 {
                return Err(UnpackError::Truncated { offset: self.position });
            }
            self.consume(length);
            amount -= length as u64;
        }
        Ok(())
    }

    /// Reads to the end of the stream and gives the SHA-256 of all of it, the diff id.
    ///
    /// Whatever follows the end-of-archive marker counts towards the limit; no reader looks at it.
    pub(super) fn finish(&mut self) -> Result<[u8; 32], UnpackError> {
        loop {
            let length = self.chunk(u64::MAX).map_err(read)?.len();
            if length == 0 {
                return Ok(std::mem::take(&mut self.digest).finalize().into());
            }
            self.allow(length as u64, || "after the last".to_owned())?;
            self.consume(length);
        }
    }

    /// The blocks given, once the stream is of no more use.
    pub(super) fn blocks(&mut self) -> &mut dyn Blocks {
        &mut *self.blocks
    }
}

/// An error of the reader.
pub(super) fn read(source: io::Error) -> UnpackError {
    UnpackError::Read { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in blocks of some size.
    struct Cut(Bytes, usize);

    impl Blocks for Cut {
        fn next_block(&mut self) -> io::Result<Option<Bytes>> {
            let length = self.1.min(self.0.len());
            Ok((length > 0).then(|| self.0.split_to(length)))
        }

        fn drain_compressed(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stream(bytes: &[u8], block: usize, limit: u64) -> TarStream<'static> {
        TarStream::new(Box::new(Cut(Bytes::copy_from_slice(bytes), block)), limit)
    }

    #[test]
    fn the_digest_is_of_every_byte_however_it_is_read() {
        let bytes: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        let expected: [u8; 32] = Sha256::digest(&bytes).into();
        for capacity in [1, 7, 512, 4096, 20_000] {
            let mut stream = stream(&bytes, capacity, 10_000);
            stream.skip(3).unwrap();
            let mut block = [0; BLOCK];
            assert!(stream.read_block(&mut block).unwrap());
            assert_eq!(block, bytes[3..3 + BLOCK]);
            let length = stream.chunk(5).unwrap().len();
            stream.consume(length.min(2));
            let position = stream.position() as usize;
            let taken = stream.take(5).unwrap();
            assert_eq!(taken, bytes[position..position + taken.len()]);
            stream.skip(1000).unwrap();
            assert_eq!(stream.finish().unwrap(), expected, "capacity {capacity}");
            assert_eq!(stream.position(), 10_000);
        }
    }

    #[test]
    fn the_end_is_told_from_a_cut() {
        let mut stream = stream(&[1; 600], 512, u64::MAX);
        let mut block = [0; BLOCK];
        assert!(stream.read_block(&mut block).unwrap());
        assert!(matches!(stream.read_block(&mut block), Err(UnpackError::Truncated { offset: 600 })));
        assert!(!stream.read_block(&mut block).unwrap());
        assert!(matches!(stream.skip(1), Err(UnpackError::Truncated { offset: 600 })));
    }

    #[test]
    fn bytes_after_the_archive_count() {
        let mut stream = stream(&[0; 600], 600, 599);
        assert!(matches!(stream.finish(), Err(UnpackError::TooLarge { reached: 600, limit: 599, .. })));
    }
}
