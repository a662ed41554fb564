//! What a frame says before its content, and where it ends.

use std::io::{self, Read};

use super::reader::ZstdError;
use crate::gzip::reader::source::Source;

/// The most memory that a frame may ask for, in bytes: what `zstd` itself allows without being told.
pub(super) const MAX_WINDOW: u64 = 1 << 27;

/// The longest header: magic number, descriptor, window, dictionary, content size.
const MAX_HEADER: usize = 4 + 1 + 1 + 4 + 8;

/// What comes next in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame with this header.
    Frame(Header),
    /// So many bytes, their header included, that are to be skipped.
    Skippable(u64),
    /// Nothing.
    End,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its bytes.
    length: usize,
    /// Bytes of the uncompressed content, if that is said.
    pub(super) content: Option<u64>,
    /// Whether a checksum of four bytes follows the blocks.
    checksum: bool,
}

/// What the stream goes on with. Nothing is consumed.
pub(super) fn next<R: Read>(source: &mut Source<R>, is_first: bool) -> io::Result<Next> {
    let offset = source.position();
    let start = source.peek(MAX_HEADER)?;
    let cut = || ZstdError::Truncated { offset: offset + start.len() as u64 };
    let found = match *start {
        [] => Ok(Next::End),
        [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] => {
            header(descriptor, &start[5..], offset, cut).map(Next::Frame)
        }
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] => {
            Ok(Next::Skippable(8 + u64::from(u32::from_le_bytes([a, b, c, d]))))
        }
        _ if may_go_on(start) => Err(cut()),
        _ if is_first => Err(ZstdError::NotZstd { start: start[..start.len().min(8)].to_vec() }),
        _ => Err(ZstdError::TrailingGarbage { offset }),
    };
    found.map_err(ZstdError::into_io)
}

/// Whether these bytes, too few for more, are the start of a frame.
fn may_go_on(start: &[u8]) -> bool {
    let goes_on = |magic: &[u8]| start.iter().zip(magic).all(|(byte, expected)| byte == expected);
    match start {
        [first @ 0x50..=0x5f, ..] => goes_on(&[*first, 0x2a, 0x4d, 0x18]),
        _ => goes_on(&[0x28, 0xb5, 0x2f, 0xfd]),
    }
}

/// `rest` is what follows the descriptor (RFC 8878, section 3.1.1.1).
fn header(
    descriptor: u8,
    rest: &[u8],
    offset: u64,
    cut: impl Fn() -> ZstdError,
) -> Result<Header, ZstdError> {
    if descriptor & 0x08 != 0 {
        return Err(ZstdError::Corrupt { offset, reason: "a reserved bit of its header is set".to_owned() });
    }
    let is_single_segment = descriptor & 0x20 != 0;
    let window_bytes = usize::from(!is_single_segment);
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_bytes = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        flag => 1 << flag,
    };
    let length = window_bytes + dictionary_bytes + content_bytes;
    let fields = rest.get(..length).ok_or_else(cut)?;
    let (window, fields) = fields.split_at(window_bytes);
    let (dictionary, content) = fields.split_at(dictionary_bytes);
    let content = match content_bytes {
        0 => None,
        // Two bytes begin where one byte ends.
        2 => Some(number(content) + 256),
        _ => Some(number(content)),
    };
    let window = match *window {
        [byte] => {
            let base = 1u64 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        }
        _ => content.unwrap_or_default(),
    };
    if window > MAX_WINDOW {
        return Err(ZstdError::Window { offset, window });
    }
    let dictionary = number(dictionary);
    if dictionary != 0 {
        return Err(ZstdError::Dictionary { offset, dictionary });
    }
    Ok(Header { length: 5 + length, content, checksum: descriptor & 4 != 0 })
}

/// Bytes of the whole frame at the start of `source`, if they are at most `limit` and all there. None says that it is to be
/// streamed: that finds out by itself what is wrong with it, if anything is.
pub(super) fn length<R: Read>(
    source: &mut Source<R>,
    header: &Header,
    limit: usize,
) -> io::Result<Option<usize>> {
    let mut end = header.length;
    loop {
        let block = end;
        let Some(&[a, b, c]) = source.peek(block + 3)?.get(block..) else { return Ok(None) };
        let bits = u32::from_le_bytes([a, b, c, 0]);
        let content = match bits >> 1 & 3 {
            // One byte, to be repeated.
            1 => 1,
            3 => return Ok(None),
            _ => (bits >> 3) as usize,
        };
        end = block + 3 + content;
        let is_last = bits & 1 != 0;
        if is_last && header.checksum {
            end += 4;
        }
        if end > limit {
            return Ok(None);
        }
        if is_last {
            let is_whole = source.peek(end)?.len() == end;
            return Ok(is_whole.then_some(end));
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
