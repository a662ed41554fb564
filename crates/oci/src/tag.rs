//! [`TagName`]: the name of a manifest within a repository.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest tag the distribution specification allows, in characters.
const LONGEST: usize = 128;

/// A tag: one to 128 characters of `A-Z a-z 0-9 _ . -`, the first neither `.` nor `-`
/// (distribution specification 1.1, "Pulling manifests").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagName(String);

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a tag: expected 1 to 128 letters, digits, \"_\", \".\" or \"-\", not starting with \".\" or \"-\""
)]
pub struct TagError(
    /// The text.
    pub String,
);

impl TagName {
    /// The tag Spack makes of `text` (`ensure_valid_tag` in its `oci/image.py`): what may not be in a tag becomes
    /// `_`; of more than 128 characters the first and the last 64 are kept.
    ///
    /// # Errors
    /// If the outcome is no tag all the same: it is empty, starts with `.` or `-`, or has letters outside of ASCII,
    /// which Spack keeps and no registry accepts.
    pub fn sanitized(text: &str) -> Result<Self, TagError> {
        let mut characters: Vec<char> =
            text.chars().map(|c| if is_python_word(c) || c == '.' || c == '-' { c } else { '_' }).collect();
        if characters.len() > LONGEST {
            characters.drain(LONGEST / 2..characters.len() - LONGEST / 2);
        }
        characters.into_iter().collect::<String>().parse()
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What `\w` matches in a Python pattern for text.
fn is_python_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

impl FromStr for TagName {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if text.is_empty() || text.len() > LONGEST || !legal || text.starts_with(['.', '-']) {
            return Err(TagError(text.to_string()));
        }
        Ok(Self(text.to_string()))
    }
}

impl TryFrom<String> for TagName {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        text.parse()
    }
}

impl From<TagName> for String {
    fn from(tag: TagName) -> Self {
        tag.0
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legal_tags_are_taken_as_they_are() {
        for tag in
            ["latest", "a", "_", "zlib-1.2.13-6mhn66ae67iweh46tg4uhwn247xusqdu.spack", &"x".repeat(128)]
        {
            assert_eq!(tag.parse::<TagName>().unwrap().as_str(), tag);
            assert_eq!(TagName::sanitized(tag).unwrap().as_str(), tag);
        }
    }

    #[test]
    fn illegal_tags_are_refused() {
        for tag in ["", ".a", "-a", "a/b", "a:b", "a b", "é", &"x".repeat(129)] {
            assert_eq!(tag.parse::<TagName>(), Err(TagError(tag.to_string())));
        }
    }

    #[test]
    fn what_a_tag_may_not_hold_becomes_an_underscore() {
        let sanitized = |text| TagName::sanitized(text).unwrap().to_string();
        assert_eq!(sanitized("py-x-git.main=1.0+local-abc.spack"), "py-x-git.main_1.0_local-abc.spack");
        assert_eq!(sanitized("a b/c:d@e"), "a_b_c_d_e");
        assert_eq!(sanitized("a→b"), "a_b");
    }

    #[test]
    fn long_ones_keep_both_ends() {
        let text = format!("{}{}{}", "a".repeat(64), "+".repeat(10), "b".repeat(64));
        assert_eq!(
            TagName::sanitized(&text).unwrap().to_string(),
            format!("{}{}", "a".repeat(64), "b".repeat(64))
        );
        let just_fits = format!("{}{}", "a".repeat(64), "+".repeat(64));
        assert_eq!(
            TagName::sanitized(&just_fits).unwrap().to_string(),
            format!("{}{}", "a".repeat(64), "_".repeat(64))
        );
    }

    #[test]
    fn what_cannot_be_made_a_tag_is_an_error() {
        for text in ["", "-x", ".x", "café"] {
            assert!(TagName::sanitized(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sanitized_tags_are_tags(text in "[a-z0-9]\\PC{0,200}") {
            if let Ok(tag) = TagName::sanitized(&text) {
                prop_assert_eq!(tag.as_str().parse::<TagName>().unwrap(), tag.clone());
                prop_assert_eq!(TagName::sanitized(tag.as_str()).unwrap(), tag);
            }
        }

        #[test]
        fn ascii_always_sanitizes(text in "[a-z0-9][ -~]{0,200}") {
            let tag = TagName::sanitized(&text).unwrap();
            prop_assert_eq!(tag.as_str().len(), text.len().min(128));
        }
    }
}
