//! The part of a blob that a GET asks for (RFC 9110 section 14.2).

use axum::http::HeaderMap;
use axum::http::header::{IF_RANGE, RANGE};

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// From the first of these bytes to the last, both included.
    Of(u64, u64),
    /// Nothing that is there.
    None,
}

/// What of `size` bytes with this entity tag the request wants. A header that is malformed, or that wants several
/// parts, is passed over, as the RFC allows.
pub(crate) fn wanted(headers: &HeaderMap, size: u64, entity_tag: &str) -> Part {
    let is_current = |condition: &axum::http::HeaderValue| condition.as_bytes() == entity_tag.as_bytes();
    if !headers.get(IF_RANGE).is_none_or(is_current) {
        return Part::All;
    }
    match headers.get(RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) => parse(range, size).unwrap_or(Part::All),
        None => Part::All,
    }
}

fn parse(range: &str, size: u64) -> Option<Part> {
    let (unit, spec) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    Some(match (first, last) {
        ("", suffix) => match number(suffix)? {
            length if length > 0 && size > 0 => Part::Of(size.saturating_sub(length), size - 1),
            _ => Part::None,
        },
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { u64::MAX } else { number(last)? };
            if last < first {
                return None;
            }
            if first >= size { Part::None } else { Part::Of(first, last.min(size - 1)) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, size: u64) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        wanted(&headers, size, "\"tag\"")
    }

    #[test]
    fn parts_at_either_end_and_in_the_middle() {
        for (range, part) in [
            ("bytes=0-0", Part::Of(0, 0)),
            ("bytes=2-5", Part::Of(2, 5)),
            ("bytes=2-", Part::Of(2, 9)),
            ("bytes=2-1000", Part::Of(2, 9)),
            ("bytes=-3", Part::Of(7, 9)),
            ("bytes=-1000", Part::Of(0, 9)),
            ("BYTES=9-9", Part::Of(9, 9)),
            ("bytes=10-", Part::None),
            ("bytes=10-20", Part::None),
            ("bytes=-0", Part::None),
        ] {
            assert_eq!(of(range, 10), part, "{range}");
        }
        assert_eq!(of("bytes=0-", 0), Part::None);
        assert_eq!(of("bytes=-1", 0), Part::None);
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        for range in
            ["bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes", "bytes=+1-2", "bytes=-"]
        {
            assert_eq!(of(range, 10), Part::All, "{range}");
        }
    }

    #[test]
    fn a_condition_must_hold() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=0-1".parse().unwrap());
        headers.insert(IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"tag\""), Part::Of(0, 1));
        assert_eq!(wanted(&headers, 10, "\"other\""), Part::All);
    }
}
