//! `reindex`: the database made anew from what is installed.

use crate::error::Error;
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use strata_spec::DagHash;
use strata_store::{LockSettings, Reason, RootError, Store, StoreError, StoreRoot};

/// What became of the database.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The index file.
    pub index: PathBuf,
    /// Packages that were found in prefixes.
    pub found: Vec<Found>,
    /// Records in all: also of externals, and of what is only named by others.
    pub records: usize,
    /// Prefixes that were not taken for packages.
    pub left_out: Vec<LeftOut>,
    /// Packages that were recorded as installed and are not there.
    pub vanished: Vec<String>,
    /// Why the old index could not be used, if it could not: what it alone knew is lost.
    pub unusable: Option<String>,
    /// Where the old index is kept.
    pub backup: Option<PathBuf>,
}

/// A package in its prefix.
#[derive(Debug, Serialize)]
pub struct Found {
    /// DAG hash.
    pub hash: DagHash,
    /// Where it is.
    pub prefix: PathBuf,
}

/// A prefix that was not taken for a package.
#[derive(Debug, Serialize)]
pub struct LeftOut {
    /// Where it is.
    pub prefix: PathBuf,
    /// Why.
    #[serde(serialize_with = "as_text")]
    pub reason: Reason,
}

fn as_text<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

/// The store at `root`, for [`reindex`]: its database directory may be lost, too, if anything at all is there.
///
/// # Errors
/// [`RootError::NoDatabase`] if there is no directory, or nothing in it.
pub fn open(root: StoreRoot, locks: LockSettings) -> Result<Store, Error> {
    if root.database_directory().is_dir() {
        return Ok(Store::open(root, locks)?);
    }
    let is_empty = std::fs::read_dir(root.root()).map_or(true, |mut entries| entries.next().is_none());
    match is_empty {
        true => Err(RootError::NoDatabase { dir: root.root().to_owned() }.into()),
        false => Ok(Store::create(root, locks)?),
    }
}

/// Makes the database anew, unless `dry_run`. What is `upstream` is looked for there and not recorded here.
///
/// # Errors
/// If somebody is installing, or the store cannot be written. Prefixes that are left out are part of the summary.
pub fn reindex(store: &Store, upstream: &HashSet<DagHash>, dry_run: bool) -> Result<Summary, Error> {
    let reindexed = store.reindex(upstream, dry_run).map_err(|error: StoreError| Error::from(error))?;
    Ok(Summary {
        index: store.index_path(),
        found: reindexed.found.into_iter().map(|(hash, prefix)| Found { hash, prefix }).collect(),
        records: reindexed.database.records.len(),
        left_out: reindexed.left_out.into_iter().map(|(prefix, reason)| LeftOut { prefix, reason }).collect(),
        vanished: reindexed.vanished,
        unusable: reindexed.unusable,
        backup: reindexed.backup,
    })
}
