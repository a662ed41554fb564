//! Packages in the environment of a shell: loading them, and taking out again what loading put in.
//!
//! Loading what is loaded already takes it out first. So it comes to the front again, nothing is there twice, and a shell
//! whose `PATH` was set anew, but which still believes to have packages loaded, has them afterwards.

use super::kept;
use crate::error::Error;
use crate::find::Found;
use crate::run_environment::{
    self, Edit, Inspections, Installed, Loading, Modification, Told, Variables, apply, loading,
};
use crate::select::{self, Selection};
use std::collections::HashMap;
use std::path::Path;
use strata_spec::{AbstractSpec, DagHash, Database, Record};
use strata_store::StoreRoot;

/// The variable that has the hashes of what is loaded, the last one first.
const LOADED: &str = "SPACK_LOADED_HASHES";

/// Where what is known of installed packages comes from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The store.
    pub root: &'a StoreRoot,
    /// What is recorded in it, and in those below it.
    pub database: &'a Database,
    /// The stores of packages that are in others than `root`.
    pub upstreams: &'a HashMap<DagHash, StoreRoot>,
    /// `modules:prefix_inspections`.
    pub inspections: &'a Inspections,
    /// A Spack whose store it may be: its executable.
    pub spack: Option<&'a Path>,
}

/// What becomes of a shell's variables.
#[derive(Debug)]
pub struct Changed {
    /// The packages that were loaded or unloaded.
    pub packages: Vec<Found>,
    /// The variables afterwards.
    pub variables: Variables,
    /// What is not known of the packages.
    pub warnings: Vec<String>,
}

impl Sources<'_> {
    /// What is done for each of several groups of roots.
    pub(super) fn loading(&self, groups: &[&[DagHash]]) -> Result<Vec<Loading>, Error> {
        let cached = kept::read(|hash| self.upstreams.get(hash).unwrap_or(self.root), &groups.concat())?;
        let Self { database, inspections, spack, .. } = *self;
        loading(&Installed { database, inspections, spack, cached: &cached, unopened: None }, groups)
    }

    fn place(&self) -> String {
        self.root.root().display().to_string()
    }

    fn found(&self, hashes: &[DagHash]) -> Vec<Found> {
        hashes.iter().filter_map(|hash| self.database.records.get(hash)).map(Found::new).collect()
    }

    /// What is loaded and installed, the last one first. What belongs to other stores is none of our business.
    fn loaded_hashes(&self, variables: &Variables) -> Vec<DagHash> {
        let list = variables.get(LOADED).map_or("", String::as_str);
        let mut hashes: Vec<DagHash> = Vec::new();
        for hash in list.split(':').filter_map(|text| DagHash::parse(text).ok()) {
            let is_installed = self.database.records.get(&hash).is_some_and(select::is_installed);
            if is_installed && !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        hashes
    }
}

/// What is loaded, the last one first.
pub fn loaded(sources: &Sources<'_>, variables: &Variables) -> Vec<Found> {
    sources.found(&sources.loaded_hashes(variables))
}

/// Loads a package for each spec. `among`: only these packages count, if it says any. `first`: of several that a spec is true
/// of, the first one by name, version and hash is taken.
///
/// # Errors
/// If a spec is true of no installed package, or of several.
pub fn load(
    sources: &Sources<'_>,
    specs: &[AbstractSpec],
    among: Option<&[DagHash]>,
    first: bool,
    variables: &Variables,
) -> Result<Changed, Error> {
    let counts = |record: &Record| {
        select::is_installed(record) && among.is_none_or(|among| among.contains(&record.node.hash))
    };
    let mut roots: Vec<DagHash> = Vec::new();
    for spec in specs {
        let hash = choose(sources, spec, &counts, first)?;
        if !roots.contains(&hash) {
            roots.push(hash);
        }
    }
    let loaded = sources.loaded_hashes(variables);
    let (again, rest): (Vec<DagHash>, Vec<DagHash>) =
        loaded.into_iter().partition(|hash| roots.contains(hash));
    let mut groups: Vec<&[DagHash]> = vec![&roots];
    groups.extend(again.iter().chain(&rest).filter(|_| !again.is_empty()).map(std::slice::from_ref));
    let mut loadings = sources.loading(&groups)?;
    let mut after = variables.clone();
    take_out(&again, &loadings[1..], &mut after);
    let Loading { mut modifications, told } = loadings.swap_remove(0);
    let hashes = roots.iter().map(|hash| Modification::new(LOADED, Edit::Prepend(hash.to_string())));
    modifications.extend(hashes);
    apply(&modifications, &mut after);
    let warnings = warnings(told.as_slice());
    Ok(Changed { packages: sources.found(&roots), variables: after, warnings })
}

