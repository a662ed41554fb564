//! Prefixes in C strings of binary files: in place, the file keeps its length.
//!
//! A linker stores a string that is the tail of another one only once, so the last bytes of a path in a binary may
//! also be some other string, and even the empty tail, its NUL, may be. The rule (Spack's, after it corrupted
//! one-byte strings in libpython) is to leave the last [`SUFFIX_SAFETY`] bytes and the NUL where they are: the front
//! is padded with `/`. Where that is impossible because the string ends right after the prefix and the new prefix
//! ends in other bytes, the string may be cut short if it gets so much shorter that those bytes stay intact behind it.

use std::ops::Range;

use super::prefix_map::{PrefixMap, PrefixPair, last};

/// How many bytes at the end of a C string have to stay where they are.
pub(super) const SUFFIX_SAFETY: usize = 7;

/// Why a prefix in a C string cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CStringError {
    /// The new prefix is longer than the old one.
    #[error(
        "a string has room for the {} bytes of {:?} and the new prefix {:?} needs {}",
        .old.len(), String::from_utf8_lossy(.old), String::from_utf8_lossy(.new), .new.len()
    )]
    CannotGrow {
        /// The prefix in the file.
        old: Vec<u8>,
        /// The prefix it should become.
        new: Vec<u8>,
    },
    /// The new prefix is shorter, but by too few bytes to keep the end of the string as it is.
    #[error(
        "the string {:?} can keep its end only if its prefix becomes at least 8 bytes shorter or ends as before; {:?} does neither",
        String::from_utf8_lossy(.string), String::from_utf8_lossy(.new)
    )]
    CannotShrink {
        /// The prefix in the file.
        old: Vec<u8>,
        /// The prefix it should become.
        new: Vec<u8>,
        /// The string from the old prefix on, without its NUL.
        string: Vec<u8>,
    },
}

/// Replaces every old prefix in `bytes`, wherever it starts; returns whether there was one.
///
/// # Errors
/// At the first string that cannot be changed; `bytes` may by then be changed in part and must not be used.
pub fn replace_c_strings(map: &PrefixMap, bytes: &mut [u8]) -> Result<bool, CStringError> {
    let mut changed = Vec::new();
    let length = bytes.len();
    replace_c_strings_before(map, bytes, length, &[], &mut changed)?;
    Ok(!changed.is_empty())
}

/// As [`replace_c_strings`], but for those that start before `before`; skips what starts in one of the `settled` ranges
/// (strings that an earlier step already wrote: a new path may well contain an old prefix), and adds the ranges it wrote to
/// `changed`. Returns how many bytes are done with, at least `before`.
///
/// The bytes must go on for [`sight`] bytes from the last before `before`, unless the file ends there.
pub(super) fn replace_c_strings_before(
    map: &PrefixMap,
    bytes: &mut [u8],
    before: usize,
    settled: &[Range<usize>],
    changed: &mut Vec<Range<usize>>,
) -> Result<usize, CStringError> {
    let mut from = 0;
    // Writing before searching on is the same as searching the original: a replacement stays within its match,
    // and the search never looks back behind the end of a match.
    while let Some(found) = CString::find(map, bytes, from, settled).filter(|found| found.start < before) {
        let PrefixPair { old, new } = &map.pairs()[found.pair];
        let written = match found.how(old, new) {
            How::PadFront => {
                let padding = old.len() - new.len();
                bytes[found.start..found.start + padding].fill(b'/');
                bytes[found.start + padding..found.prefix_end].copy_from_slice(new);
                found.start..found.prefix_end
            }
            How::CutShort => {
                let end = found.start + new.len();
                bytes[found.start..end].copy_from_slice(new);
                bytes.copy_within(found.prefix_end..found.end, end);
                found.start..end + (found.end - found.prefix_end)
            }
            How::CannotGrow => {
                return Err(CStringError::CannotGrow { old: old.clone(), new: new.clone() });
            }
            How::CannotShrink => {
                let string = bytes[found.start..found.end - 1].to_vec();
                return Err(CStringError::CannotShrink { old: old.clone(), new: new.clone(), string });
            }
        };
        changed.push(written);
        from = found.end;
    }
    Ok(from.max(before))
}

