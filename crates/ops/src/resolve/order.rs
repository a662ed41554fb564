//! Which of several concrete specs that are what was asked for, and can be used, is the best.
//!
//! Spack has a solver weigh recipes for this; a cache alone has no preferences of recipes. What is left of Spack's order:
//!
//! 1. of several packages that provide a virtual one, that which Spack's defaults prefer, then the first by name;
//! 2. versions: releases before pre-releases before branches (`develop`, `main`) before commits; then the newest;
//! 3. the most specific target: what runs here can be told before, so more specific is faster;
//! 4. built on the operating system of this machine;
//! 5. the fewest packages that are not installed yet;
//! 6. the smaller hash, so that every machine with the same index gives the same answer.

use super::providers;
use super::stock::Stock;
use serde::Serialize;
use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use strata_spec::catalog::NodeRef;
use strata_spec::host::Host;
use strata_spec::{AbstractSpec, DependencyTypes, Version, target};

/// What made one concrete spec better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    /// Another package is preferred as a provider of the virtual one.
    Provider,
    /// A newer version, or a release and not a branch.
    Version,
    /// A more specific target.
    Target,
    /// Built on the operating system of this machine.
    Os,
    /// Less is left to be installed.
    Installed,
    /// Nothing but the hash.
    Hash,
    /// It does not go together with the other specs that were asked for.
    Together,
}

impl std::fmt::Display for Preference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Provider => "it is the preferred provider",
            Self::Version => "its version is preferred",
            Self::Target => "its target is more specific",
            Self::Os => "it was built on this operating system",
            Self::Installed => "less has to be installed",
            Self::Hash => "they are as good, and the hash decides",
            Self::Together => "it goes together with the others",
        })
    }
}

/// A concrete spec and what it is compared by.
#[derive(Clone)]
pub(crate) struct Ranked<'s> {
    pub(crate) node: NodeRef<'s>,
    provider: (usize, &'s str),
    version: Reverse<VersionRank>,
    target: Reverse<usize>,
    other_os: bool,
    /// Counted only of those between which nothing before it decides.
    to_install: usize,
}

/// The place of a version among others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VersionRank {
    class: Class,
    version: Option<Version>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Commit,
    Branch,
    PreRelease,
    Release,
}

impl<'s> Ranked<'s> {
    fn new(node: NodeRef<'s>, spec: &AbstractSpec, host: Option<&Host>) -> Self {
        let virtual_name = spec.name.as_deref().filter(|name| *name != node.name());
        let provider = virtual_name.map_or(0, |name| providers::rank(name, node.name()));
        Self {
            node,
            provider: (provider, node.name()),
            version: Reverse(VersionRank::of(node.version())),
            target: Reverse(target::specificity(node.target())),
            other_os: host.and_then(|host| host.os.as_deref()).is_some_and(|os| os != node.os()),
            to_install: 0,
        }
    }

    /// What decides between the two, and how.
    fn compare(&self, other: &Self) -> (Ordering, Preference) {
        let steps = [
            (self.provider.cmp(&other.provider), Preference::Provider),
            (self.version.cmp(&other.version), Preference::Version),
            (self.target.cmp(&other.target), Preference::Target),
            (self.other_os.cmp(&other.other_os), Preference::Os),
            (self.to_install.cmp(&other.to_install), Preference::Installed),
        ];
        let first = steps.into_iter().find(|(ordering, _)| ordering.is_ne());
        first.unwrap_or_else(|| (self.node.hash().cmp(other.node.hash()), Preference::Hash))
    }

    /// What makes `self` better than `other`, which comes after it.
    pub(crate) fn preference(&self, other: &Self) -> Preference {
        self.compare(other).1
    }
}

impl VersionRank {
    pub(crate) fn of(text: &str) -> Self {
        Self { class: Class::of(text), version: text.parse().ok() }
    }
}

impl Class {
    fn of(version: &str) -> Self {
        let is_commit = version.len() == 40 && version.bytes().all(|c| c.is_ascii_hexdigit());
        if is_commit || version.starts_with("git.") || version.contains('=') {
            return Self::Commit;
        }
        let mut class = Self::Release;
        for word in version.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
            class = class.min(match word {
                "develop" | "main" | "master" | "head" | "trunk" | "nightly" | "stable" => Self::Branch,
                "alpha" | "beta" | "rc" => Self::PreRelease,
                _ => Self::Release,
            });
        }
        class
    }
}

/// The nodes, best first; each has been found to be what `spec` asks for.
pub(crate) fn best_first<'s>(
    nodes: Vec<NodeRef<'s>>,
    spec: &AbstractSpec,
    stock: &Stock<'_>,
    host: Option<&Host>,
) -> Vec<Ranked<'s>> {
    let mut ranked: Vec<Ranked<'s>> = nodes.into_iter().map(|node| Ranked::new(node, spec, host)).collect();
    ranked.sort_unstable_by(|a, b| a.compare(b).0);
    // Without a store there is nothing to tell apart.
    if stock.has_store() {
        let is_as_good = |a: &Ranked<'_>, b: &Ranked<'_>| a.preference(b) == Preference::Hash;
        for equals in ranked.chunk_by_mut(is_as_good).filter(|equals| equals.len() > 1) {
            for one in &mut *equals {
                one.to_install = missing(one.node, stock);
            }
            equals.sort_unstable_by(|a, b| a.compare(b).0);
        }
    }
    ranked
}

/// How many packages of the run-time closure are not installed.
fn missing(root: NodeRef<'_>, stock: &Stock<'_>) -> usize {
    let mut seen = HashSet::from([root.number()]);
    let mut stack = vec![root];
    let mut missing = 0;
    while let Some(node) = stack.pop() {
        missing += usize::from(!stock.is_recorded(node.hash()));
        let needed = node.edges().filter(|edge| edge.types().intersects(DependencyTypes::RUNTIME));
        let needed = needed.filter_map(|edge| edge.node()).filter(|node| !node.is_external());
        stack.extend(needed.filter(|node| seen.insert(node.number())));
    }
    missing
}
