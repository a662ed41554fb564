//! The `Range` and `Content-Range` headers of upload sessions, which are not those of HTTP: `0-1023`, without a unit,
//! for the first 1024 bytes (distribution specification 1.1, "pushing a blob in chunks").

use std::ops::Range;

/// How many bytes a session holds whose answer has this `Range`; `None` if that makes no sense.
///
/// `0-0` is what the reference implementation says of an empty session as of one that holds a single byte. It is taken
/// for an empty one; should it hold a byte after all, what is put together there has the wrong digest, is refused, and
/// begun anew.
pub(super) fn held(text: &str) -> Option<u64> {
    let text = text.trim();
    // Quay writes the unit.
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let (first, last) = text.split_once('-')?;
    match (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?) {
        (0, 0) => Some(0),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

/// The `Content-Range` of a chunk. There is none of an empty one.
pub(super) fn of_chunk(chunk: &Range<u64>) -> String {
    format!("{}-{}", chunk.start, chunk.end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_range_is_its_last_byte() {
        for (text, expected) in [
            ("0-1023", Some(1024)),
            ("bytes=0-1023", Some(1024)),
            ("bytes 0-9", Some(10)),
            (" 0-1 ", Some(2)),
            ("0-0", Some(0)),
            ("5-9", None),
            ("0-", None),
            ("0--1", None),
            ("0-18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(held(text), expected, "{text:?}");
        }
        assert_eq!(held(&of_chunk(&(0..1024))), Some(1024));
        assert_eq!(of_chunk(&(1024..2000)), "1024-1999");
    }
}
