//! The ordered map from the prefixes files name now to the prefixes they shall name.
//!
//! Everything that relocates searches with this one type, so that text, C strings, ELF headers and links agree on
//! which prefix wins where several match: at one position the pair that comes first in the map, as in an
//! alternation of a backtracking regular expression.

use std::collections::HashMap;

use super::c_string::SUFFIX_SAFETY;
use crate::build_info::BuildInfo;
use crate::prefix_finder::{Found, PrefixFinder};

/// Ordered (old prefix, new prefix) pairs, with a searcher over the old ones.
#[derive(Clone, Debug)]
pub struct PrefixMap {
    pairs: Vec<PrefixPair>,
    finder: PrefixFinder,
}

/// An old prefix and what replaces it; both absolute paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixPair {
    /// The prefix as it stands in the files.
    pub old: Vec<u8>,
    /// The prefix to write instead.
    pub new: Vec<u8>,
}

/// Why pairs do not make a [`PrefixMap`].
#[derive(Debug, thiserror::Error)]
pub enum PrefixMapError {
    /// A prefix is not an absolute path, or contains a NUL byte.
    #[error("{:?} is not an absolute path and cannot be a prefix", String::from_utf8_lossy(.prefix))]
    NotAbsolute {
        /// The offending prefix.
        prefix: Vec<u8>,
    },
    /// The prefixes together are too many or too long for one searcher.
    #[error("the prefixes are too many to search for")]
    TooMany {
        /// What the searcher said.
        #[source]
        source: Box<aho_corasick::BuildError>,
    },
}

impl PrefixMap {
    /// Makes a map of `(old, new)` pairs in order of precedence.
    ///
    /// A pair whose old prefix occurred before gives that earlier place its new value (what assigning to a Python
    /// dictionary does, and thus Spack). Pairs that change nothing are dropped afterwards; so, as with Spack, a more
    /// general pair may then apply to a prefix that was mapped to itself.
    ///
    /// # Errors
    /// If a prefix does not start with `/` or contains NUL. A prefix is an absolute path in every layer Spack
    /// writes; anything else would make a hostile layer replace arbitrary bytes.
    pub fn new<Old, New>(pairs: impl IntoIterator<Item = (Old, New)>) -> Result<Self, PrefixMapError>
    where
        Old: Into<Vec<u8>>,
        New: Into<Vec<u8>>,
    {
        let mut ordered: Vec<PrefixPair> = Vec::new();
        let mut place_of: HashMap<Vec<u8>, usize> = HashMap::new();
        for (old, new) in pairs {
            let (old, new) = (absolute(old.into())?, absolute(new.into())?);
            match place_of.get(&old) {
                Some(&place) => ordered[place].new = new,
                None => {
                    place_of.insert(old.clone(), ordered.len());
                    ordered.push(PrefixPair { old, new });
                }
            }
        }
        ordered.retain(|pair| pair.old != pair.new);
        let finder = PrefixFinder::new(ordered.iter().map(|pair| &pair.old[..]))
            .map_err(|source| PrefixMapError::TooMany { source: Box::new(source) })?;
        Ok(PrefixMap { pairs: ordered, finder })
    }

    /// The map for installing a layer: old sbang path → `sbang`, then each prefix of the layer whose DAG hash
    /// `prefix_of` knows here, then the old store's root → `root`.
    ///
    /// `prefix_of` answers the *final* prefix of a DAG hash on this machine; it must do so by hash and not by root,
    /// because layouts differ and a dependency may lie in an upstream store.
    ///
    /// # Errors
    /// As [`PrefixMap::new`].
    pub fn for_layer(
        info: &BuildInfo,
        sbang: &[u8],
        mut prefix_of: impl FnMut(&str) -> Option<Vec<u8>>,
        root: &[u8],
    ) -> Result<Self, PrefixMapError> {
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        if let Some(old) = &info.sbang_install_path {
            pairs.push((old.clone().into_bytes(), sbang.to_vec()));
        }
        for (hash, old) in &info.hash_to_prefix {
            if let Some(new) = prefix_of(hash) {
                pairs.push((old.clone().into_bytes(), new));
            }
        }
        pairs.push((info.buildpath.clone().into_bytes(), root.to_vec()));
        PrefixMap::new(pairs)
    }

    /// Whether there is nothing to replace.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pairs that change something, in order of precedence.
    pub fn pairs(&self) -> &[PrefixPair] {
        &self.pairs
    }

