//! What follows `@`: versions and ranges, sorted, none of them within another.

use super::{InvalidVersion, Version, VersionRange};
use std::fmt;
use std::str::FromStr;

/// One item of what follows `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionConstraint {
    /// `=1.2`, `git.main=1.2`: this version alone.
    Exactly(Version),
    /// `1.2`, `1.2:`, `:1.4`, `1.2:1.4`
    Range(VersionRange),
}

/// What follows `@`: a list of versions and ranges, kept in order and simplified as Spack does. Empty means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionList(Vec<VersionConstraint>);

/// Where the reference stands among versions is only known to its git repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("which version git reference `{0}` is cannot be known here; write `{0}=VERSION`")]
pub struct UnknownReference(pub String);

impl VersionConstraint {
    /// Whether the version is one of those.
    pub fn contains(&self, version: &Version) -> bool {
        match self {
            Self::Exactly(exact) => exact.is_git() == version.is_git() && exact == version,
            Self::Range(range) => range.contains(version),
        }
    }

    fn satisfies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exactly(version), other) => other.contains(version),
            (Self::Range(range), Self::Range(other)) => range.is_within(other),
            (Self::Range(_), Self::Exactly(_)) => false,
        }
    }

    fn intersects(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Range(range), Self::Range(other)) => range.intersects(other),
            (Self::Range(_), Self::Exactly(_)) => other.satisfies(self),
            (Self::Exactly(_), _) => self.satisfies(other),
        }
    }

    fn intersection(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Range(range), Self::Range(other)) => range.intersection(other).map(Self::Range),
            (Self::Range(range), Self::Exactly(version)) => range.contains(version).then(|| other.clone()),
            (Self::Exactly(version), other) => other.contains(version).then(|| self.clone()),
        }
    }

    /// The order in a list: by where they begin, an exact version before a range that begins with it.
    fn is_before(&self, other: &Self) -> Result<bool, UnknownReference> {
        let known = |version: &Version| match version.release() {
            Some(_) => Ok(()),
            None => Err(UnknownReference(version.to_string())),
        };
        match (self, other) {
            (Self::Range(range), Self::Range(other)) => Ok(range < other),
            (Self::Exactly(version), Self::Exactly(other)) => {
                known(version).and(known(other))?;
                Ok(version < other)
            }
            (Self::Exactly(version), Self::Range(range)) => {
                known(version)?;
                Ok(version.release() <= range.low_release())
            }
            (Self::Range(range), Self::Exactly(version)) => {
                known(version)?;
                Ok(version.release() > range.low_release())
            }
        }
    }
}

impl VersionList {
    /// Any version.
    pub fn any() -> Self {
        Self::default()
    }

    /// Whether every version will do.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The items; none at all means any version.
    pub fn items(&self) -> &[VersionConstraint] {
        &self.0
    }

    /// Whether the concrete version is one of those.
    pub fn contains(&self, version: &Version) -> bool {
        self.is_any() || self.0.iter().any(|item| item.contains(version))
    }

    /// Whether every version of this list is one of the other.
    pub fn satisfies(&self, other: &Self) -> bool {
        other.is_any()
            || !self.is_any() && self.0.iter().all(|item| other.0.iter().any(|other| item.satisfies(other)))
    }

    /// Whether some version is in both.
    pub fn intersects(&self, other: &Self) -> bool {
        self.is_any()
            || other.is_any()
            || self.0.iter().any(|item| other.0.iter().any(|other| item.intersects(other)))
    }

    /// The versions that are in both; none if there are none.
    ///
    /// # Errors
    /// If that takes to know which version a git reference stands for.
    pub fn intersection(&self, other: &Self) -> Result<Option<Self>, UnknownReference> {
        let (ours, theirs) = match (self.is_any(), other.is_any()) {
            (true, true) => return Ok(Some(Self::any())),
            (false, true) => return Ok(Some(self.rewritten())),
            (true, false) => return Ok(Some(other.rewritten())),
            // So a git reference is itself, wherever it stands.
            _ if self == other => return Ok(Some(self.rewritten())),
            (false, false) => (self, other),
        };
        let mut both = Vec::new();
        for (items, others) in [(ours, theirs), (theirs, ours)] {
            for item in &items.0 {
                let at = place_of(item, &others.0)?;
                for neighbour in [at.checked_sub(1), Some(at)].into_iter().flatten() {
                    if let Some(common) = others.0.get(neighbour).and_then(|other| other.intersection(item)) {
                        add(&mut both, common)?;
                    }
                }
            }
        }
        Ok((!both.is_empty()).then(|| Self::of(both)))
    }

