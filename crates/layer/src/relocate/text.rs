//! Prefixes in text files: one pass, the file may change its length.

use super::prefix_map::PrefixMap;
use crate::prefix_finder::{Found, blocked_after, is_word};

/// Replaces the old prefixes in `text`; `None` if nothing matches.
///
/// The rule is Spack's regular expression `(?<![\w\-_/])([\w\-_]*?)(OLD1|OLD2|…)([\w\-_/]*)`, whose middle group is
/// replaced: see [`super`] for what it means and where it is dangerous. With absolute prefixes it comes down to
/// this. An occurrence starts with `/`, so the lazy group before it can only be the whole run of word bytes that
/// ends there, and the look-behind asks that the byte before that run is not `/`: `-L/opt/x` and `lib=/opt/x` match,
/// `/usr/lib/opt/x` does not. A match swallows all word bytes and slashes after it; whatever starts within that
/// run would see a `/` behind it, so after a match as after a refusal the search goes on at the end of the run.
/// A match ends at a byte that is neither, which is why the end of the previous match needs no thought.
pub fn replace_text(map: &PrefixMap, text: &[u8]) -> Option<Vec<u8>> {
    replace_text_within(map, text, usize::MAX).unwrap_or_default()
}

/// The text would grow by more than it may.
#[derive(Debug)]
pub(super) struct GrowsTooMuch;

/// As [`replace_text`], with at most `growth` bytes more than there were: a hostile layer can claim that it was built
/// at `/a`, and bring a text that is nothing else.
pub(super) fn replace_text_within(
    map: &PrefixMap,
    text: &[u8],
    growth: usize,
) -> Result<Option<Vec<u8>>, GrowsTooMuch> {
    let most = text.len().saturating_add(growth);
    let mut replaced = Vec::new();
    let mut copied = 0;
    Replacement::default().go_on(map, text, text.len(), |found| {
        if replaced.is_empty() {
            replaced.reserve(text.len());
        }
        replaced.extend_from_slice(&text[copied..found.start]);
        replaced.extend_from_slice(&map.pairs()[found.place].new);
        copied = found.end;
        if replaced.len() > most { Err(GrowsTooMuch) } else { Ok(()) }
    })?;
    if copied == 0 {
        return Ok(None);
    }
    replaced.extend_from_slice(&text[copied..]);
    if replaced.len() > most {
        return Err(GrowsTooMuch);
    }
    Ok(Some(replaced))
}

/// Where the replacement stands in a text that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Replacement {
    /// Whether a prefix at the next byte would be the tail of another path.
    blocked: bool,
    /// Whether the next byte may belong to a run that is not searched.
    in_run: bool,
}

impl Replacement {
    /// Goes on with `text`, and hands over what is to be replaced of all that starts before `before`; returns how many bytes
    /// are done with, at least `before`.
    pub(super) fn go_on<E>(
        &mut self,
        map: &PrefixMap,
        text: &[u8],
        before: usize,
        mut replace: impl FnMut(Found) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut from = 0;
        loop {
            if self.in_run {
                let Some(length) = text[from..].iter().position(|&byte| !in_path(byte)) else {
                    from = text.len();
                    break;
                };
                from += length;
                self.in_run = false;
            }
            let Some(found) = map.find(text, from).filter(|found| found.start < before) else {
                from = from.max(before);
                break;
            };
            from = found.start;
            if !blocked_after(self.blocked, &text[..found.start]) {
                replace(found)?;
                from = found.end;
            }
            self.in_run = true;
        }
        self.blocked = blocked_after(self.blocked, &text[..from]);
        Ok(from)
    }
}

