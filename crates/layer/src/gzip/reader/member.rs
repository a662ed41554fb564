//! A member that says how long it is, and how one is inflated.
//!
//! Layout (RFC 1952, numbers little endian): `1f 8b 08 04`, mtime (4), XFL, OS, XLEN = 8 (2), then the one
//! extra subfield `S` `T`, its length 4 (2) and the size in bytes of the whole member, header and trailer
//! included (4); deflate data; CRC-32 (4); size of the plain bytes (4), at most [`BLOCK_SIZE`]. To everyone
//! else this is ordinary gzip.

use std::io::{self, Read};

use libdeflater::{DecompressionError, Decompressor};

use super::GzipError;
use super::source::Source;
use crate::gzip::{BLOCK_SIZE, HEADER_SIZE, MEMBER_SIZE_SUBFIELD, TRAILER_SIZE};

/// Above this a member is not read whole. Incompressible data grows by less than a thousandth.
const MAX_LENGTH: usize = BLOCK_SIZE + 64 * 1024;

/// A whole member: header, deflate data, trailer.
pub(super) struct SizedMember<'a> {
    bytes: &'a [u8],
}

impl<'a> SizedMember<'a> {
    /// The member at the start of `source` if it gives a plausible length and is there in full. None means
    /// that it is to be streamed: that finds out by itself what is wrong with it, if anything is.
    pub(super) fn peek<R: Read>(source: &'a mut Source<R>) -> io::Result<Option<Self>> {
        let header = source.peek(HEADER_SIZE)?;
        if header.len() < HEADER_SIZE
            || header[..4] != [0x1f, 0x8b, 8, 4]
            || header[10..12] != [8, 0]
            || header[12..14] != MEMBER_SIZE_SUBFIELD
            || header[14..16] != [4, 0]
        {
            return Ok(None);
        }
        let length = number(&header[16..20]);
        // The shortest deflate stream, an empty last block, is two bytes.
        if !(HEADER_SIZE + 2 + TRAILER_SIZE..=MAX_LENGTH).contains(&length) {
            return Ok(None);
        }
        let available = source.peek(length)?;
        if available.len() < length {
            return Ok(None);
        }
        let member = SizedMember { bytes: &available[..length] };
        Ok((member.plain_length() <= BLOCK_SIZE).then_some(member))
    }

    /// From bytes that were a member before.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Self {
        SizedMember { bytes }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The length of the whole member in bytes.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    fn plain_length(&self) -> usize {
        number(&self.bytes[self.bytes.len() - 4..])
    }

    /// Inflates into the front of `output`, which holds at least [`BLOCK_SIZE`] bytes, and gives the length.
    pub(super) fn inflate(
        &self,
        decompressor: &mut Decompressor,
        output: &mut [u8],
        offset: u64,
    ) -> Result<usize, GzipError> {
        let corrupt = |reason: &str| GzipError::Corrupt { offset, reason: reason.to_owned() };
        let (front, trailer) = self.bytes.split_at(self.bytes.len() - TRAILER_SIZE);
        let output = &mut output[..self.plain_length()];
        let length =
            decompressor.deflate_decompress(&front[HEADER_SIZE..], output).map_err(|error| match error {
                DecompressionError::BadData => {
                    corrupt("it cannot be inflated within the length its header gives")
                }
                DecompressionError::InsufficientSpace => corrupt("it is longer than its trailer says"),
            })?;
        if length != output.len() {
            return Err(corrupt("it is shorter than its trailer says"));
        }
        if libdeflater::crc32(output) as usize != number(&trailer[..4]) {
            return Err(corrupt("its checksum is wrong"));
        }
        Ok(length)
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
}
