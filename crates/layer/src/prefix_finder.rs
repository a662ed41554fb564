//! Finds the leftmost of many prefixes in some bytes.
//!
//! The prefixes of a store have most of their bytes in common. So what is searched for is their common root, with the
//! vector instructions of [`memmem`]; where it occurs, a binary search decides which prefix is meant, if any. An
//! automaton over all prefixes would cost ten times as much per byte, and more to build than a small package
//! takes to pack. It is still what is used where there are too many roots, and where a hostile input has one occurrence
//! of the root after the other.
//!
//! Which prefix is found is what an alternation of a backtracking regular expression finds: of all places the first,
//! and there of all prefixes the one that comes first in the list.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};
use memchr::memmem;

/// With more roots than this, going through the bytes for each of them costs more than the automaton.
const MOST_ROOTS: usize = 4;

/// How many bytes are searched for one root before the next has its turn, to begin with.
const FIRST_STRIDE: usize = 512;

/// After so many bytes of prefixes compared in vain, for each byte gone forward, the automaton takes over.
const PATIENCE: usize = 64;

/// The prefixes, ready to be searched for.
#[derive(Clone, Debug)]
pub(crate) struct PrefixFinder {
    /// In lexical order, without repetition.
    prefixes: Vec<Prefix>,
    /// What all prefixes begin with.
    shared: usize,
    /// Every prefix begins with one of these; none if there are too many.
    roots: Vec<memmem::Finder<'static>>,
    /// Bytes of the longest prefix.
    longest: usize,
    /// Made when it is needed.
    automaton: OnceLock<AhoCorasick>,
}

#[derive(Clone, Debug)]
struct Prefix {
    bytes: Vec<u8>,
    /// Its place in the list it came from.
    place: usize,
    /// The longest of the other prefixes that this one begins with.
    parent: Option<usize>,
    /// Which of this prefix and all those it begins with comes first in the list.
    first: usize,
}

/// A prefix found in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Offset of its first byte.
    pub(crate) start: usize,
    /// Offset past its last byte.
    pub(crate) end: usize,
    /// Its index in the list that the finder was made of.
    pub(crate) place: usize,
}