    /// Whether an old prefix occurs anywhere in `bytes`.
    pub fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.find(bytes, 0).is_some()
    }

    /// `bytes` with the old prefix they start with replaced, or `None` if they start with none. For the target of a
    /// link, one entry of an RPATH, an interpreter.
    pub fn replace_start(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (pair, length) = self.finder.at_start(bytes)?;
        Some([&self.pairs[pair].new, &bytes[length..]].concat())
    }

    /// Whether some pair can fail to be written into a C string: it makes the string longer, or at most
    /// 7 bytes shorter without leaving its last 7 bytes as they were. If not, no file needs a check beforehand.
    pub fn may_fail(&self) -> bool {
        self.pairs.iter().any(|PrefixPair { old, new }| match old.len().checked_sub(new.len()) {
            None => true,
            Some(shorter) => shorter <= SUFFIX_SAFETY && last(old, SUFFIX_SAFETY) != last(new, SUFFIX_SAFETY),
        })
    }

    /// The leftmost occurrence of an old prefix that starts at or after `from`; its place is that of its pair.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        self.finder.find(bytes, from)
    }

    /// Bytes of the longest old prefix; 0 if there is none.
    pub(super) fn longest(&self) -> usize {
        self.finder.longest()
    }
}

/// The last `count` bytes, or all if there are fewer.
pub(super) fn last(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(count)..]
}

fn absolute(prefix: Vec<u8>) -> Result<Vec<u8>, PrefixMapError> {
    match prefix.starts_with(b"/") && !prefix.contains(&0) {
        true => Ok(prefix),
        false => Err(PrefixMapError::NotAbsolute { prefix }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(old: &str, new: &str) -> PrefixPair {
        PrefixPair { old: old.into(), new: new.into() }
    }

    #[test]
    fn a_repeated_old_prefix_keeps_its_place_and_takes_the_later_value() {
        let map = PrefixMap::new([("/a", "/1"), ("/b", "/2"), ("/a", "/3")]).unwrap();
        assert_eq!(map.pairs(), [pair("/a", "/3"), pair("/b", "/2")]);
        let map = PrefixMap::new([("/a", "/1"), ("/a", "/a")]).unwrap();
        assert!(map.is_empty(), "the later identity wins, and is then dropped");
    }

    #[test]
    fn the_first_pair_wins_even_if_a_later_one_is_longer() {
        let map = PrefixMap::new([("/a", "/x"), ("/a/b", "/y")]).unwrap();
        assert_eq!(map.replace_start(b"/a/b/c").unwrap(), b"/x/b/c");
        assert_eq!(map.find(b".../a/b", 0), Some(Found { start: 3, end: 5, place: 0 }));
        let map = PrefixMap::new([("/a/b", "/y"), ("/a", "/x")]).unwrap();
        assert_eq!(map.replace_start(b"/a/b/c").unwrap(), b"/y/c");
        assert_eq!(map.replace_start(b"/a/c").unwrap(), b"/x/c");
        assert_eq!(map.replace_start(b" /a/c"), None);
    }

    #[test]
    fn prefixes_are_absolute_paths() {
        for bad in ["", "opt/spack", "/a\0b"] {
            assert!(
                matches!(PrefixMap::new([(bad, "/x")]), Err(PrefixMapError::NotAbsolute { .. })),
                "{bad:?}"
            );
            assert!(
                matches!(PrefixMap::new([("/x", bad)]), Err(PrefixMapError::NotAbsolute { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn only_growing_or_slightly_shrinking_pairs_can_fail() {
        let may_fail = |old, new| PrefixMap::new([(old, new)]).unwrap().may_fail();
        assert!(may_fail("/opt/a", "/opt/ab"));
        assert!(may_fail("/opt/aaaaaaaa", "/opt/bbbbbbbb"), "the same length but other last bytes");
        assert!(may_fail("/opt/aaaaaaaa", "/opt/b"), "seven bytes shorter");
        assert!(!may_fail("/opt/aaaaaaaa", "/opt/"), "eight bytes shorter");
        assert!(!may_fail("/opt/one/software", "/op/software"), "the last seven bytes agree");
    }

    #[test]
    fn a_layer_maps_sbang_then_hashes_then_the_root() {
        let info = BuildInfo {
            sbang_install_path: Some("/old/bin/sbang".into()),
            buildpath: "/old".into(),
            hash_to_prefix: vec![("h1".into(), "/old/one".into()), ("h2".into(), "/old/two".into())],
            ..BuildInfo::default()
        };
        let map = PrefixMap::for_layer(
            &info,
            b"/new/bin/sbang",
            |hash| (hash == "h2").then(|| b"/upstream/two".to_vec()),
            b"/new",
        );
        let expected = [
            pair("/old/bin/sbang", "/new/bin/sbang"),
            pair("/old/two", "/upstream/two"),
            pair("/old", "/new"),
        ];
        assert_eq!(map.unwrap().pairs(), expected);
    }
}
