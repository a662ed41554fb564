//! `uninstall`: what users name, and never what others still need.

use crate::environment::managed::Named;
use crate::error::Error;
use crate::removal;
use crate::report::Reporter;
use crate::select::{self, Selection};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use strata_spec::{AbstractSpec, DagHash, Database};
use strata_store::{Installed, Store, installed_dependents};

/// A package that was removed.
#[derive(Debug, Serialize)]
pub struct Uninstalled {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// Where it was.
    pub prefix: PathBuf,
    /// Whether it was not built by Spack: its record goes, its files stay.
    pub external: bool,
}

/// What is to be uninstalled.
#[derive(Debug, Default)]
pub struct Request<'r> {
    /// Specs; none are all packages, which takes `all`.
    pub specs: &'r [AbstractSpec],
    /// Every package that satisfies one of them; else each must mean one package.
    pub all: bool,
    /// What needs them, too.
    pub dependents: bool,
    /// Whether or not anything that stays needs them.
    pub force: bool,
    /// Of these packages only: those of an environment.
    pub among: Option<&'r HashSet<DagHash>>,
    /// What other environments consist of.
    pub needed: &'r [(Named, HashSet<DagHash>)],
    /// Leave what other environments need, rather than refuse everything.
    pub leave_needed: bool,
}

/// What was uninstalled.
#[derive(Debug, Default, Serialize)]
pub struct Uninstallation {
    /// Packages that were removed, dependents first.
    pub removed: Vec<Uninstalled>,
    /// Labels of those that were left because other environments need them.
    pub left: Vec<String>,
    /// Hashes of all that was asked for, those that were left included.
    #[serde(skip)]
    pub asked: Vec<DagHash>,
}

/// Removes the packages. Nothing is removed if anything that stays needs one of them, unless that is what was asked for.
///
/// # Errors
/// [`Error::NoSuchSpec`], [`Error::Ambiguous`], [`Error::HasDependents`] and [`Error::NeededByEnvironments`] before anything is
/// removed.
pub fn uninstall(
    store: &Store,
    request: &Request<'_>,
    reporter: &dyn Reporter,
) -> Result<Uninstallation, Error> {
    let place = store.root().root().to_string_lossy().into_owned();
    let database = store.read()?;
    let mut chosen = chosen(&database, request, &place)?;
    if request.dependents {
        let hashes: Vec<DagHash> = chosen.iter().cloned().collect();
        let dependents = installed_dependents(&database, &hashes);
        chosen.extend(dependents.into_iter().map(|record| record.node.hash.clone()));
    }
    let asked = chosen.iter().cloned().collect();
    let left = leave_to_others(&database, request, &mut chosen)?;
    let removed = removal::in_order_of_removal(&database, &chosen);
    let allowed = |database: &Database| match request.force {
        true => Ok(()),
        false => removal::nothing_else_needs(database, &removed),
    };
    if !removed.is_empty() {
        removal::remove(store, &removed, allowed, reporter)?;
    }
    Ok(Uninstallation { removed, left, asked })
}

/// Fails if a spec means only what is in a store below this one, which is not ours to change.
///
/// # Errors
/// [`Error::Upstream`].
pub fn refuse_upstream(installed: &Installed, specs: &[AbstractSpec]) -> Result<(), Error> {
    let selection = Selection::new(installed.database());
    for spec in specs {
        let matching = selection.matching(spec, select::is_ours);
        let upstreams: Option<Vec<_>> =
            matching.iter().map(|record| installed.installed_upstream(&record.node.hash)).collect();
        if let (Some(record), Some([upstream, ..])) = (matching.first(), upstreams.as_deref()) {
            return Err(Error::Upstream {
                package: record.node.label(),
                upstream: upstream.name().to_owned(),
                root: upstream.root().root().to_owned(),
            });
        }
    }
    Ok(())
}

/// The packages that the specs mean.
fn chosen(database: &Database, request: &Request<'_>, place: &str) -> Result<HashSet<DagHash>, Error> {
    let selection = Selection::new(database);
    let eligible = |record: &strata_spec::Record| {
        select::is_ours(record) && request.among.is_none_or(|hashes| hashes.contains(&record.node.hash))
    };
    let mut chosen = HashSet::new();
    let everything = [AbstractSpec::default()];
    let specs = if request.specs.is_empty() { &everything[..] } else { request.specs };
    for spec in specs {
        if !request.all {
            chosen.insert(selection.one(spec, eligible, place)?.node.hash.clone());
            continue;
        }
        let records = selection.matching(spec, eligible);
        if records.is_empty() && !request.specs.is_empty() {
            return Err(Error::NoSuchSpec { spec: spec.to_string(), place: place.to_owned() });
        }
        chosen.extend(records.into_iter().map(|record| record.node.hash.clone()));
    }
    Ok(chosen)
}

/// Sees to what other environments need: refused, or left out of `chosen`.
fn leave_to_others(
    database: &Database,
    request: &Request<'_>,
    chosen: &mut HashSet<DagHash>,
) -> Result<Vec<String>, Error> {
    if request.force {
        return Ok(Vec::new());
    }
    let is_needed = |hash: &DagHash| request.needed.iter().any(|(_, hashes)| hashes.contains(hash));
    let needed: Vec<DagHash> = chosen.iter().filter(|hash| is_needed(hash)).cloned().collect();
    let label = |hash: &DagHash| {
        database.records.get(hash).map_or_else(|| format!("/{hash}"), |record| record.node.label())
    };
    let mut packages: Vec<String> = needed.iter().map(label).collect();
    packages.sort();
    if packages.is_empty() || request.leave_needed {
        chosen.retain(|hash| !is_needed(hash));
        return Ok(packages);
    }
    let by = request.needed.iter().filter(|(_, hashes)| needed.iter().any(|hash| hashes.contains(hash)));
    Err(Error::NeededByEnvironments {
        packages,
        environments: by.map(|(named, _)| named.name.clone()).collect(),
    })
}