impl PrefixFinder {
    /// Prepares to look for `prefixes`, in order of precedence. Empty ones are never found; of equal ones the first is.
    ///
    /// # Errors
    /// If they need an automaton and are too many for one.
    pub(crate) fn new<'p>(prefixes: impl IntoIterator<Item = &'p [u8]>) -> Result<PrefixFinder, BuildError> {
        let listed = prefixes.into_iter().enumerate().filter(|(_, bytes)| !bytes.is_empty());
        let mut sorted: Vec<(&[u8], usize)> = listed.map(|(place, bytes)| (bytes, place)).collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|&mut (bytes, _)| bytes);
        let mut prefixes: Vec<Prefix> = Vec::with_capacity(sorted.len());
        for (index, &(bytes, place)) in sorted.iter().enumerate() {
            // Whatever this one begins with is the one before it in the order, or what that begins with.
            let mut parent = index.checked_sub(1);
            while let Some(at) = parent.filter(|&at| !bytes.starts_with(&prefixes[at].bytes)) {
                parent = prefixes[at].parent;
            }
            let inherited = parent.map(|at| prefixes[at].first);
            let first = inherited.filter(|&at| prefixes[at].place < place).unwrap_or(index);
            prefixes.push(Prefix { bytes: bytes.to_vec(), place, parent, first });
        }
        let roots = roots(&sorted);
        let finder = PrefixFinder {
            shared: shared(&sorted).len(),
            longest: sorted.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(0),
            roots: roots.iter().map(|root| memmem::Finder::new(root).into_owned()).collect(),
            automaton: OnceLock::new(),
            prefixes,
        };
        if finder.roots.is_empty() && !finder.prefixes.is_empty() {
            // The lock is new, so that the value goes in.
            let _ = finder.automaton.set(finder.build()?);
        }
        Ok(finder)
    }

    /// Bytes of the longest prefix; 0 if there is none.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The leftmost prefix that starts at or after `from`.
    pub(crate) fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        if self.roots.is_empty() {
            return self.find_by_automaton(self.automaton.get()?, bytes, from);
        }
        let mut at = from;
        let mut compared = 0;
        loop {
            let start = self.find_root(bytes, at)?;
            if let Some((place, length)) = self.at_start(&bytes[start..]) {
                return Some(Found { start, end: start + length, place });
            }
            at = start + 1;
            compared += self.longest;
            if compared > PATIENCE * (64 + at - from)
                && let Some(automaton) = self.automaton()
            {
                return self.find_by_automaton(automaton, bytes, at);
            }
        }
    }

    /// Which prefix `bytes` start with, and its length.
    pub(crate) fn at_start(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let common = &self.prefixes.first()?.bytes[..self.shared];
        let rest = bytes.strip_prefix(common)?;
        // All that the bytes start with are what the last one not behind them in the order begins with.
        let behind = self.prefixes.partition_point(|prefix| &prefix.bytes[self.shared..] <= rest);
        let mut candidate = behind.checked_sub(1);
        while let Some(prefix) = candidate.map(|index| &self.prefixes[index]) {
            if rest.starts_with(&prefix.bytes[self.shared..]) {
                let first = &self.prefixes[prefix.first];
                return Some((first.place, first.bytes.len()));
            }
            candidate = prefix.parent;
        }
        None
    }

    /// Where the next root starts, at or after `from`.
    fn find_root(&self, bytes: &[u8], from: usize) -> Option<usize> {
        if let [root] = &self.roots[..] {
            return Some(from + root.find(bytes.get(from..)?)?);
        }
        // Each root in turn in a stretch that doubles, so that a frequent one does not make each search go through all
        // the bytes for a rare one.
        let mut start = from;
        let mut stride = FIRST_STRIDE;
        while start < bytes.len() {
            let mut end = bytes.len().min(start.saturating_add(stride));
            let mut found = None;
            for root in &self.roots {
                // It may begin at the last byte before the end.
                let stretch = &bytes[start..bytes.len().min(end.saturating_add(root.needle().len() - 1))];
                if let Some(at) = root.find(stretch) {
                    found = Some(start + at);
                    end = start + at;
                }
            }
            if found.is_some() {
                return found;
            }
            start = end;
            stride = stride.saturating_mul(2);
        }
        None
    }

    fn find_by_automaton(&self, automaton: &AhoCorasick, bytes: &[u8], from: usize) -> Option<Found> {
        if from > bytes.len() {
            return None;
        }
        let start = automaton.find(Input::new(bytes).range(from..))?.start();
        let (place, length) = self.at_start(&bytes[start..])?;
        Some(Found { start, end: start + length, place })
    }

    fn automaton(&self) -> Option<&AhoCorasick> {
        if self.automaton.get().is_none() {
            // Another thread may have been faster, with the same result.
            let _ = self.automaton.set(self.build().ok()?);
        }
        self.automaton.get()
    }

    fn build(&self) -> Result<AhoCorasick, BuildError> {
        let prefixes = self.prefixes.iter().map(|prefix| &prefix.bytes);
        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(prefixes)
    }
}

/// A few strings of which every prefix begins with one; none if that takes too many. Prefixes that agree up to their
/// second slash share a root.
fn roots<'p>(sorted: &[(&'p [u8], usize)]) -> Vec<&'p [u8]> {
    let top = |path: &'p [u8]| {
        let second = memchr::memchr(b'/', path.get(1..).unwrap_or_default());
        second.map_or(path, |slash| &path[..slash + 1])
    };
    let roots: Vec<&[u8]> =
        sorted.chunk_by(|(one, _), (next, _)| top(one) == top(next)).map(shared).collect();
    if roots.len() > MOST_ROOTS { Vec::new() } else { roots }
}

/// What all of `sorted` begin with.
fn shared<'p>(sorted: &[(&'p [u8], usize)]) -> &'p [u8] {
    let (Some((first, _)), Some((last, _))) = (sorted.first(), sorted.last()) else { return &[] };
    let length = first.iter().zip(*last).take_while(|(one, other)| one == other).count();
    &first[..length]
}

/// Whether a prefix right after `bytes` would be the tail of another path, given whether one right before them would be: if
/// the word it may be glued to comes after a slash.
pub(crate) fn blocked_after(before: bool, bytes: &[u8]) -> bool {
    bytes.iter().rev().find(|&&byte| !is_word(byte)).map_or(before, |&byte| byte == b'/')
}

/// `[\w\-_]` of a bytes pattern: ASCII only.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests;