/// Takes loaded packages out again: one for each spec, or all of them if there are no specs.
///
/// # Errors
/// If a spec is true of no loaded package, or of several.
pub fn unload(
    sources: &Sources<'_>,
    specs: &[AbstractSpec],
    variables: &Variables,
) -> Result<Changed, Error> {
    let loaded = sources.loaded_hashes(variables);
    let counts = |record: &Record| loaded.contains(&record.node.hash);
    let mut chosen: Vec<DagHash> = Vec::new();
    for spec in specs {
        let found = Selection::new(sources.database).one(spec, counts, "what is loaded")?;
        chosen.push(found.node.hash.clone());
    }
    let (gone, rest): (Vec<DagHash>, Vec<DagHash>) =
        loaded.iter().cloned().partition(|hash| specs.is_empty() || chosen.contains(hash));
    let groups: Vec<&[DagHash]> = gone.iter().chain(&rest).map(std::slice::from_ref).collect();
    let loadings = sources.loading(&groups)?;
    let mut after = variables.clone();
    take_out(&gone, &loadings, &mut after);
    let told: Vec<Told> = loadings.into_iter().take(gone.len()).filter_map(|loading| loading.told).collect();
    Ok(Changed { packages: sources.found(&gone), variables: after, warnings: warnings(&told) })
}

fn choose(
    sources: &Sources<'_>,
    spec: &AbstractSpec,
    counts: &dyn Fn(&Record) -> bool,
    first: bool,
) -> Result<DagHash, Error> {
    let place = sources.place();
    if first {
        let specs = [spec.clone()];
        let matches = crate::find::installed(sources.database, &specs, None, &place)?;
        let found = matches.records.into_iter().find(|record| counts(record));
        let missing = || Error::NoSuchSpec { spec: spec.to_string(), place };
        return Ok(found.ok_or_else(missing)?.node.hash.clone());
    }
    Ok(Selection::new(sources.database).one(spec, counts, &place)?.node.hash.clone())
}

/// Takes `gone` out, one after the other. `loadings` tells what loading does for each of them, and then for each of those that
/// stay: what these need stays.
fn take_out(gone: &[DagHash], loadings: &[Loading], variables: &mut Variables) {
    for (at, hash) in gone.iter().enumerate() {
        let staying: Vec<&[Modification]> =
            loadings[at + 1..].iter().map(|loading| loading.modifications.as_slice()).collect();
        for change in loadings[at].modifications.iter().rev() {
            let Some(reversed) = change.reversed() else { continue };
            match change.occurrences(variables) {
                Some(there) => {
                    let alike = |changes: &&[Modification]| changes.iter().filter(|c| *c == change).count();
                    if there > staying.iter().map(alike).max().unwrap_or_default() {
                        reversed.apply(variables);
                    }
                }
                None if staying.iter().any(|changes| changes.contains(change)) => {}
                None => reversed.apply(variables),
            }
        }
        // The same hash may have been put in more than once, by a Spack.
        Modification::new(LOADED, Edit::RemoveAll(hash.to_string())).apply(variables);
        if variables.get(LOADED).is_some_and(String::is_empty) {
            variables.remove(LOADED);
        }
    }
}

fn warnings(told: &[Told]) -> Vec<String> {
    run_environment::warnings(told)
}
