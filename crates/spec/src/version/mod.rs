//! Versions and what can be asked of them: `1.2.13`, `=1.2`, `1.2:1.4`, lists of these.
//!
//! The order and the meaning of ranges are those of Spack's `version_types.py`; `golden/spec/versions.json` has them as a
//! table. A version here is one that a recipe or a spec names; [`VersionList`] is what is asked for.

mod list;
mod range;
mod release;

pub use list::{InvalidVersionList, UnknownReference, VersionConstraint, VersionList};
pub use range::VersionRange;

use release::Release;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// One version, as a recipe or a concrete spec names it: `1.2.13`, `develop`, `git.main=1.2`.
#[derive(Clone, Debug)]
pub struct Version {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Release(Release),
    /// A branch, tag or commit, and the version it stands for if that was said.
    Git {
        reference: Box<str>,
        stands_for: Option<Release>,
    },
}

/// The text is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version")]
pub struct InvalidVersion(pub String);

impl Version {
    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names a branch, tag or commit: `git.main`, `git.main=1.2`, forty hexadecimal digits.
    pub fn is_git(&self) -> bool {
        matches!(self.kind, Kind::Git { .. })
    }

    /// The release that decides what it is newer than; none for a git reference that does not say.
    fn release(&self) -> Option<&Release> {
        match &self.kind {
            Kind::Release(release) => Some(release),
            Kind::Git { stands_for, .. } => stands_for.as_ref(),
        }
    }

    fn reference(&self) -> Option<&str> {
        match &self.kind {
            Kind::Release(_) => None,
            Kind::Git { reference, .. } => Some(reference),
        }
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.to_owned());
        if text.is_empty() {
            return Err(invalid());
        }
        let stripped = text.strip_prefix("git.");
        let is_git = stripped.is_some() || is_commit(text) || text.get(1..).is_some_and(|t| t.contains('='));
        if !is_git {
            let release = Release::parse(text).ok_or_else(invalid)?;
            return Ok(Self { text: text.into(), kind: Kind::Release(release) });
        }
        let (reference, stands_for) = match stripped.unwrap_or(text).split_once('=') {
            None => (stripped.unwrap_or(text), None),
            Some((_, version)) if version.contains('=') => return Err(invalid()),
            Some((reference, version)) => (reference, Some(Release::parse(version).ok_or_else(invalid)?)),
        };
        Ok(Self { text: text.into(), kind: Kind::Git { reference: reference.into(), stands_for } })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As Spack orders versions: a git reference comes right after the release it stands for. One that does not say which is
/// older than everything, for want of its repository.
impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.release(), self.reference()).cmp(&(other.release(), other.reference()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}
