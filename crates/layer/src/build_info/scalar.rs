//! One YAML scalar inside a flow collection, as Spack's emitter writes it.
//!
//! Spack writes `.spack/binary_distribution` with ruamel.yaml 0.17 (round-trip dumper, YAML 1.2, flow style,
//! unlimited width, `allow_unicode`). A layer has the same digest only if every scalar is quoted the way that
//! emitter quotes it: plain where a reader would get the same string back, else in single quotes, and in
//! double quotes where those cannot say it, or where the text holds a `'` (which is ruamel's own taste).

use crate::pack::names::code_points;

/// Characters that end a line for the emitter.
const BREAKS: [u32; 4] = ['\n' as u32, 0x85, 0x2028, 0x2029];

/// The emitter writes a key of this many characters or more (its tag `!!str` counted) as `? key : value`.
const LONGEST_SIMPLE_KEY: usize = 128 - "!!str".len();

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// Appends `text` (bytes of a file name or path, UTF-8 or not) as an item of a flow sequence or a value.
pub(super) fn push_scalar(out: &mut Vec<u8>, text: &[u8]) {
    match style(text) {
        Style::Plain => out.extend_from_slice(text),
        Style::Single => {
            // No quote to double: text with one is double quoted.
            out.push(b'\'');
            out.extend_from_slice(text);
            out.push(b'\'');
        }
        Style::Double => push_double_quoted(out, text),
    }
}

/// Appends `text` as the key of a flow mapping, with the colon and space after it.
pub(super) fn push_key(out: &mut Vec<u8>, text: &[u8]) {
    let mut length = 0;
    let mut multiline = false;
    for point in code_points(text) {
        length += 1;
        multiline |= BREAKS.contains(&point);
    }
    let simple = length < LONGEST_SIMPLE_KEY && !multiline;
    if !simple {
        out.extend_from_slice(b"? ");
    }
    push_scalar(out, text);
    out.extend_from_slice(if simple { b": " } else { b" : " });
}

/// The emitter's choice. It depends on the characters, on which neighbours of whitespace they have, and on what a
/// reader would take the plain text for.
fn style(text: &[u8]) -> Style {
    let points: Vec<u32> = code_points(text).collect();
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return Style::Single };
    let is = |point: u32, set: &str| set.chars().any(|c| c as u32 == point);
    let is_blank = |index: usize| points.get(index).is_none_or(|&c| is(c, "\0 \t\r") || BREAKS.contains(&c));

    let special = points.iter().any(|&c| c != '\n' as u32 && !is_printable(c));
    let edges = [first, last].iter().any(|c| is(*c, " ") || BREAKS.contains(c));
    let multiline = points.iter().any(|c| BREAKS.contains(c));
    let pairs =
        |left: fn(u32) -> bool, right: fn(u32) -> bool| points.windows(2).any(|w| left(w[0]) && right(w[1]));
    let is_space = |c: u32| c == ' ' as u32;
    let is_break = |c: u32| BREAKS.contains(&c);
    let space_beside_break = pairs(is_space, is_break) || pairs(is_break, is_space);

    let indicator = text.starts_with(b"---")
        || text.starts_with(b"...")
        || is(first, "#,[]{}&*!|>'\"%@`")
        // Spack lets `: x` and `? x` pass here, and then cannot read its own layer.
        || (is(first, "-?:") && is_blank(1))
        || points.iter().enumerate().skip(1).any(|(index, &c)| {
            is(c, ",[]{}") || (is(c, ":") && is_blank(index + 1)) || (is(c, "#") && is_blank(index - 1))
        });

    if !(special || edges || multiline || indicator || resolves_to_other_than_string(text)) {
        Style::Plain
    } else if special || space_beside_break || text.contains(&b'\'') || text.contains(&b'\n') {
        Style::Double
    } else {
        Style::Single
    }
}

/// What may appear outside double quotes: not control characters, surrogates (that is, undecodable bytes), the
/// byte order mark and the last two code points of the basic plane.
fn is_printable(point: u32) -> bool {
    matches!(point, 0x20..=0x7e | 0x85 | 0xa0..=0xd7ff | 0xe000..=0xfefe | 0xff00..=0xfffd | 0x10000..)
}

fn push_double_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for point in code_points(text) {
        let short = match point {
            0 => b'0',
            0x07 => b'a',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0b => b'v',
            0x0c => b'f',
            0x0d => b'r',
            0x1b => b'e',
            0x22 => b'"',
            0x5c => b'\\',
            0x85 => b'N',
            0x2028 => b'L',
            0x2029 => b'P',
            _ => 0,
        };
        // Unlike elsewhere, nothing beyond the basic plane is written as it is.
        match char::from_u32(point).filter(|_| is_printable(point) && point < 0x10000) {
            _ if short != 0 => out.extend_from_slice(&[b'\\', short]),
            Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None if point <= 0xff => out.extend_from_slice(format!("\\x{point:02X}").as_bytes()),
            None if point <= 0xffff => out.extend_from_slice(format!("\\u{point:04X}").as_bytes()),
            None => out.extend_from_slice(format!("\\U{point:08X}").as_bytes()),
        }
    }
    out.push(b'"');
}

