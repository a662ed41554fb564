//! How a layer is compressed: the choice when one is written, and finding out when one is read.
//!
//! gzip is what every reader takes, and the default. zstd is for caches whose readers are known: strata reads it, and so do
//! Docker from version 23, podman, skopeo, and Spack where it runs on Python 3.14. A plain tar costs nothing but bytes, for caches that lie
//! on a disk which compresses by itself.

mod block;
mod decompressed;
mod decompressor;
mod method;
mod plain;

pub(crate) use block::BlockCompressor;
pub use decompressed::Decompressed;
pub(crate) use decompressor::Decompressor;
pub use method::{Method, MethodError};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

impl Compression {
    /// That of something that starts with these bytes: four, unless it has fewer. A start of gzip's or zstd's magic number
    /// that ends there is taken for what it was to be.
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f] | [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28] | [0x28, 0xb5] | [0x28, 0xb5, 0x2f] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame that is to be skipped, with which seekable archives may begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What Spack calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}
