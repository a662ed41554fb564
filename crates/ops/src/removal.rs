//! Removing installed packages: their records in one transaction, then their prefixes. What is to be removed, and whether it
//! may be, is for `uninstall` and `gc` to say.

use crate::error::Error;
use crate::report::{Action, Event, Reporter};
use crate::uninstall::Uninstalled;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;
use strata_spec::{DagHash, Database};
use strata_store::removal::RemovalError;
use strata_store::{
    LockGuard, LockKind, StageArea, Store, StoreError, clean_stale, installed_dependents, record_removal,
    remove_prefix,
};

/// Removes the packages, in their order. Under all locks, and before anything is changed, `allowed` is asked whether they may
/// go still: others may have come to need them since they were chosen.
///
/// # Errors
/// What `allowed` says; [`RemovalError::Outside`] for a prefix that is not below the root of the store.
pub(crate) fn remove(
    store: &Store,
    packages: &[Uninstalled],
    allowed: impl FnOnce(&Database) -> Result<(), Error>,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let ours = || packages.iter().filter(|package| !package.external);
    // Before the records are touched: a store that was copied names prefixes of the one it was copied from.
    if let Some(package) = ours().find(|package| !package.prefix.starts_with(store.root().root())) {
        let (prefix, root) = (package.prefix.clone(), store.root().root().to_owned());
        return Err(RemovalError::Outside { prefix, root }.into());
    }
    clean_stale(store)?;
    let area = StageArea::open(store)?;
    let locks = lock_prefixes(store, packages)?;
    let started = Instant::now();
    store.transaction(|database| {
        allowed(database)?;
        for package in packages {
            record_removal(database, &package.hash)?;
        }
        Ok::<(), Error>(())
    })?;
    // The records are gone: a kill from here on leaves a prefix that nobody claims, which an install sets aside.
    for package in packages {
        if !package.external {
            drop(remove_prefix(&area, store.root(), &package.prefix)?);
            crate::load::forget(store.root(), &package.hash);
            crate::origin::forget(store.root(), &package.hash);
        }
        reporter.event(Event::Finished {
            action: Action::Uninstall,
            package: &package.label(),
            bytes: 0,
            elapsed: started.elapsed(),
            detail: &package.prefix.to_string_lossy(),
        });
    }
    drop(locks);
    Ok(())
}

/// Locks the prefixes of all packages. While one of them is waited for, none is held: Spack keeps those that it uses locked
/// while it waits for others.
fn lock_prefixes(store: &Store, packages: &[Uninstalled]) -> Result<Vec<LockGuard>, Error> {
    let mut hashes: Vec<&DagHash> = packages.iter().map(|package| &package.hash).collect();
    hashes.sort();
    let mut awaited = hashes.first().copied();
    let mut locks = Vec::with_capacity(hashes.len());
    while let Some(first) = awaited.take() {
        locks.push(store.lock_prefix(first, LockKind::Write).map_err(StoreError::from)?);
        for hash in hashes.iter().copied().filter(|hash| *hash != first) {
            match store.try_lock_prefix(hash, LockKind::Write).map_err(StoreError::from)? {
                Some(lock) => locks.push(lock),
                None => {
                    locks.clear();
                    awaited = Some(hash);
                    break;
                }
            }
        }
    }
    Ok(locks)
}

/// Fails if anything that is installed and is not one of `packages` needs one of them to link or run.
pub(crate) fn nothing_else_needs(database: &Database, packages: &[Uninstalled]) -> Result<(), Error> {
    let hashes: Vec<DagHash> = packages.iter().map(|package| package.hash.clone()).collect();
    let dependents = installed_dependents(database, &hashes);
    let known: HashSet<&DagHash> = hashes.iter().collect();
    let outside: Vec<String> =
        dependents.iter().filter(|r| !known.contains(&r.node.hash)).map(|r| r.node.label()).collect();
    if outside.is_empty() {
        return Ok(());
    }
    let package = packages.iter().map(Uninstalled::label).collect::<Vec<_>>().join(", ");
    Err(Error::HasDependents { package, dependents: outside })
}

/// The records as packages to remove, dependents before what they depend on, and else by name, version and hash.
pub(crate) fn in_order_of_removal(database: &Database, hashes: &HashSet<DagHash>) -> Vec<Uninstalled> {
    let records = || hashes.iter().filter_map(|hash| database.records.get(hash));
    // How many of those to remove refer to each of them.
    let mut waiting_for: HashMap<&DagHash, usize> = HashMap::new();
    for edge in records().flat_map(|record| &record.node.dependencies) {
        *waiting_for.entry(&edge.hash).or_default() += 1;
    }
    let key = |hash: &&DagHash| {
        let node = database.records.get(*hash).map(|record| &record.node);
        (node.map(|node| (&node.name, &node.version)), (*hash).clone())
    };
    let mut ready: Vec<&DagHash> =
        records().map(|record| &record.node.hash).filter(|hash| !waiting_for.contains_key(hash)).collect();
    let mut order = Vec::with_capacity(hashes.len());
    while !ready.is_empty() {
        ready.sort_by_key(key);
        let mut next = Vec::new();
        for hash in std::mem::take(&mut ready) {
            let Some(record) = database.records.get(hash) else { continue };
            order.push(Uninstalled::of(record));
            for edge in &record.node.dependencies {
                let Some(count) = waiting_for.get_mut(&edge.hash) else { continue };
                *count -= 1;
                if *count == 0 && hashes.contains(&edge.hash) {
                    next.push(&edge.hash);
                }
            }
        }
        ready = next;
    }
    order
}

impl Uninstalled {
    /// What is to be removed of a record.
    pub(crate) fn of(record: &strata_spec::Record) -> Self {
        let node = &record.node;
        Self {
            name: node.name.clone(),
            version: node.version.clone(),
            hash: node.hash.clone(),
            prefix: record.path.as_ref().map(PathBuf::from).unwrap_or_default(),
            external: node.is_external(),
        }
    }

    /// `NAME@VERSION/HASH`, as people read it.
    pub(crate) fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }
}
