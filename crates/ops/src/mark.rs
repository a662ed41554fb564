//! `mark`: whether installed packages count as asked for, which is what `gc` goes by.

use crate::error::Error;
use crate::find::Found;
use crate::select::{self, Selection};
use std::collections::HashSet;
use strata_spec::{AbstractSpec, DagHash, Database};
use strata_store::Store;

/// What became of the packages that were marked.
#[derive(Debug)]
pub struct Marked {
    /// Those that were not marked so before.
    pub changed: Vec<Found>,
    /// Those that were.
    pub unchanged: Vec<Found>,
}

/// Marks installed packages, externals included, as asked for or not. Each spec means one package, unless `all` that satisfy
/// it are meant; no specs at all mean every package.
///
/// Nothing is written if there is nothing to change.
///
/// # Errors
/// If a spec means none, or several and not `all` were asked for. Then nothing is changed.
pub fn mark(store: &Store, specs: &[AbstractSpec], all: bool, explicit: bool) -> Result<Marked, Error> {
    let place = store.root().root().to_string_lossy().into_owned();
    let meant = |database: &Database| meant(database, specs, all, &place);
    let database = store.read()?;
    let hashes = meant(&database)?;
    let found = |database: &Database, marked: bool| {
        let records = hashes.iter().filter_map(|hash| database.records.get(hash));
        records.filter(|record| (record.explicit == explicit) == marked).map(Found::new).collect::<Vec<_>>()
    };
    if found(&database, false).is_empty() {
        return Ok(Marked { changed: Vec::new(), unchanged: found(&database, true) });
    }
    store.transaction(|database| {
        // Others may have been at it since.
        let hashes = meant(database)?;
        let mut marked = Marked { changed: Vec::new(), unchanged: Vec::new() };
        for hash in &hashes {
            let Some(record) = database.records.get_mut(hash) else { continue };
            let changes = record.explicit != explicit;
            record.explicit = explicit;
            let list = if changes { &mut marked.changed } else { &mut marked.unchanged };
            list.push(Found::new(record));
        }
        Ok(marked)
    })
}

/// The hashes of the packages that are meant, each once.
fn meant(database: &Database, specs: &[AbstractSpec], all: bool, place: &str) -> Result<Vec<DagHash>, Error> {
    let selection = Selection::new(database);
    let everything = [AbstractSpec::default()];
    let specs = if specs.is_empty() { &everything[..] } else { specs };
    let mut seen = HashSet::new();
    let mut hashes = Vec::new();
    for spec in specs {
        let records = match all {
            false => vec![selection.one(spec, select::is_installed, place)?],
            true => selection.matching(spec, select::is_installed),
        };
        if records.is_empty() && !spec.to_string().is_empty() {
            return Err(Error::NoSuchSpec { spec: spec.to_string(), place: place.to_owned() });
        }
        hashes.extend(
            records.iter().map(|record| &record.node.hash).filter(|hash| seen.insert(*hash)).cloned(),
        );
    }
    Ok(hashes)
}
