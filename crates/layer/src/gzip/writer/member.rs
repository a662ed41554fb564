//! One block to one gzip member.

use libdeflater::{CompressionError, CompressionLvl, Compressor};

use crate::gzip::{BLOCK_SIZE, HEADER_SIZE, MEMBER_SIZE_SUBFIELD, TRAILER_SIZE};

/// libdeflate's level, the lowest whose layers are not larger in total than Spack's. Its output at a level is fixed for a
/// version of libdeflate; changing either changes digests, though never diff ids.
pub const LEVEL: i32 = 5;

/// Why a block could not be compressed. Neither is the input's fault.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// libdeflate wanted more space than it had said it could want.
    #[error("libdeflate exceeded its own bound for a block")]
    Bound,
    /// zstd failed, for want of memory.
    #[error("zstd cannot compress: {0}")]
    Zstd(&'static str),
    /// The thread that had the block died.
    #[error("a compressor thread died")]
    WorkerLost,
}

/// A complete gzip member, or what stands for it where another method is used.
pub(crate) struct Member {
    pub(crate) bytes: Vec<u8>,
}

/// What one thread needs to compress blocks.
pub(crate) struct MemberCompressor {
    compressor: Compressor,
    /// As long as the longest member. It changes places with each block's buffer, so nothing is copied.
    scratch: Vec<u8>,
}

impl MemberCompressor {
    pub(crate) fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        let mut compressor = Compressor::new(level);
        let size = HEADER_SIZE + compressor.deflate_compress_bound(BLOCK_SIZE) + TRAILER_SIZE;
        Self { compressor, scratch: vec![0; size] }
    }

    /// Bytes of the longest member there can be.
    pub(crate) fn buffer_size(&self) -> usize {
        self.scratch.len()
    }

    /// Compresses `block`, at most [`BLOCK_SIZE`] bytes. The member takes over one buffer and leaves `block`'s here.
    pub(crate) fn compress(&mut self, mut block: Vec<u8>) -> Result<Member, CompressError> {
        let buffer_size = self.buffer_size();
        let body = &mut self.scratch[HEADER_SIZE..buffer_size - TRAILER_SIZE];
        let deflated = match self.compressor.deflate_compress(&block, body) {
            Ok(deflated) => deflated,
            Err(CompressionError::InsufficientSpace) => return Err(CompressError::Bound),
        };
        let size = HEADER_SIZE + deflated + TRAILER_SIZE;
        self.scratch[..HEADER_SIZE].copy_from_slice(&header(size as u32));
        let trailer = &mut self.scratch[HEADER_SIZE + deflated..size];
        trailer[..4].copy_from_slice(&libdeflater::crc32(&block).to_le_bytes());
        trailer[4..].copy_from_slice(&(block.len() as u32).to_le_bytes());

        block.resize(buffer_size, 0);
        std::mem::swap(&mut self.scratch, &mut block);
        block.truncate(size);
        Ok(Member { bytes: block })
    }
}

/// The header of a member of `size` bytes in total. RFC 1952: no name, no time, system unknown (255), one extra
/// subfield.
fn header(size: u32) -> [u8; HEADER_SIZE] {
    let [si1, si2] = MEMBER_SIZE_SUBFIELD;
    let [a, b, c, d] = size.to_le_bytes();
    [0x1f, 0x8b, 8, 1 << 2, 0, 0, 0, 0, 0, 255, 8, 0, si1, si2, 4, 0, a, b, c, d]
}
