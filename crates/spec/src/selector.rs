//! Which recorded specs a word on the command line means: `name`, `name@version`, `/hash`, `name/hash`.
//!
//! This is the part of the spec language that selecting needs; the whole language comes with its own module.

use crate::dag_hash::is_base32;
use crate::node::Node;
use std::fmt;
use std::str::FromStr;

/// What a spec on the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    name: Option<String>,
    version: Option<VersionConstraint>,
    hash_prefix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum VersionConstraint {
    /// `@=1.2`: this version alone.
    Exactly(String),
    /// `@1.2`: this version and those below it, as 1.2.13.
    Within(Vec<String>),
}

/// The text is not a selector.
#[derive(Debug, thiserror::Error)]
#[error("cannot read spec `{text}`: {reason}")]
pub struct InvalidSelector {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason: &str| InvalidSelector { text: text.to_owned(), reason: reason.to_owned() };
        let (rest, hash_prefix) = match text.split_once('/') {
            Some((rest, hash)) => (rest, Some(hash)),
            None => (text, None),
        };
        let is_hash = |h: &str| !h.is_empty() && h.len() <= crate::dag_hash::LENGTH && is_base32(h);
        if hash_prefix.is_some_and(|hash| !is_hash(hash)) {
            return Err(invalid("what follows `/` must be the start of a DAG hash (a-z, 2-7)"));
        }
        let (name, version) = match rest.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        if let Some(odd) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
            return Err(invalid(&format!(
                "`{odd}` is not understood here: write a name, `name@version` or `/hash`"
            )));
        }
        if name.is_empty() && (version.is_some() || hash_prefix.is_none()) {
            return Err(invalid("expected a package name, `name@version` or `/hash`"));
        }
        let version = match version {
            None => None,
            Some(v) if v.trim_start_matches('=').is_empty() => {
                return Err(invalid("expected a version after `@`"));
            }
            Some(v) if v.contains([':', ',']) => {
                return Err(invalid("version ranges are not understood here: write one version"));
            }
            Some(v) => Some(match v.strip_prefix('=') {
                Some(exact) => VersionConstraint::Exactly(exact.to_owned()),
                None => VersionConstraint::Within(components(v)),
            }),
        };
        Ok(Self {
            text: text.to_owned(),
            name: Some(name.to_owned()).filter(|n| !n.is_empty()),
            version,
            hash_prefix: hash_prefix.map(str::to_owned),
        })
    }
}

impl Selector {
    /// Whether the node is one that was asked for.
    pub fn matches(&self, node: &Node) -> bool {
        self.name.as_ref().is_none_or(|name| *name == node.name)
            && self.hash_prefix.as_ref().is_none_or(|hash| node.hash.as_str().starts_with(hash.as_str()))
            && match &self.version {
                None => true,
                Some(VersionConstraint::Exactly(version)) => *version == node.version,
                Some(VersionConstraint::Within(prefix)) => components(&node.version).starts_with(prefix),
            }
    }

    /// Whether (the start of) a DAG hash was given: such a spec can be found without an index.
    pub fn has_hash(&self) -> bool {
        self.hash_prefix.is_some()
    }

    /// Whether a package known by `hash` and by a text that starts with its name, as `NAME-VERSION-HASH` does, can be
    /// one that is asked for.
    pub fn may_match(&self, starts_with_name: &str, hash: &crate::DagHash) -> bool {
        self.hash_prefix.as_ref().is_none_or(|prefix| hash.as_str().starts_with(prefix.as_str()))
            && self.name.as_ref().is_none_or(|name| {
                starts_with_name.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-'))
            })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A version's components: runs of digits and runs of letters; separators only separate (Spack's `version`).
fn components(version: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut previous = None;
    for c in version.chars() {
        let kind = if c.is_ascii_digit() {
            Some(true)
        } else if c.is_ascii_alphabetic() {
            Some(false)
        } else {
            None
        };
        match (kind, parts.last_mut()) {
            (None, _) => {}
            (Some(_), Some(last)) if kind == previous => last.push(c),
            (Some(_), _) => parts.push(c.to_string()),
        }
        previous = kind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn node(version: &str) -> Node {
        let json = format!(
            r#"{{"name":"zlib","version":"{version}","hash":"6mhn66ae67iweh46tg4uhwn247xusqdu",
            "arch":{{"platform":"linux","platform_os":"debian12","target":"x86_64"}}}}"#
        );
        Node::parse(&RawValue::from_string(json).unwrap()).unwrap()
    }

    #[test]
    fn selects_by_name_version_and_hash() {
        let zlib = node("1.2.13");
        let all = ["zlib", "zlib@1.2", "zlib@1.2.13", "zlib@=1.2.13", "/6mhn", "zlib/6mhn66a", "zlib@1/6"];
        for text in all {
            assert!(text.parse::<Selector>().unwrap().matches(&zlib), "{text}");
        }
        for text in ["zlib-ng", "zlib@1.2.1", "zlib@=1.2", "/7mhn", "zlib@1.2.13.1"] {
            assert!(!text.parse::<Selector>().unwrap().matches(&zlib), "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_was_expected() {
        for text in ["", "@1.2", "zlib@", "zlib@1:2", "zlib+pic", "zlib %gcc", "/", "/ABC", "zlib@="] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
