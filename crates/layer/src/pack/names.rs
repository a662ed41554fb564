//! File names in the order, and with the characters, that Python gives them.
//!
//! Spack handles file names as Python strings: UTF-8 is decoded, and each byte that is not part of valid UTF-8
//! becomes one lone surrogate, U+DC00 plus the byte (PEP 383, `surrogateescape`). Entries are sorted by those
//! code points, and tar headers and YAML scalars are made from them. Here names stay bytes; this file knows
//! what they look like from there.

use std::cmp::Ordering;

/// The first of the code points that stand for undecodable bytes 0x80..=0xFF.
pub(crate) const FIRST_ESCAPE: u32 = 0xDC80;

/// The last of the code points that stand for undecodable bytes.
pub(crate) const LAST_ESCAPE: u32 = 0xDCFF;

/// The code points of `name` as a Python string.
pub(crate) fn code_points(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        let escaped = chunk.invalid().iter().map(|&byte| 0xDC00 + u32::from(byte));
        chunk.valid().chars().map(u32::from).chain(escaped)
    })
}

/// Orders two file names as Python's `sorted` orders the strings it makes of them: by code point.
///
/// For valid UTF-8 that is the order of the bytes; an undecodable byte sorts after U+D7FF and before U+E000,
/// which is where the two orders differ.
#[must_use]
pub fn compare_names(left: &[u8], right: &[u8]) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        left.cmp(right)
    } else {
        code_points(left).cmp(code_points(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecodable_bytes_sort_between_the_basic_plane_and_its_private_area() {
        let mut names: Vec<&[u8]> = vec![
            b"\xff",
            "\u{e000}".as_bytes(),
            "\u{10000}".as_bytes(),
            "\u{d7ff}".as_bytes(),
            b"\x80",
            b"z",
            b"Z",
        ];
        names.sort_by(|a, b| compare_names(a, b));
        let expected: Vec<&[u8]> = vec![
            b"Z",
            b"z",
            "\u{d7ff}".as_bytes(),
            b"\x80",
            b"\xff",
            "\u{e000}".as_bytes(),
            "\u{10000}".as_bytes(),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_name_sorts_before_its_extensions() {
        assert_eq!(compare_names(b"a", b"a.d"), Ordering::Less);
        assert_eq!(compare_names("é".as_bytes(), b"\xc3"), Ordering::Less);
        assert_eq!(compare_names(b"", b""), Ordering::Equal);
    }

    #[test]
    fn every_byte_of_a_broken_sequence_is_escaped_on_its_own() {
        let points: Vec<u32> = code_points(b"a\xe6\x97b\xed\xa0\x80\xf4\x90").collect();
        assert_eq!(points, [0x61, 0xdce6, 0xdc97, 0x62, 0xdced, 0xdca0, 0xdc80, 0xdcf4, 0xdc90]);
    }
}
