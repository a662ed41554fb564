//! A layer that is not compressed, block by block.

use std::io::{self, Read};

use bytes::Bytes;

use crate::blocks::Blocks;

/// Bytes of a block.
const BLOCK: usize = 256 << 10;

/// The bytes of a reader, as they are.
pub(super) struct PlainReader<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> PlainReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, failed: false }
    }
}

impl<R: Read> Blocks for PlainReader<R> {
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        if self.failed {
            return Err(io::Error::other("reading stopped earlier"));
        }
        let mut block = Vec::with_capacity(BLOCK);
        match self.inner.by_ref().take(BLOCK as u64).read_to_end(&mut block) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(block.into())),
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    fn drain_compressed(&mut self) -> io::Result<()> {
        self.failed = true;
        io::copy(&mut self.inner, &mut io::sink()).map(drop)
    }
}