/// How many bytes have to be known to decide what becomes of the first.
pub(super) fn sight(map: &PrefixMap) -> usize {
    map.longest() + SUFFIX_SAFETY + 1
}

/// An old prefix in a binary file and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CString {
    /// Offset of the prefix.
    pub(super) start: usize,
    /// Offset past the prefix.
    pub(super) prefix_end: usize,
    /// Offset past the NUL if one ends the string within [`SUFFIX_SAFETY`] bytes, else [`Self::prefix_end`].
    pub(super) end: usize,
    /// Index of the pair in the map.
    pub(super) pair: usize,
}

/// What can be done about one [`CString`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    PadFront,
    CutShort,
    CannotGrow,
    CannotShrink,
}

impl CString {
    /// The next prefix at or after `from` that does not start in a `settled` range.
    pub(super) fn find(
        map: &PrefixMap,
        bytes: &[u8],
        mut from: usize,
        settled: &[Range<usize>],
    ) -> Option<CString> {
        loop {
            let found = map.find(bytes, from)?;
            if let Some(range) = settled.iter().find(|range| range.contains(&found.start)) {
                from = range.end;
                continue;
            }
            let window = &bytes[found.end..bytes.len().min(found.end + SUFFIX_SAFETY + 1)];
            let end = window.iter().position(|&byte| byte == 0).map_or(found.end, |nul| found.end + nul + 1);
            return Some(CString { start: found.start, prefix_end: found.end, end, pair: found.place });
        }
    }

    /// How to replace `old` by `new` here.
    pub(super) fn how(&self, old: &[u8], new: &[u8]) -> How {
        let Some(shorter) = old.len().checked_sub(new.len()) else { return How::CannotGrow };
        let must_agree = self.must_agree();
        if last(old, must_agree) == last(new, must_agree) {
            How::PadFront
        } else if shorter > SUFFIX_SAFETY {
            How::CutShort
        } else {
            How::CannotShrink
        }
    }

