//! A range of versions: `1.2:1.4` has 1.2, 1.4 and everything that begins with 1.4.

use super::release::{Place, Release};
use super::{InvalidVersion, Version};
use std::cmp::Ordering;
use std::fmt;

/// `low:high`, both ends included, `1.2` standing for `1.2:1.2`, which has 1.2.13 in it.
#[derive(Clone, Debug)]
pub struct VersionRange {
    low: Option<Release>,
    high: Option<Release>,
    /// The first place that is past the end.
    end: Option<Place>,
}

impl VersionRange {
    /// Every version.
    pub(super) const ALL: Self = Self { low: None, high: None, end: None };

    fn between(low: Option<Release>, high: Option<Release>) -> Option<Self> {
        let end = high.as_ref().map(|high| high.place.next());
        let is_empty = matches!((&low, &end), (Some(low), Some(end)) if *end < low.place);
        (!is_empty).then_some(Self { low, high, end })
    }

    /// Reads `1.2`, `1.2:`, `:1.4`, `1.2:1.4` or `:`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.to_owned());
        // In `@:1.2=x` the variant is `2`, and the version `1.`.
        let end = |text: &str| match text {
            "" => Ok(None),
            text => Release::parse(text.trim_end_matches(['.', '-'])).map(Some).ok_or_else(invalid),
        };
        let (low, high) = match text.split_once(':') {
            Some((low, high)) => (end(low)?, end(high)?),
            None => (end(text)?, end(text)?),
        };
        Self::between(low, high).ok_or_else(|| InvalidVersion(format!("{text}, which has no version in it,")))
    }

    /// The lower end as it was written; none is open.
    pub fn low(&self) -> Option<&str> {
        self.low.as_ref().map(|low| &*low.text)
    }

    /// The upper end as it was written; none is open.
    pub fn high(&self) -> Option<&str> {
        self.high.as_ref().map(|high| &*high.text)
    }

    /// Whether every version is in it.
    pub(super) fn is_all(&self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    /// Whether the version is in it; a git reference is if the version it stands for is.
    pub fn contains(&self, version: &Version) -> bool {
        match version.release() {
            Some(release) => {
                self.low.as_ref().is_none_or(|low| low <= release)
                    && self.end.as_ref().is_none_or(|end| release.place < *end)
            }
            None => self.is_all(),
        }
    }

    pub(super) fn low_release(&self) -> Option<&Release> {
        self.low.as_ref()
    }

    fn compare_ends(&self, other: &Self) -> Ordering {
        match (&self.end, &other.end) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(end), Some(other)) => end.cmp(other),
        }
    }

    fn begins_before_end_of(&self, other: &Self) -> Ordering {
        match (&self.low, &other.end) {
            (None, _) | (_, None) => Ordering::Less,
            (Some(low), Some(end)) => low.place.cmp(end),
        }
    }

    /// Whether all of it is in the other one.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.low >= other.low && self.compare_ends(other).is_le()
    }

    pub(super) fn intersects(&self, other: &Self) -> bool {
        self.begins_before_end_of(other).is_lt() && other.begins_before_end_of(self).is_lt()
    }

    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        let low = if other.low > self.low { other } else { self };
        let high = if other.compare_ends(self).is_lt() { other } else { self };
        let both = Self::computed(low, high);
        both.begins_before_end_of(&both).is_lt().then_some(both)
    }

    /// Both in one, if nothing lies between them.
    pub(super) fn joined(&self, other: &Self) -> Option<Self> {
        let connected = self.begins_before_end_of(other).is_le() && other.begins_before_end_of(self).is_le();
        let low = if other.low < self.low { other } else { self };
        let high = if other.compare_ends(self).is_gt() { other } else { self };
        connected.then(|| Self::computed(low, high))
    }

    fn computed(low: &Self, high: &Self) -> Self {
        let end = high.end.clone();
        // A version of separators alone has no parts to be written from.
        let high = high.high.as_ref().map(Release::rewritten).filter(|high| !high.text.is_empty());
        Self { low: low.low.clone(), high, end }
    }
}

impl PartialEq for VersionRange {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for VersionRange {}

impl PartialOrd for VersionRange {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VersionRange {
    fn cmp(&self, other: &Self) -> Ordering {
        self.low.cmp(&other.low).then_with(|| self.compare_ends(other))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) if low == high => f.write_str(&low.text),
            (low, high) => {
                let text = |end: &Option<Release>| end.as_ref().map_or("", |end| &end.text).to_owned();
                write!(f, "{}:{}", text(low), text(high))
            }
        }
    }
}
