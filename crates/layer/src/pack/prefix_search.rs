//! Does one of several prefixes occur in a stream of bytes, and not as the tail of some other path?
//!
//! Spack asks with the regular expression `(?<![\w\-_/])([\w\-_]*?)(P1|P2|…)([\w\-_/]*)`. Take an occurrence of a
//! prefix and the longest run of word characters (`[A-Za-z0-9_-]`) right before it. A match that begins inside the
//! run has a word character before it, which the look-behind forbids; so it begins where the run begins, and
//! the look-behind sees the byte before the run, which is no word character. What is left to forbid is a `/`.
//! Hence: *an occurrence counts unless the run of word characters before it is itself preceded by a slash.*
//! `-L/opt/x` counts for `/opt/x`, `/a/opt/x` and `//opt/x` do not.
//!
//! That condition is one bit that moves along with the bytes ([`blocked_after`]), which is what makes the search
//! work on pieces of any size.

use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};

/// The prefixes, ready to be searched for.
#[derive(Debug)]
pub(crate) struct PrefixSearch {
    /// Nothing when there is nothing to look for.
    automaton: Option<AhoCorasick>,
    /// Bytes of the longest prefix.
    longest: usize,
}

/// Where the search in one stream stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchState {
    /// The last bytes of the stream, one fewer than the longest prefix: an occurrence may begin in them.
    tail: Vec<u8>,
    /// Whether an occurrence at the first byte of `tail` would be blocked.
    blocked: bool,
}

impl PrefixSearch {
    /// Prepares to look for `prefixes`, of which empty ones are ignored.
    pub(crate) fn new(prefixes: &[Vec<u8>]) -> Result<Self, BuildError> {
        let sought: Vec<&[u8]> = prefixes.iter().map(Vec::as_slice).filter(|p| !p.is_empty()).collect();
        let longest = sought.iter().map(|p| p.len()).max().unwrap_or(0);
        let automaton = match sought.is_empty() {
            true => None,
            false => Some(AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(sought)?),
        };
        Ok(Self { automaton, longest })
    }

    /// Whether `text` starts with one of the prefixes.
    pub(crate) fn is_at_start(&self, text: &[u8]) -> bool {
        self.automaton.as_ref().and_then(|a| a.find(text)).is_some_and(|found| found.start() == 0)
    }

    /// Takes the next piece of a stream; true if a prefix matches in it or across its beginning.
    pub(crate) fn feed(&self, state: &mut SearchState, piece: &[u8]) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        let keep = self.longest - 1;

        // Occurrences that begin in the tail and end in the piece.
        let mut joined = std::mem::take(&mut state.tail);
        let tail_len = joined.len();
        joined.extend_from_slice(&piece[..piece.len().min(keep)]);
        if matches_in(automaton, &joined, tail_len, state.blocked) {
            return true;
        }
        // Occurrences within the piece.
        let blocked_at_piece = blocked_after(state.blocked, &joined[..tail_len]);
        if matches_in(automaton, piece, piece.len(), blocked_at_piece) {
            return true;
        }
        if piece.len() >= keep {
            let (before, tail) = piece.split_at(piece.len() - keep);
            state.blocked = blocked_after(blocked_at_piece, before);
            joined.clear();
            joined.extend_from_slice(tail);
        } else {
            let dropped = joined.len().saturating_sub(keep);
            state.blocked = blocked_after(state.blocked, &joined[..dropped]);
            joined.drain(..dropped);
        }
        state.tail = joined;
        false
    }
}

/// Whether an occurrence that begins before `end` counts, given whether one at the first byte would be blocked.
fn matches_in(automaton: &AhoCorasick, bytes: &[u8], end: usize, mut blocked: bool) -> bool {
    let mut known = 0; // `blocked` holds for this position
    let mut from = 0;
    while from < end {
        let Some(found) = automaton.find(Input::new(bytes).range(from..)) else { return false };
        if found.start() >= end {
            return false;
        }
        blocked = blocked_after(blocked, &bytes[known..found.start()]);
        if !blocked {
            return true;
        }
        known = found.start();
        from = found.start() + 1; // another prefix may begin inside this occurrence
    }
    false
}

/// Whether an occurrence right after `bytes` is blocked, given whether one right before them would be.
fn blocked_after(before: bool, bytes: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    bytes.iter().rev().find(|byte| !is_word(byte)).map_or(before, |&byte| byte == b'/')
}

#[cfg(test)]
mod tests;
