//! `uninstall`: out of the database, then off the disk; never what others still need.

use crate::error::Error;
use crate::report::{Action, Event, Reporter};
use crate::select::{self, Selection};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use strata_spec::{AbstractSpec, DagHash};
use strata_store::removal::RemovalError;
use strata_store::{
    LockKind, StageArea, Store, StoreError, clean_stale, installed_dependents, record_removal, remove_prefix,
};

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
}

/// Removes the packages. Nothing is removed if anything that stays needs one of them.
pub fn uninstall(
    store: &Store,
    specs: &[AbstractSpec],
    reporter: &dyn Reporter,
) -> Result<Vec<Uninstalled>, Error> {
    let place = store.root().root().to_string_lossy().into_owned();
    let database = store.read()?;
    let mut packages: Vec<Uninstalled> = Vec::new();
    let selection = Selection::new(&database);
    for spec in specs {
        let record = selection.one(spec, select::is_ours, &place)?;
        let node = &record.node;
        if packages.iter().all(|package| package.hash != node.hash) {
            packages.push(Uninstalled {
                name: node.name.clone(),
                version: node.version.clone(),
                hash: node.hash.clone(),
                prefix: record.path.clone().unwrap_or_default().into(),
            });
        }
    }
    // Before the records are touched: a store that was copied names prefixes of the one it was copied from.
    if let Some(package) = packages.iter().find(|package| !package.prefix.starts_with(store.root().root())) {
        let (prefix, root) = (package.prefix.clone(), store.root().root().to_owned());
        return Err(RemovalError::Outside { prefix, root }.into());
    }
    let hashes: Vec<DagHash> = packages.iter().map(|package| package.hash.clone()).collect();
    clean_stale(store.root())?;
    let area = StageArea::open(store.root())?;
    // Locks in one order for everybody.
    let mut in_lock_order = hashes.clone();
    in_lock_order.sort();
    let mut locks = Vec::with_capacity(hashes.len());
    for hash in &in_lock_order {
        locks.push(store.lock_prefix(hash, LockKind::Write).map_err(StoreError::from)?);
    }
    let started = Instant::now();
    store.transaction(|database| {
        let dependents = installed_dependents(database, &hashes);
        let outside: Vec<String> =
            dependents.iter().filter(|r| !hashes.contains(&r.node.hash)).map(|r| r.node.label()).collect();
        if !outside.is_empty() {
            let package = packages.iter().map(label).collect::<Vec<_>>().join(", ");
            return Err(Error::HasDependents { package, dependents: outside });
        }
        for package in &packages {
            record_removal(database, &package.hash)?;
        }
        Ok(())
    })?;
    // The records are gone: a kill from here on leaves a prefix that nobody claims, which an install sets aside.
    for package in &packages {
        drop(remove_prefix(&area, store.root(), &package.prefix)?);
        reporter.event(Event::Finished {
            action: Action::Uninstall,
            package: &label(package),
            bytes: 0,
            elapsed: started.elapsed(),
            detail: &package.prefix.to_string_lossy(),
        });
    }
    drop(locks);
    Ok(packages)
}

fn label(package: &Uninstalled) -> String {
    strata_spec::label(&package.name, &package.version, &package.hash)
}
