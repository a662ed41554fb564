//! [`Name`]: a repository's name, which is also its directory's path below that of the registry.

use std::fmt;

use crate::failure::{Code, Failure};

/// The longest name that clients accept (`github.com/distribution/reference`, `NameTotalLengthMax`).
const LONGEST: usize = 255;

/// What a layout has in its own directory, where the next component of a longer name would be.
const RESERVED: [&str; 3] = ["blobs", "index.json", "oci-layout"];

/// A name that the distribution specification allows and that no file of a layout has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(String);

impl Name {
    /// # Errors
    /// `NAME_INVALID`, with the reason.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = |reason: &str| {
            let shown: String = text.chars().take(LONGEST).collect();
            Err(Failure::new(Code::NameInvalid, format!("{shown:?} cannot be a repository's name: {reason}")))
        };
        if text.len() > LONGEST {
            return invalid("it has more than 255 characters");
        }
        for component in text.split('/') {
            if RESERVED.contains(&component) || (component.starts_with('.') && component != "..") {
                return invalid(&format!(
                    "{component:?} is reserved for the files that the registry keeps in a repository's directory"
                ));
            }
            if !is_component(component) {
                return invalid(
                    "its components are lower-case letters and digits, with one \".\", one or two \"_\" or any \
                     number of \"-\" between them",
                );
            }
        }
        Ok(Self(text.to_string()))
    }

    /// The name of the one repository in a directory that is called `directory`: the nearest that is allowed.
    pub(crate) fn of_directory(directory: &str) -> Self {
        let lower = directory.to_lowercase();
        if is_component(&lower) && lower.len() <= LONGEST && !RESERVED.contains(&lower.as_str()) {
            return Self(lower);
        }
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let joined: String = words.join("-").chars().take(LONGEST).collect();
        match joined.trim_end_matches('-') {
            "" => Self("cache".to_string()),
            name if RESERVED.contains(&name) => Self(format!("{name}-cache")),
            name => Self(name.to_string()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (distribution specification 1.1, "Pulling manifests").
pub(crate) fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joins =
        |separator: &str| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-');
    text.starts_with(is_word)
        && text.ends_with(is_word)
        && text.chars().all(|c| is_word(c) || matches!(c, '.' | '_' | '-'))
        && text.split(is_word).all(joins)
}

/// Whether a directory of this name below the registry's can be part of a repository's name.
pub(crate) fn is_usable_component(text: &str) -> bool {
    is_component(text) && !RESERVED.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        for name in ["a", "org/cache", "a/b/c/d", "a.b_c__d---e", "0", &"x".repeat(255)] {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "a_-b",
            "-a",
            "a-",
            "..",
            "../a",
            "a/../b",
            ".",
            "a b",
            "a\0",
            "é",
            "a/.b",
            &"x".repeat(256),
        ] {
            assert_eq!(Name::parse(name).unwrap_err().code(), Code::NameInvalid, "{name:?}");
        }
    }

    #[test]
    fn what_a_layout_has_itself_is_reserved() {
        for name in ["blobs", "a/blobs", "blobs/a", "a/index.json", "oci-layout/b", "a/.strata"] {
            let failure = format!("{:?}", Name::parse(name).unwrap_err());
            assert!(failure.contains("reserved"), "{name}: {failure}");
        }
        assert!(Name::parse("my-blobs/index").is_ok());
    }

    #[test]
    fn any_directory_has_a_name() {
        for (directory, name) in [
            ("cache", "cache"),
            ("My Cache", "my-cache"),
            (".tmpAbC1", "tmpabc1"),
            ("été", "t"),
            ("…", "cache"),
            ("blobs", "blobs-cache"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(Name::of_directory(directory).as_str(), name);
            assert!(Name::parse(name).is_ok(), "{name}");
        }
    }
}
