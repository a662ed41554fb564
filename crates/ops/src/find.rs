//! `find` and `location`: what is installed, and where.

use crate::error::Error;
use crate::select;
use serde::Serialize;
use std::path::PathBuf;
use strata_spec::{DagHash, Database, Record, Selector, format};

/// A package, installed or in a cache.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// Where it is installed; none for a package of a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PathBuf>,
    /// Whether a user asked for it; none for a package of a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explicit: Option<bool>,
    /// The spec in Spack's canonical form.
    pub spec: String,
    /// `linux-debian12-x86_64_v3`.
    pub architecture: String,
}

impl Found {
    fn new(record: &Record) -> Self {
        let node = &record.node;
        let architecture = &node.architecture;
        Self {
            name: node.name.clone(),
            version: node.version.clone(),
            hash: node.hash.clone(),
            prefix: record.path.as_ref().map(PathBuf::from),
            explicit: record.path.as_ref().map(|_| record.explicit),
            spec: format::canonical(node),
            architecture: format!("{}-{}-{}", architecture.platform, architecture.os, architecture.target),
        }
    }
}

/// The installed, non-external packages that match any of `selectors` (all if there are none), by name, version and
/// hash. A selector that matches nothing is an error.
pub fn installed(database: &Database, selectors: &[Selector], place: &str) -> Result<Vec<Found>, Error> {
    matching(select::installed(database).collect(), selectors, place)
}

/// The packages of caches that match, from their indexes; each once. A selector that matches nothing in any of them is an
/// error.
pub fn in_caches(indexes: &[Database], selectors: &[Selector], place: &str) -> Result<Vec<Found>, Error> {
    let records = indexes.iter().flat_map(|index| index.records.values());
    let mut found = matching(records.filter(|record| record.in_buildcache).collect(), selectors, place)?;
    found.dedup_by(|a, b| a.hash == b.hash);
    Ok(found)
}

fn matching(records: Vec<&Record>, selectors: &[Selector], place: &str) -> Result<Vec<Found>, Error> {
    for selector in selectors {
        if !records.iter().any(|record| selector.matches(&record.node)) {
            return Err(Error::NoSuchSpec { spec: selector.to_string(), place: place.to_owned() });
        }
    }
    let wanted = |record: &&Record| selectors.is_empty() || selectors.iter().any(|s| s.matches(&record.node));
    let mut found: Vec<Found> = records.into_iter().filter(wanted).map(Found::new).collect();
    sort(&mut found);
    Ok(found)
}

/// Sorts by name, version and hash.
fn sort(found: &mut [Found]) {
    found.sort_by(|a, b| (&a.name, &a.version, &a.hash).cmp(&(&b.name, &b.version, &b.hash)));
}

/// The one installed package a selector means.
pub fn one(database: &Database, selector: &Selector, place: &str) -> Result<Found, Error> {
    Ok(Found::new(select::one(select::installed(database), selector, place)?))
}