/// `[\w\-_/]`.
fn in_path(byte: u8) -> bool {
    is_word(byte) || byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replace(map: &[(&str, &str)], text: &str) -> String {
        let map = PrefixMap::new(map.iter().copied()).unwrap();
        let replaced = replace_text(&map, text.as_bytes());
        String::from_utf8(replaced.unwrap_or_else(|| text.into())).unwrap()
    }

    #[test]
    fn a_text_grows_no_further_than_it_may() {
        let map = PrefixMap::new([("/a", "/a/longer/root")]).unwrap();
        let text = b"/a ".repeat(1000);
        assert!(replace_text_within(&map, &text, 11_999).is_err());
        assert_eq!(replace_text_within(&map, &text, 12_000).unwrap().unwrap().len(), 15_000);
    }

    #[test]
    fn words_before_the_prefix_do_not_hide_it_but_slashes_do() {
        let map = [("/opt/x", "/y")];
        assert_eq!(replace(&map, "-L/opt/x/lib"), "-L/y/lib");
        assert_eq!(replace(&map, "a-_9/opt/x"), "a-_9/y");
        assert_eq!(replace(&map, "/usr/opt/x //opt/x ../opt/x"), "/usr/opt/x //opt/x ../y");
        assert_eq!(replace(&map, "/usr.d/opt/x"), "/usr.d/y", "Spack takes any other byte for a boundary");
        assert_eq!(replace(&map, "é/opt/x"), "é/y");
    }

    #[test]
    fn there_is_no_right_boundary_and_the_rest_of_the_run_is_swallowed() {
        let map = [("/opt/x", "/y")];
        assert_eq!(replace(&map, "/opt/xtra"), "/ytra");
        assert_eq!(replace(&map, "/opt/x/opt/x"), "/y/opt/x");
        assert_eq!(replace(&map, "/opt/x:/opt/x"), "/y:/y");
        assert_eq!(replace(&map, "/opt/x.d/opt/x"), "/y.d/y");
    }

    #[test]
    fn new_text_is_not_searched_again() {
        assert_eq!(replace(&[("/a", "/b"), ("/b", "/c")], "/a /b"), "/b /c");
        assert_eq!(replace(&[("/opt", "/opt/opt")], "/opt/opt /opt"), "/opt/opt/opt /opt/opt");
    }

    #[test]
    fn unchanged_text_is_told_apart() {
        let map = PrefixMap::new([("/a", "/b")]).unwrap();
        assert_eq!(replace_text(&map, b""), None);
        assert_eq!(replace_text(&map, b"//a"), None);
        assert_eq!(replace_text(&PrefixMap::new([("/a", "/a")]).unwrap(), b"/a"), None);
    }

    /// The regular expression tried at every position in turn, as a backtracking engine does.
    fn naive(pairs: &[(Vec<u8>, Vec<u8>)], text: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let mut at = 0;
        'positions: while at < text.len() {
            if at == 0 || !in_path(text[at - 1]) {
                for lazy in 0..=text.len() - at {
                    if lazy > 0 && !is_word(text[at + lazy - 1]) {
                        break;
                    }
                    let rest = &text[at + lazy..];
                    if let Some((old, new)) = pairs.iter().find(|(old, _)| rest.starts_with(old)) {
                        let tail = &rest[old.len()..];
                        let greedy = tail.iter().take_while(|&&byte| in_path(byte)).count();
                        output.extend_from_slice(&text[at..at + lazy]);
                        output.extend_from_slice(new);
                        output.extend_from_slice(&tail[..greedy]);
                        at += lazy + old.len() + greedy;
                        continue 'positions;
                    }
                }
            }
            output.push(text[at]);
            at += 1;
        }
        output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_the_regular_expression(
            pairs in prop::collection::vec(("/[a./-]{0,3}", "/[ab]{0,4}"), 1..4),
            text in "([a/._:-]|/a|/a/|é){0,40}",
        ) {
            let map = PrefixMap::new(pairs).unwrap();
            let pairs: Vec<_> = map.pairs().iter().map(|pair| (pair.old.clone(), pair.new.clone())).collect();
            let expected = naive(&pairs, text.as_bytes());
            let replaced = replace_text(&map, text.as_bytes());
            prop_assert_eq!(replaced.unwrap_or_else(|| text.clone().into_bytes()), expected);
        }
    }
}
