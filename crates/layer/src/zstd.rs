//! The zstd stream of a layer: frames that are small, and say how long their content is.
//!
//! A layer is a tar stream cut into blocks of [`BLOCK_SIZE`] bytes (the last one shorter), and each block is a frame of its
//! own (RFC 8878). Any zstd reader takes the concatenation as one stream. Where a frame ends is found by going from one of
//! its blocks to the next without decompressing them, and what it needs in memory is in its header, so that a reader
//! decompresses frames in parallel.

pub(crate) mod frame;
pub mod reader;
pub(crate) mod writer;

/// Bytes of uncompressed stream in every frame but the last, which may be shorter.
pub const BLOCK_SIZE: usize = 2 << 20;
