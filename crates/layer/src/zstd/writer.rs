//! One block to one frame.

use zstd::zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use super::BLOCK_SIZE;
use crate::gzip::writer::CompressError;

/// What one thread needs to compress blocks at one level.
///
/// The bytes of a frame depend on the block and the level, for a version of zstd; changing either changes digests, though
/// never diff ids.
pub(crate) struct FrameCompressor {
    context: CCtx<'static>,
}

impl FrameCompressor {
    /// # Errors
    /// If zstd has no memory for it.
    pub(crate) fn new(level: u8) -> Result<Self, CompressError> {
        let mut context = CCtx::try_create().ok_or(CompressError::Zstd("no memory"))?;
        for parameter in [
            CParameter::CompressionLevel(i32::from(level)),
            CParameter::ContentSizeFlag(true),
            CParameter::ChecksumFlag(true),
        ] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Self { context })
    }

    /// Bytes of the longest frame there can be.
    pub(crate) fn buffer_size() -> usize {
        compress_bound(BLOCK_SIZE)
    }

    /// Compresses `block`, at most [`BLOCK_SIZE`] bytes, into `frame`, which is emptied first.
    pub(crate) fn compress(&mut self, block: &[u8], frame: &mut Vec<u8>) -> Result<(), CompressError> {
        frame.clear();
        frame.reserve(compress_bound(block.len()));
        self.context.compress2(frame, block).map(drop).map_err(failed)
    }
}

fn failed(code: usize) -> CompressError {
    CompressError::Zstd(get_error_name(code))
}
