//! The environment that a container of an image starts with: what Spack sets when the roots are loaded.
//!
//! Spack first prepends the directories that every package's prefix has (*prefix inspections*, `modules.yaml`), dependencies
//! before dependents; then `bin` and `bin64` of whatever is to be run, and what recipes say (`setup_run_environment`,
//! `setup_dependent_run_environment`), in nearly the same order (`user_environment.py`, `build_environment.py`). What recipes
//! say takes Python to know: it is asked of a Spack (`of_installed`), or taken from a config that is in a cache
//! (`of_installed`, `of_cached`); where neither can be had, the packages are named.

mod based;
mod cached;
mod computed;
mod external;
mod extras;
mod inspections;
mod installed;
mod loading;
mod modification;
mod order;
mod prefixes;
mod recipe;
mod spack;
#[cfg(test)]
mod tests;
mod variables;
mod weave;

use crate::error::Error;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use strata_spec::{DagHash, Database, Node, NodeSource};

pub(crate) use based::{OF_IMAGES, UNCLEAR};
pub(crate) use extras::{condensed, relocated};
pub use inspections::Inspections;
pub(crate) use installed::of_installed;
pub(crate) use loading::{Loading, loading};
pub use modification::{Edit, Modification, Variables, apply, differences};
pub(crate) use variables::{Environment, LONGEST_VARIABLE, normal};

/// An environment, and what is not known of it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// As far as it is known.
    pub(crate) environment: Environment,
    /// Labels of the packages whose recipes say more than could be found out.
    pub(crate) unclear: Vec<String>,
    /// Labels of the packages whose recipes are not there to be looked at, and nobody else could be asked.
    pub(crate) unknown: Vec<String>,
    /// What else is to be told.
    pub(crate) warnings: Vec<String>,
}

impl Told {
    /// One of which all is known.
    pub(crate) fn known(environment: Environment) -> Self {
        Self { environment, unclear: Vec::new(), unknown: Vec::new(), warnings: Vec::new() }
    }
}

/// What is to be said of several environments, each thing once.
pub(crate) fn warnings<'t>(told: impl IntoIterator<Item = &'t Told>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let (mut unclear, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for told in told {
        texts.extend(told.warnings.iter().filter(|text| !texts.contains(text)).cloned().collect::<Vec<_>>());
        unclear.extend(told.unclear.iter().map(String::as_str));
        unknown.extend(told.unknown.iter().map(String::as_str));
    }
    if !unclear.is_empty() {
        texts.push(format!(
            "the environment lacks what the recipes of these packages set, which only Spack can tell: {}",
            listed(&unclear)
        ));
    }
    if !unknown.is_empty() {
        texts.push(format!(
            "the environment lacks whatever the recipes of these packages set: they are not kept in the store, and no \
             Spack could be asked: {}",
            listed(&unknown)
        ));
    }
    texts
}

/// The first few labels of a list that may be long.
fn listed(labels: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = labels.iter().take(SHOWN).copied().collect();
    match labels.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Where what is known of installed packages comes from.
pub(crate) struct Installed<'a> {
    /// The store's.
    pub(crate) database: &'a Database,
    /// `modules:prefix_inspections`.
    pub(crate) inspections: &'a Inspections,
    /// A Spack whose store it is, if there is one: its executable.
    pub(crate) spack: Option<&'a Path>,
    /// `config.Env` of packages as a cache has them, and whether those images have a base.
    pub(crate) cached: &'a HashMap<DagHash, Cached>,
    /// What is kept of the configs of packages that are as they came from a cache: it says what their recipes do, and nothing in
    /// their prefixes is opened.
    pub(crate) unopened: Option<&'a HashMap<DagHash, Cached>>,
}

/// What the config of a package that is in a cache says.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    /// `NAME=value`, in order.
    pub(crate) env: Vec<String>,
    /// Whether the image has a base, whose variables are among them.
    pub(crate) has_base: bool,
    /// Labels of the packages whose recipes say more than is in it, as far as its writer could tell.
    pub(crate) unclear: Vec<String>,
}

/// The environment of roots that need not be installed: put together from what the configs of packages say, in the order that
/// Spack would give it. `cached` has the roots' at least.
///
/// Of one root without a base it is what its config says. Of several roots it is what Spack would compute for all of them
/// together; what is set, and no list, is the first root's. Of an image that has a base itself, only what names a package
/// is taken.
pub(crate) fn of_cached(
    nodes: &dyn NodeSource,
    roots: &[DagHash],
    cached: &HashMap<DagHash, Cached>,
    base: &Environment,
) -> Result<Told, Error> {
    cached::of_cached(nodes, roots, cached, base)
}

/// The node of a root.
fn root<'s>(source: &'s (impl NodeSource + ?Sized), hash: &DagHash) -> Result<&'s Node, Error> {
    let missing =
        || Error::NoSuchSpec { spec: format!("/{hash}"), place: "what the image is made of".to_owned() };
    source.node(hash).ok_or_else(missing)
}
