//! [`Digest`]: the name of a blob, which is the SHA-256 of its bytes.
//!
//! The image specification allows other algorithms; registries and Spack use SHA-256 only, and so do we.

use std::fmt;
use std::str::FromStr;

use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &[u8] = b"sha256:";

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

/// Why a text is no [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:` in front.
    #[error("{0:?} is not a digest: expected sha256:<64 hexadecimal digits>")]
    NoAlgorithm(String),
    /// An algorithm other than SHA-256.
    #[error("digest {text:?} uses {algorithm}; only sha256 is understood")]
    Algorithm {
        /// The whole text.
        text: String,
        /// The part before the colon.
        algorithm: String,
    },
    /// Not 64 lower-case hexadecimal digits after the colon.
    #[error("digest {0:?} is not sha256: followed by 64 lower-case hexadecimal digits")]
    Hexadecimal(String),
}

impl Digest {
    /// The digest of which `bytes` are the 32 bytes of a finished SHA-256.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The 32 bytes of the SHA-256.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The text form. Without a formatter, because an index has a digest for each of many thousand tags.
    fn text(&self) -> [u8; 71] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 71];
        let (algorithm, hex) = text.split_at_mut(ALGORITHM.len());
        algorithm.copy_from_slice(ALGORITHM);
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }

    /// The 64 hexadecimal digits, without the algorithm: a blob's file name in an image layout.
    pub fn hex(&self) -> String {
        self.text()[ALGORITHM.len()..].iter().copied().map(char::from).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.text()) {
            Ok(text) => f.pad(text),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        serializer.serialize_str(std::str::from_utf8(&text).map_err(S::Error::custom)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) =
            text.split_once(':').ok_or_else(|| DigestError::NoAlgorithm(text.to_string()))?;
        if algorithm != "sha256" {
            return Err(DigestError::Algorithm { text: text.to_string(), algorithm: algorithm.to_string() });
        }
        let malformed = || DigestError::Hexadecimal(text.to_string());
        let digits: &[u8; 64] = hex.as_bytes().try_into().map_err(|_| malformed())?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0]).ok_or_else(malformed)? << 4 | nibble(pair[1]).ok_or_else(malformed)?;
        }
        Ok(Self(bytes))
    }
}

/// Upper case is not legal in a digest: two spellings of one blob would be two names.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn json_is_the_text() {
        let digest = Digest::of(b"{}");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, "\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"");
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let hex = &EMPTY["sha256:".len()..];
        assert_eq!(hex.parse::<Digest>(), Err(DigestError::NoAlgorithm(hex.to_string())));
        assert!(matches!(format!("sha512:{hex}").parse::<Digest>(), Err(DigestError::Algorithm { .. })));
        for bad in [
            EMPTY.to_uppercase().replace("SHA256", "sha256"),
            EMPTY[..EMPTY.len() - 1].to_string(),
            format!("{EMPTY}0"),
            format!("sha256:{}", "g".repeat(64)),
            format!("sha256:{}", "é".repeat(32)),
            "sha256:".to_string(),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError::Hexadecimal(bad.clone())));
        }
    }

    proptest! {
        #[test]
        fn every_digest_survives_its_text(bytes: [u8; 32]) {
            let digest = Digest::from_sha256(bytes);
            prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
            prop_assert_eq!(digest.as_bytes(), &bytes);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Digest>();
        }
    }
}
