//! `verify`: whether the files of installed packages are still what was installed.

mod cached;

use crate::error::Error;
use crate::find;
use crate::parallel;
use crate::report::Reporter;
use crate::resolve::Mirror;
use crate::select::{self, Selection};
use serde::Serialize;
use std::path::{Path, PathBuf};
use strata_layer::libraries::{self, Problem};
use strata_spec::{AbstractSpec, DagHash, Database, Record};
use strata_store::verify::Difference;
use strata_store::{Installed, Store, verify_manifest};

/// What files are compared with.
#[derive(Clone, Copy)]
pub enum Against<'m> {
    /// The manifest that was written when the package was installed.
    Manifest,
    /// The layer of the package in one of these caches, unpacked and relocated once more. Whoever changes files of a store
    /// may change its manifests as well.
    Caches(&'m [Mirror]),
}

/// A package that was looked at.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// Where it is.
    pub prefix: PathBuf,
    /// What is not as it was, by path.
    pub differences: Vec<Difference>,
    /// Why it could not be looked at.
    #[serde(skip)]
    pub error: Option<Error>,
}

/// A package whose libraries were looked for.
#[derive(Debug, Serialize)]
pub struct Linked {
    /// `name@version/hash7`.
    pub package: String,
    /// Where it is.
    pub prefix: PathBuf,
    /// What is wrong with its files.
    pub problems: Vec<Problem>,
}

impl Verified {
    /// `name@version/hash7`.
    pub fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }
}

/// The packages that are meant: one for each spec, unless `all` that satisfy it are; without specs, every package that has a
/// prefix of ours.
///
/// # Errors
/// If a spec means none, or several and not `all` were asked for.
pub fn meant<'d>(
    database: &'d Database,
    specs: &[AbstractSpec],
    all: bool,
    place: &str,
) -> Result<Vec<&'d Record>, Error> {
    if all || specs.is_empty() {
        let mut matches = find::installed(database, specs, None, place)?;
        if let Some(spec) = matches.unmatched.pop() {
            return Err(Error::NoSuchSpec { spec, place: place.to_owned() });
        }
        matches.records.retain(|record| select::is_ours(record));
        return Ok(matches.records);
    }
    let selection = Selection::new(database);
    specs.iter().map(|spec| selection.one(spec, select::is_ours, place)).collect()
}

/// Looks at packages, `jobs` at the same time; in their order. What they depend on may be in any store of `installed`.
///
/// # Errors
/// None of a single package: those are part of the result.
pub fn verify(
    store: &Store,
    installed: &Installed,
    records: &[&Record],
    against: Against<'_>,
    jobs: usize,
    reporter: &dyn Reporter,
) -> Result<Vec<Verified>, Error> {
    parallel::map(records, jobs.max(1), |record| {
        let prefix = PathBuf::from(record.path.clone().unwrap_or_default());
        let differences = match against {
            _ if !prefix.is_dir() => Err(Error::PrefixMissing { prefix: prefix.clone() }),
            Against::Manifest => Ok(verify_manifest(&prefix)),
            Against::Caches(mirrors) => {
                cached::compare(store, installed.database(), &record.node, &prefix, mirrors, reporter)
            }
        };
        let node = &record.node;
        let (differences, error) = match differences {
            Ok(differences) => (differences, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let (name, version, hash) = (node.name.clone(), node.version.clone(), node.hash.clone());
        Ok(Verified { name, version, hash, prefix, differences, error })
    })
}

/// Looks whether the libraries that files need are found by the paths in those files, `jobs` packages at the same time.
///
/// # Errors
/// None: what cannot be read is passed over.
pub fn verify_libraries(records: &[&Record], jobs: usize) -> Result<Vec<Linked>, Error> {
    parallel::map(records, jobs.max(1), |record| {
        let prefix = PathBuf::from(record.path.clone().unwrap_or_default());
        let problems = libraries::problems(Path::new(&prefix));
        Ok(Linked { package: record.node.label(), prefix, problems })
    })
}