    /// How many bytes at the end of the prefix are among the last [`SUFFIX_SAFETY`] of the string.
    pub(super) fn must_agree(&self) -> usize {
        // `end` counts the NUL. Without one in sight the string goes on for longer than the safety size.
        match self.end - self.prefix_end {
            0 => 0,
            suffix_and_nul => SUFFIX_SAFETY.saturating_sub(suffix_and_nul - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replace(old: &str, new: &str, bytes: &str) -> Result<String, CStringError> {
        let mut bytes = bytes.as_bytes().to_vec();
        replace_c_strings(&PrefixMap::new([(old, new)]).unwrap(), &mut bytes)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_long_string_is_padded_in_front() {
        assert_eq!(replace("/opt/spack", "/o", "\0/opt/spack/lib/xy\0").unwrap(), "\0/////////o/lib/xy\0");
        assert_eq!(replace("/opt/spack", "/o", "/opt/spack").unwrap(), "/////////o");
    }

    #[test]
    fn a_string_that_ends_soon_is_padded_only_if_its_end_stays() {
        assert_eq!(replace("/opt/spack", "/x/spack", "/opt/spack/\0").unwrap(), "///x/spack/\0");
        let error = replace("/opt/spack", "/x/sprck", "/opt/spack/\0").unwrap_err();
        assert!(
            matches!(error, CStringError::CannotShrink { ref string, .. } if string == b"/opt/spack/"),
            "{error:?}"
        );
        assert_eq!(replace("/opt/spack", "/x/sprck", "/opt/spack/123456\0").unwrap(), "///x/sprck/123456\0");
    }

    #[test]
    fn a_much_shorter_one_is_cut_and_leaves_its_old_end_behind() {
        assert_eq!(replace("/opt/spack", "/o", "/opt/spack/\0.").unwrap(), "/o/\0/spack/\0.");
        let error = replace("/opt/spack", "/op", "/opt/spack/\0.").unwrap_err();
        assert!(
            matches!(error, CStringError::CannotShrink { .. }),
            "seven bytes shorter is one too few: {error:?}"
        );
    }

    #[test]
    fn nothing_grows() {
        let error = replace("/opt", "/opt2", "/opt/lib/long/enough\0").unwrap_err();
        assert_eq!(error, CStringError::CannotGrow { old: b"/opt".to_vec(), new: b"/opt2".to_vec() });
        assert_eq!(replace("/opt", "/opt2", "/usr\0").unwrap(), "/usr\0", "only if it occurs");
    }

    #[test]
    fn a_match_consumes_its_suffix() {
        // The second /a lies in the first one's window, so it is part of that suffix and not a match.
        assert_eq!(replace("/a", "/b", "/a/a/a/long").unwrap(), "/b/b/b/long");
        assert_eq!(replace("/aaaaaaaaaa", "/b", "/aaaaaaaaaa/x\0").unwrap(), "/b/x\0aaaaaa/x\0");
        let map = PrefixMap::new([("/1234567890", "/x"), ("/y", "/z")]).unwrap();
        let mut bytes = b"/1234567890/y\0/y/1234567".to_vec();
        replace_c_strings(&map, &mut bytes).unwrap();
        assert_eq!(bytes, b"/x/y\x00567890/y\0/z/1234567");
    }

    #[test]
    fn settled_ranges_are_left_alone() {
        let map = PrefixMap::new([("/a", "/b")]).unwrap();
        let mut bytes = b"/a/123456789/a/123456789/a".to_vec();
        let mut changed = Vec::new();
        replace_c_strings_before(&map, &mut bytes, 26, &[0..24, 40..50], &mut changed).unwrap();
        assert_eq!(bytes, b"/a/123456789/a/123456789/b");
        assert_eq!((changed.len(), changed[0].clone()), (1, 24..26));
    }

    /// The rule written down from the description in the format, with no shared code but the alternation.
    fn naive(pairs: &[(Vec<u8>, Vec<u8>)], bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut output = bytes.to_vec();
        let mut at = 0;
        while at < bytes.len() {
            let Some((old, new)) = pairs.iter().find(|(old, _)| bytes[at..].starts_with(old)) else {
                at += 1;
                continue;
            };
            let rest = &bytes[at + old.len()..];
            let suffix = (0..=7).find(|&length| rest.get(length) == Some(&0)).map(|length| &rest[..length]);
            if new.len() > old.len() {
                return Err("grow");
            }
            let shorter = old.len() - new.len();
            let pad = match suffix {
                None => true,
                Some(suffix) if suffix.len() == 7 => true,
                Some(suffix) => {
                    let keep = 7 - suffix.len();
                    let (a, b) = (old.len().max(keep) - keep, new.len().max(keep) - keep);
                    old[a..] == new[b..]
                }
            };
            let replacement = match suffix {
                _ if pad => [&b"/".repeat(shorter), &new[..]].concat(),
                Some(suffix) if shorter > 7 => [&new[..], suffix, b"\0"].concat(),
                _ => return Err("shrink"),
            };
            output[at..at + replacement.len()].copy_from_slice(&replacement);
            at += old.len() + suffix.map_or(0, |suffix| suffix.len() + 1);
        }
        Ok(output)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_the_rule_as_described(
            pairs in prop::collection::vec(("/(a|aa|b/|/){0,9}", "/[ab]{0,8}"), 1..4),
            bytes in "([ab/]|/a|/aaaa|\0){0,60}",
        ) {
            let map = PrefixMap::new(pairs).unwrap();
            let pairs: Vec<_> = map.pairs().iter().map(|pair| (pair.old.clone(), pair.new.clone())).collect();
            let mut replaced = bytes.clone().into_bytes();
            let outcome = match replace_c_strings(&map, &mut replaced) {
                Ok(_) => Ok(replaced),
                Err(CStringError::CannotGrow { .. }) => Err("grow"),
                Err(CStringError::CannotShrink { .. }) => Err("shrink"),
            };
            prop_assert_eq!(outcome, naive(&pairs, bytes.as_bytes()));
        }
    }
}