    fn rewritten(&self) -> Self {
        let all = VersionConstraint::Range(VersionRange::ALL);
        Self::of(self.0.iter().map(|item| all.intersection(item).unwrap_or_else(|| item.clone())).collect())
    }

    /// A list that has every version, perhaps computed from ends that say nothing, is any version.
    fn of(items: Vec<VersionConstraint>) -> Self {
        let is_all =
            |item: &VersionConstraint| matches!(item, VersionConstraint::Range(range) if range.is_all());
        if items.iter().any(is_all) { Self::any() } else { Self(items) }
    }
}

/// How many of `items` come before `item`.
fn place_of(item: &VersionConstraint, items: &[VersionConstraint]) -> Result<usize, UnknownReference> {
    let (mut from, mut to) = (0, items.len());
    while from < to {
        let middle = from.midpoint(to);
        if items[middle].is_before(item)? {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

/// Puts one more item where it belongs; ranges that touch become one, versions within a range are left out.
fn add(items: &mut Vec<VersionConstraint>, item: VersionConstraint) -> Result<(), UnknownReference> {
    let mut at = place_of(&item, items)?;
    let VersionConstraint::Range(mut range) = item else {
        let neighbours = [at.checked_sub(1), Some(at)].into_iter().flatten();
        if !neighbours.filter_map(|at| items.get(at)).any(|neighbour| item.intersects(neighbour)) {
            items.insert(at, item);
        }
        return Ok(());
    };
    let absorbed = |range: &VersionRange, neighbour: &VersionConstraint| match neighbour {
        VersionConstraint::Range(other) => range.joined(other),
        VersionConstraint::Exactly(version) => range.contains(version).then(|| range.clone()),
    };
    while let Some(joined) = at.checked_sub(1).and_then(|before| absorbed(&range, &items[before])) {
        range = joined;
        at -= 1;
        items.remove(at);
    }
    while let Some(joined) = items.get(at).and_then(|after| absorbed(&range, after)) {
        range = joined;
        items.remove(at);
    }
    items.insert(at, VersionConstraint::Range(range));
    Ok(())
}

/// Why a list of versions cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersionList {
    /// One of them is not a version.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    /// They cannot be put in order.
    #[error(transparent)]
    Reference(#[from] UnknownReference),
}

impl FromStr for VersionList {
    type Err = InvalidVersionList;

    /// Reads what follows `@`, blanks anywhere in it.
    fn from_str(text: &str) -> Result<Self, InvalidVersionList> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut items = Vec::new();
        for item in text.split(',') {
            let item = match item.strip_prefix('=') {
                _ if item.contains(':') => VersionConstraint::Range(VersionRange::parse(item)?),
                Some(exact) => VersionConstraint::Exactly(exact.parse()?),
                None => match item.parse::<Version>()? {
                    version if version.is_git() => VersionConstraint::Exactly(version),
                    _ => VersionConstraint::Range(VersionRange::parse(item)?),
                },
            };
            add(&mut items, item)?;
        }
        if matches!(items.as_slice(), [VersionConstraint::Range(range)] if range.is_all()) {
            items.clear();
        }
        Ok(Self(items))
    }
}

impl fmt::Display for VersionConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(version) if version.is_git() => write!(f, "{version}"),
            Self::Exactly(version) => write!(f, "={version}"),
            Self::Range(range) => write!(f, "{range}"),
        }
    }
}

impl fmt::Display for VersionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if number == 0 { "" } else { "," })?;
        }
        if self.is_any() { f.write_str(":") } else { Ok(()) }
    }
}
