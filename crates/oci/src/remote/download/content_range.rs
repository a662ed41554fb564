//! The `Content-Range` header of a 206 (RFC 9110 section 14.4), as far as going on with a transfer needs it.

/// The first byte of `bytes FIRST-LAST/TOTAL`.
pub(super) fn first_byte(value: &str) -> Option<u64> {
    let (unit, range) = value.trim().split_once(' ')?;
    let (first, _) = range.split_once('-')?;
    if unit.eq_ignore_ascii_case("bytes") { first.trim().parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_is_found() {
        for (value, expected) in [
            ("bytes 100-199/200", Some(100)),
            ("Bytes 0-0/*", Some(0)),
            ("bytes */200", None),
            ("items 1-2/3", None),
            ("bytes=1-2/3", None),
            ("", None),
        ] {
            assert_eq!(first_byte(value), expected, "{value:?}");
        }
    }
}
