//! File names that are not UTF-8, in YAML.
//!
//! Spack writes a byte that is not UTF-8 as an escaped lone surrogate, `"\uDC80"` to `"\uDCFF"`, and Python reads
//! that back. For YAML, and for any Rust string, a lone surrogate is no character. So before the text is
//! parsed, each such escape is replaced by a private character that the text does not use, and in
//! the scalars that come out, that character becomes the byte again.

use std::borrow::Cow;
use std::ops::Range;

/// Code points that the stand-ins of one text take.
const BLOCK: u32 = 0x80;

/// Planes 15 and 16 are private: nobody has a meaning for them, so hardly any text uses them.
const PRIVATE: Range<u32> = 0xF0000..0x10_FF80;

/// Bytes of an escape such as `\uDC80`.
const ESCAPE: usize = 6;

/// The private characters that stand for the bytes 0x80..=0xFF in one text.
pub(super) struct StandIns {
    /// The one that stands for 0x80; nothing if the text has no such escape.
    first: Option<u32>,
}

impl StandIns {
    /// The text with stand-ins for escaped surrogates. If it uses every block of private characters already, it is
    /// left as it is, and the parser will object to the first escape.
    pub(super) fn substitute(text: &str) -> (Cow<'_, str>, Self) {
        let escapes = escapes(text);
        let free = if escapes.is_empty() { None } else { free_block(text) };
        let Some(first) = free else { return (Cow::Borrowed(text), Self { first: None }) };
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for (start, byte) in escapes {
            out.push_str(&text[copied..start]);
            out.extend(char::from_u32(first + u32::from(byte) - 0x80));
            copied = start + ESCAPE;
        }
        out.push_str(&text[copied..]);
        (Cow::Owned(out), Self { first: Some(first) })
    }

    /// The bytes of a parsed scalar. Outside double quotes a backslash is a backslash, and the escape was text.
    pub(super) fn restore(&self, scalar: &str, double_quoted: bool) -> Vec<u8> {
        let Some(first) = self.first else { return scalar.as_bytes().to_vec() };
        let mut out = Vec::with_capacity(scalar.len());
        for character in scalar.chars() {
            match u32::from(character).checked_sub(first).filter(|offset| *offset < BLOCK) {
                None => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                Some(offset) if double_quoted => out.push(0x80 | offset as u8),
                Some(offset) => out.extend_from_slice(format!("\\uDC{:02X}", 0x80 + offset).as_bytes()),
            }
        }
        out
    }
}

/// Where the escapes `\uDC80` to `\uDCFF` begin, and the bytes they stand for. A backslash that is itself escaped
/// begins none.
fn escapes(text: &str) -> Vec<(usize, u8)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("\\uDC") {
        let backslashes = text[..at].bytes().rev().take_while(|&b| b == b'\\').count();
        let digits = text.as_bytes().get(at + 4..at + ESCAPE).unwrap_or_default();
        let upper = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        let byte = std::str::from_utf8(digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok());
        if let Some(byte) = byte
            && backslashes % 2 == 0
            && upper
            && byte >= 0x80
        {
            found.push((at, byte));
        }
    }
    found
}

/// The first code point of a block that the text uses neither as it is nor escaped.
fn free_block(text: &str) -> Option<u32> {
    let escaped = text.match_indices("\\U").filter_map(|(at, _)| {
        let digits = text.get(at + 2..at + 10)?;
        u32::from_str_radix(digits, 16).ok()
    });
    let used: std::collections::BTreeSet<u32> = text.chars().map(u32::from).chain(escaped).collect();
    PRIVATE.step_by(BLOCK as usize).find(|first| used.range(*first..first + BLOCK).next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_surrogates_is_not_copied() {
        let (text, _) = StandIns::substitute("{a: \"\\u00e9 \\\\uDC80 \\uDC7F \\uDCZZ \\uDC\"}");
        assert!(matches!(text, Cow::Borrowed(_)), "{text}");
    }

    #[test]
    fn private_characters_of_the_text_itself_survive() {
        let (text, stand_ins) = StandIns::substitute("\u{f0000} \\uDCFF \\U000F0081");
        assert!(text.starts_with('\u{f0000}') && !text.contains("\\uDC"));
        let scalar = text.replace("\\U000F0081", "\u{f0081}");
        let restored = stand_ins.restore(&scalar, true);
        assert_eq!(restored, ["\u{f0000} ".as_bytes(), b"\xff", " \u{f0081}".as_bytes()].concat());
    }

    #[test]
    fn outside_double_quotes_an_escape_is_text() {
        let (text, stand_ins) = StandIns::substitute("\\uDC80");
        assert_eq!(stand_ins.restore(&text, false), b"\\uDC80");
        assert_eq!(stand_ins.restore(&text, true), b"\x80");
    }
}
