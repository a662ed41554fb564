//! The name of a concrete spec: base32 of the SHA-1 over its canonical JSON.

mod canonical;
mod recompute;

pub use recompute::{HashMismatch, Recomputed, Verified, recompute, verify};

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Length of a DAG hash in characters: 160 bits, five to a character.
pub const LENGTH: usize = 32;

/// A DAG hash: 32 lower-case base32 characters (RFC 4648 alphabet, `a`–`z` and `2`–`7`). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DagHash(Arc<str>);

/// The text is not a DAG hash.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a DAG hash (32 characters out of a-z and 2-7)")]
pub struct InvalidDagHash(pub String);

impl DagHash {
    /// Checks and takes over `text`.
    pub fn parse(text: &str) -> Result<Self, InvalidDagHash> {
        if text.len() == LENGTH && is_base32(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDagHash(text.to_owned()))
        }
    }

    /// All 32 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven characters, as people write it.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }

    /// The first 63 bits as a number: the offset of the byte in `prefix_lock` that stands for this spec
    /// (`SpecLocker` in Spack's `database.py`; 63 is the bit length of `sys.maxsize`).
    pub fn prefix_bits(&self) -> u64 {
        let first_thirteen =
            self.0.bytes().take(13).fold(0u128, |bits, c| (bits << 5) | u128::from(digit(c)));
        (first_thirteen >> 2) as u64
    }
}

/// Whether `text` consists of characters a DAG hash can have (a prefix of one, perhaps).
pub fn is_base32(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b'a'..=b'z' | b'2'..=b'7'))
}

fn digit(character: u8) -> u8 {
    match character {
        b'a'..=b'z' => character - b'a',
        _ => character - b'2' + 26,
    }
}

impl TryFrom<String> for DagHash {
    type Error = InvalidDagHash;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DagHash> for String {
    fn from(hash: DagHash) -> Self {
        hash.as_str().to_owned()
    }
}

impl Borrow<str> for DagHash {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for DagHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for DagHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_bits_are_the_first_63() {
        // What Spack's base32_prefix_bits(hash, 63) gives.
        assert_eq!(DagHash::parse(&"a".repeat(32)).unwrap().prefix_bits(), 0);
        assert_eq!(DagHash::parse(&"7".repeat(32)).unwrap().prefix_bits(), (1 << 63) - 1);
        let zlib = DagHash::parse("6mhn66ae67iweh46tg4uhwn247xusqdu").unwrap();
        let bytes = data_encoding::BASE32.decode(zlib.as_str().to_uppercase().as_bytes()).unwrap();
        let expected = u64::from_be_bytes(bytes[..8].try_into().unwrap()) >> 1;
        assert_eq!(zlib.prefix_bits(), expected);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "abc", "6MHN66AE67IWEH46TG4UHWN247XUSQDU", "6mhn66ae67iweh46tg4uhwn247xusqd1"] {
            assert!(DagHash::parse(text).is_err(), "{text}");
        }
    }
}
