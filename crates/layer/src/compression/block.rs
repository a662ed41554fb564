//! One block to its part of the stream, whatever the compression.

use super::Method;
use crate::gzip::writer::CompressError;
use crate::gzip::writer::member::{Member, MemberCompressor};
use crate::zstd::writer::FrameCompressor;
use crate::{gzip, zstd};

/// What one thread needs to compress blocks.
pub(crate) enum BlockCompressor {
    Gzip(MemberCompressor),
    Zstd {
        frames: FrameCompressor,
        /// It changes places with each block's buffer, so nothing is copied.
        scratch: Vec<u8>,
    },
    None,
    /// zstd had no memory for it.
    Unusable(CompressError),
}

impl BlockCompressor {
    pub(crate) fn new(method: Method) -> Self {
        match method {
            Method::Gzip => Self::Gzip(MemberCompressor::new()),
            Method::Zstd { level } => match FrameCompressor::new(level) {
                Ok(frames) => Self::Zstd { frames, scratch: Vec::new() },
                Err(error) => Self::Unusable(error),
            },
            Method::None => Self::None,
        }
    }

    /// Bytes of uncompressed stream that are compressed at once.
    pub(crate) fn block_size(method: Method) -> usize {
        match method {
            Method::Gzip | Method::None => gzip::BLOCK_SIZE,
            Method::Zstd { .. } => zstd::BLOCK_SIZE,
        }
    }

    /// Bytes that hold any block before and after.
    pub(crate) fn buffer_size(method: Method) -> usize {
        match method {
            Method::Gzip => MemberCompressor::new().buffer_size(),
            Method::Zstd { .. } => FrameCompressor::buffer_size(),
            Method::None => gzip::BLOCK_SIZE,
        }
    }

    /// Compresses a block. What comes out takes over one buffer and leaves the block's here.
    pub(crate) fn compress(&mut self, mut block: Vec<u8>) -> Result<Member, CompressError> {
        match self {
            Self::Gzip(members) => members.compress(block),
            Self::Zstd { frames, scratch } => {
                frames.compress(&block, scratch)?;
                std::mem::swap(scratch, &mut block);
                Ok(Member { bytes: block })
            }
            Self::None => Ok(Member { bytes: block }),
            Self::Unusable(error) => Err(*error),
        }
    }
}
