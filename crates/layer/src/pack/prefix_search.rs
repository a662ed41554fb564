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

use aho_corasick::BuildError;

use crate::prefix_finder::{PrefixFinder, blocked_after};

/// The prefixes, ready to be searched for.
#[derive(Debug)]
pub(crate) struct PrefixSearch {
    finder: PrefixFinder,
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
        Ok(Self { finder: PrefixFinder::new(prefixes.iter().map(Vec::as_slice))? })
    }

    /// Whether `text` starts with one of the prefixes.
    pub(crate) fn is_at_start(&self, text: &[u8]) -> bool {
        self.finder.at_start(text).is_some()
    }

    /// Takes the next piece of a stream; true if a prefix matches in it or across its beginning.
    pub(crate) fn feed(&self, state: &mut SearchState, piece: &[u8]) -> bool {
        let Some(keep) = self.finder.longest().checked_sub(1) else { return false };

        // Occurrences that begin in the tail and end in the piece.
        let mut joined = std::mem::take(&mut state.tail);
        let tail_len = joined.len();
        joined.extend_from_slice(&piece[..piece.len().min(keep)]);
        if self.matches_in(&joined, tail_len, state.blocked) {
            return true;
        }
        // Occurrences within the piece.
        let blocked_at_piece = blocked_after(state.blocked, &joined[..tail_len]);
        if self.matches_in(piece, piece.len(), blocked_at_piece) {
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

    /// Whether an occurrence that begins before `end` counts, given whether one at the first byte would be blocked.
    fn matches_in(&self, bytes: &[u8], end: usize, mut blocked: bool) -> bool {
        let mut known = 0; // `blocked` holds for this position
        let mut from = 0;
        while from < end {
            let Some(found) = self.finder.find(bytes, from) else { return false };
            if found.start >= end {
                return false;
            }
            blocked = blocked_after(blocked, &bytes[known..found.start]);
            if !blocked {
                return true;
            }
            known = found.start;
            from = found.start + 1; // another prefix may begin inside this occurrence
        }
        false
    }
}

#[cfg(test)]
mod tests;
