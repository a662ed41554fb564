//! `gc`: what is installed and nobody needs, out of the store (`unused_specs` in Spack's `database.py`).
//!
//! Needed is what is a root, and what a root needs to link and run, directly or not; with `keep_build_dependencies` also what
//! it needs to be built. Who is a root is [`Roots`].

use crate::environment::Locked;
use crate::error::Error;
use crate::find;
use crate::removal::{self, in_order_of_removal};
use crate::report::{Event, Reporter};
use crate::uninstall::Uninstalled;
use std::collections::HashSet;
use strata_spec::{AbstractSpec, DagHash, Database, DependencyTypes, Record};
use strata_store::Store;

/// From where it is seen what is needed.
#[derive(Clone, Debug)]
pub enum Roots {
    /// What a user asked for.
    Explicit,
    /// These: the roots of environments. What a user asked for outside of them does not count.
    These(HashSet<DagHash>),
    /// Everything but what an environment consists of, and the roots of that environment: only it is cleaned up.
    Within {
        /// Its roots.
        roots: HashSet<DagHash>,
        /// All that it consists of.
        environment: HashSet<DagHash>,
    },
}

impl Roots {
    /// The roots of these environments.
    pub fn of(environments: &[Locked]) -> Self {
        Self::These(environments.iter().flat_map(Locked::roots).cloned().collect())
    }

    /// Those for cleaning up one environment.
    pub fn within(environment: &Locked) -> Self {
        let roots = environment.roots().into_iter().cloned().collect();
        Self::Within { roots, environment: environment.hashes().cloned().collect() }
    }

    fn include(&self, record: &Record) -> bool {
        let hash = &record.node.hash;
        match self {
            Self::Explicit => record.explicit,
            Self::These(roots) => roots.contains(hash),
            Self::Within { roots, environment } => roots.contains(hash) || !environment.contains(hash),
        }
    }
}

/// What is to be removed.
#[derive(Clone, Debug)]
pub struct Options {
    /// From where it is seen what is needed.
    pub roots: Roots,
    /// Whether what packages were built with is needed too.
    pub keep_build_dependencies: bool,
    /// Remove only what satisfies one of these; whatever is not needed if there are none.
    pub specs: Vec<AbstractSpec>,
}

/// What is installed and not needed.
pub fn unused(database: &Database, roots: &Roots, keep_build_dependencies: bool) -> HashSet<DagHash> {
    let types = match keep_build_dependencies {
        true => DependencyTypes::RUNTIME | DependencyTypes::BUILD,
        false => DependencyTypes::RUNTIME,
    };
    let records = database.records.values();
    let mut waiting: Vec<&Record> = records.filter(|record| roots.include(record)).collect();
    let mut needed: HashSet<&DagHash> = waiting.iter().map(|record| &record.node.hash).collect();
    while let Some(record) = waiting.pop() {
        for edge in record.node.dependencies.iter().filter(|edge| edge.types.intersects(types)) {
            if let Some(dependency) = database.records.get(&edge.hash)
                && needed.insert(&dependency.node.hash)
            {
                waiting.push(dependency);
            }
        }
    }
    let installed = database.records.iter().filter(|(_, record)| record.installed);
    installed.filter(|(hash, _)| !needed.contains(hash)).map(|(hash, _)| hash.clone()).collect()
}

/// What would be removed, dependents before what they depend on.
///
/// # Errors
/// If something that would stay, because it is not one of `options.specs`, needs what would go.
pub fn plan(store: &Store, options: &Options, reporter: &dyn Reporter) -> Result<Vec<Uninstalled>, Error> {
    let database = store.read()?;
    let mut hashes = unused(&database, &options.roots, options.keep_build_dependencies);
    if !options.specs.is_empty() {
        let matches = find::matches(&database, &options.specs);
        for spec in &matches.unmatched {
            reporter.event(Event::Warning(&format!("no spec matches `{spec}`")));
        }
        let asked: HashSet<&DagHash> = matches.records.iter().map(|record| &record.node.hash).collect();
        hashes.retain(|hash| asked.contains(hash));
    }
    let packages = in_order_of_removal(&database, &hashes);
    removal::nothing_else_needs(&database, &packages)?;
    Ok(packages)
}

/// Removes what was planned, all of it or nothing.
///
/// # Errors
/// [`Error::NeededMeanwhile`] if one of them was needed in the meantime.
pub fn execute(
    store: &Store,
    options: &Options,
    packages: &[Uninstalled],
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    if packages.is_empty() {
        return Ok(());
    }
    let still_unused = |database: &Database| {
        let unused = unused(database, &options.roots, options.keep_build_dependencies);
        match packages.iter().find(|package| !unused.contains(&package.hash)) {
            Some(package) => Err(Error::NeededMeanwhile { package: package.label() }),
            None => removal::nothing_else_needs(database, packages),
        }
    };
    removal::remove(store, packages, still_unused, reporter)
}
