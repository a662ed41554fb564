//! Names of archive entries: what is allowed in one, and its one spelling.

use std::fmt;

use thiserror::Error;

/// The longest component a file system takes, in bytes (`NAME_MAX` on Linux).
const MAX_COMPONENT: usize = 255;

/// The most components in a name. Every open directory of a path holds a file descriptor.
const MAX_DEPTH: usize = 256;

/// Why the name of an entry, or the target of a hard link, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameProblem {
    /// It starts with `/`.
    #[error("it is absolute")]
    Absolute,
    /// It has a component `..`.
    #[error("it has a component `..`")]
    ParentDirectory,
    /// It holds a NUL byte.
    #[error("it holds a NUL byte")]
    Nul,
    /// It is empty, or nothing but `.` and `/`, and not a directory.
    #[error("it is empty")]
    Empty,
    /// It ends in `/` and is not a directory.
    #[error("it ends in `/` but is not a directory")]
    TrailingSlash,
    /// A component is longer than 255 bytes.
    #[error("a component of it is longer than 255 bytes")]
    LongComponent,
    /// It is a prefix and not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// It has more than 256 components.
    #[error("it has more than 256 components")]
    TooDeep,
}

/// The name of an entry: components that are none of ``, `.` and `..`, joined by `/`. Empty for the archive's
/// root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryName(Vec<u8>);

impl EntryName {
    /// Reads a name as it stands in an archive; `./`, doubled and trailing slashes are dropped.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, NameProblem> {
        if raw.contains(&0) {
            return Err(NameProblem::Nul);
        }
        if raw.first() == Some(&b'/') {
            return Err(NameProblem::Absolute);
        }
        let mut name = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for component in raw.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(NameProblem::ParentDirectory),
                _ if component.len() > MAX_COMPONENT => return Err(NameProblem::LongComponent),
                _ => {}
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(NameProblem::TooDeep);
            }
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(component);
        }
        Ok(EntryName(name))
    }

    /// As [`EntryName::parse`], for what is not a directory: it must name something.
    pub(crate) fn parse_file(raw: &[u8]) -> Result<Self, NameProblem> {
        let name = Self::parse(raw)?;
        if name.is_root() {
            return Err(NameProblem::Empty);
        }
        if raw.ends_with(b"/") || raw.ends_with(b"/.") {
            return Err(NameProblem::TrailingSlash);
        }
        Ok(name)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The parent's components joined by `/`, and the last component; nothing for the root.
    pub(crate) fn split(&self) -> Option<(&[u8], &[u8])> {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            _ if self.0.is_empty() => None,
            Some(slash) => Some((&self.0[..slash], &self.0[slash + 1..])),
            None => Some((b"", &self.0)),
        }
    }

    /// The prefix this name would belong to, were it the prefix's `.spack/binary_distribution`; empty if it
    /// lies directly at the archive's root.
    pub(crate) fn prefix_of_build_info(&self) -> Option<&[u8]> {
        let rest = self.0.strip_suffix(b".spack/binary_distribution")?;
        if rest.is_empty() { Some(rest) } else { rest.strip_suffix(b"/") }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// Bytes of an archive as text that cannot command a terminal: what is not UTF-8 is replaced, and control
/// characters are escaped.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.chars().any(char::is_control) {
        return text.into_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(raw: &[u8]) -> String {
        EntryName::parse(raw).unwrap().to_string()
    }

    #[test]
    fn a_name_has_one_spelling() {
        for raw in ["a/b", "./a/b", "a/b/", "a//b", "a/./b/.", "././a///b//"] {
            assert_eq!(parsed(raw.as_bytes()), "a/b", "{raw}");
        }
        for raw in ["", ".", "./", ".//."] {
            assert!(EntryName::parse(raw.as_bytes()).unwrap().is_root(), "{raw}");
        }
        assert_eq!(parsed("..a/b../...".as_bytes()), "..a/b../...");
    }

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        let long = [b'x'; 256];
        let deep = b"a/".repeat(257);
        for (raw, problem) in [
            (&b"/a"[..], NameProblem::Absolute),
            (b"/", NameProblem::Absolute),
            (b"..", NameProblem::ParentDirectory),
            (b"a/../b", NameProblem::ParentDirectory),
            (b"a/..", NameProblem::ParentDirectory),
            (b"a\0b", NameProblem::Nul),
            (&long, NameProblem::LongComponent),
            (&deep, NameProblem::TooDeep),
        ] {
            assert_eq!(EntryName::parse(raw), Err(problem), "{}", printable(raw));
        }
        assert!(EntryName::parse(&long[1..]).is_ok());
        assert!(EntryName::parse(&deep[2..]).is_ok());
        for (raw, problem) in [
            (&b""[..], NameProblem::Empty),
            (b"./", NameProblem::Empty),
            (b"a/", NameProblem::TrailingSlash),
            (b"a/.", NameProblem::TrailingSlash),
        ] {
            assert_eq!(EntryName::parse_file(raw), Err(problem), "{}", printable(raw));
        }
    }

    #[test]
    fn the_prefix_is_found_by_whole_components() {
        let prefix = |raw: &str| {
            let name = EntryName::parse(raw.as_bytes()).unwrap();
            name.prefix_of_build_info().map(printable)
        };
        assert_eq!(prefix("opt/pkg/.spack/binary_distribution").as_deref(), Some("opt/pkg"));
        assert_eq!(prefix("./pkg/.spack/binary_distribution").as_deref(), Some("pkg"));
        assert_eq!(prefix(".spack/binary_distribution").as_deref(), Some(""));
        assert_eq!(prefix("pkg/x.spack/binary_distribution"), None);
        assert_eq!(prefix("pkg/.spack/binary_distribution.old"), None);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable("é\u{1b}[2J\n".as_bytes()), "é\\u{1b}[2J\\n");
        assert_eq!(printable(b"\xff"), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_harmless(
            raw in prop::collection::vec(prop::sample::select(&b"./a\0"[..]), 0..40),
        ) {
            if let Ok(name) = EntryName::parse(&raw) {
                for component in name.bytes().split(|byte| *byte == b'/').filter(|_| !name.is_root()) {
                    prop_assert!(!component.is_empty() && component != b"." && component != b"..");
                    prop_assert!(!component.contains(&b'/') && !component.contains(&0));
                }
                prop_assert_eq!(EntryName::parse(name.bytes()), Ok(name.clone()));
            }
        }
    }
}