/// Whether ruamel's YAML 1.2 resolver takes the plain text for a boolean, number, null, date, merge or value key.
fn resolves_to_other_than_string(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    match text {
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return true,
        "~" | "null" | "Null" | "NULL" | "<<" | "=" => return true,
        _ => {}
    }
    is_integer(text) || is_float(text) || is_timestamp(text)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// Takes the leading characters that `accept` likes: how many bytes, and the rest.
fn take(text: &str, accept: impl Fn(u8) -> bool) -> (usize, &str) {
    let count = text.bytes().take_while(|&b| accept(b)).count();
    (count, &text[count..])
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_grouped_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// Digits and underscores, or those of base 2, 8 or 16 after `0b`, `0`, `0o` or `0x`.
fn is_integer(text: &str) -> bool {
    let digits = unsigned(text);
    let all = |text: &str, accept: fn(u8) -> bool| !text.is_empty() && text.bytes().all(accept);
    let after = |mark: &str, accept| digits.strip_prefix(mark).is_some_and(|rest| all(rest, accept));
    let grouped = !text.starts_with('_') && all(digits, is_grouped_digit);
    grouped
        || after("0b", |b| matches!(b, b'0' | b'1' | b'_'))
        || after("0o", |b| matches!(b, b'0'..=b'7' | b'_'))
        || after("0x", |b| b.is_ascii_hexdigit() || b == b'_')
}

/// `1.`, `1.5`, `1e5`, `1.5e-5`, `.5`, `.5e+5` (there the exponent's sign is required), `.inf`, `.nan`.
fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") || matches!(unsigned(text), ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let text = unsigned(text);
    if let Some(fraction) = text.strip_prefix('.') {
        let (count, rest) = take(fraction, is_grouped_digit);
        return count > 0 && (rest.is_empty() || is_exponent(rest, true));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let (_, rest) = take(text, is_grouped_digit);
    match rest.strip_prefix('.') {
        Some(fraction) => {
            let (_, rest) = take(fraction, is_grouped_digit);
            rest.is_empty() || is_exponent(rest, false)
        }
        None => is_exponent(rest, false),
    }
}

fn is_exponent(text: &str, needs_sign: bool) -> bool {
    let Some(exponent) = text.strip_prefix(['e', 'E']) else { return false };
    let digits = unsigned(exponent);
    let signed = digits.len() < exponent.len();
    (signed || !needs_sign) && !digits.is_empty() && digits.bytes().all(is_digit)
}

/// `2026-11-20`, or that with a time: `2026-1-2 3:04:05.6 +1:00`.
fn is_timestamp(text: &str) -> bool {
    timestamp_rest(text).is_some_and(str::is_empty)
}

/// What is left after the date and time, if there is one.
fn timestamp_rest(text: &str) -> Option<&str> {
    let digits = |text: &'_ str, least: usize, most: usize| {
        let count = text.bytes().take(most).take_while(|&b| is_digit(b)).count();
        (count >= least).then_some(count)
    };
    let step = |text, least, most| digits(text, least, most).map(|count| &text[count..]);
    let year = step(text, 4, 4)?.strip_prefix('-')?;
    if let Some(rest) = step(year, 2, 2).and_then(|r| r.strip_prefix('-')).and_then(|r| step(r, 2, 2))
        && rest.is_empty()
    {
        return Some(rest);
    }
    let day = step(step(year, 1, 2)?.strip_prefix('-')?, 1, 2)?;
    let hour = match day.strip_prefix(['T', 't']) {
        Some(hour) => hour,
        None => Some(take(day, |b| matches!(b, b' ' | b'\t'))).filter(|(count, _)| *count > 0)?.1,
    };
    let minute = step(hour, 1, 2)?.strip_prefix(':')?;
    let second = step(minute, 2, 2)?.strip_prefix(':')?;
    let mut rest = step(second, 2, 2)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = take(fraction, is_digit).1;
    }
    let zone = take(rest, |b| matches!(b, b' ' | b'\t')).1;
    if zone == "Z" {
        return Some("");
    }
    let Some(offset) = zone.strip_prefix(['-', '+']) else { return Some(rest) };
    let after = step(offset, 1, 2)?;
    match after.strip_prefix(':') {
        Some(minutes) => step(minutes, 2, 2),
        None => Some(after),
    }
}

#[cfg(test)]
mod tests;
