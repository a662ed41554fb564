//! Which packages a command is about that looks at what caches hold, and installs nothing.

use crate::error::Error;
use crate::explain::explain;
use crate::package_tag;
use crate::resolve::Stock;
use crate::resolve::candidates::matching;
use crate::select::Selection;
use serde::Serialize;
use strata_oci::TagName;
use strata_spec::host::Host;
use strata_spec::{AbstractSpec, DagHash, Database};

/// A package that a cache should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// `name@version/hash7`.
    pub label: String,
    /// DAG hash.
    pub hash: DagHash,
    /// The tag it should have.
    pub tag: TagName,
}

impl Package {
    pub(crate) fn new(name: &str, version: &str, hash: &DagHash) -> Result<Self, Error> {
        let label = strata_spec::label(name, version, hash);
        Ok(Self { label, hash: hash.clone(), tag: package_tag::named(name, version, hash.as_str())? })
    }
}

/// The packages that satisfy `spec` and that any of the mirrors has, whatever machine they are for.
///
/// # Errors
/// If there is none: what was nearest, or why a mirror could not be asked.
pub(crate) fn in_mirrors(stock: &mut Stock<'_>, spec: &AbstractSpec) -> Result<Vec<Package>, Error> {
    let nodes = matching(stock, spec).into_iter();
    let cached = nodes.filter(|node| stock.mirrors_with(node.hash()).next().is_some());
    let found = cached.map(|node| match DagHash::parse(node.hash()) {
        Ok(hash) => Package::new(node.name(), node.version(), &hash),
        Err(error) => Err(Error::BadRecord { package: node.label(), reason: error.to_string() }),
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(none(stock, spec, None));
    }
    Ok(found)
}

/// What it means that no mirror has `spec`: what was nearest on `host`, or on any machine; or what the only mirror said when
/// it could not be asked.
pub(crate) fn none(stock: &mut Stock<'_>, spec: &AbstractSpec, host: Option<&Host>) -> Error {
    stock.refusal().unwrap_or_else(|| Error::NoBinary(Box::new(explain(spec, host, stock))))
}

/// The one package of a store that `spec` means, installed or only recorded; none if the store knows nothing of the kind.
///
/// # Errors
/// If it means several, or an external one, which no cache has.
pub(crate) fn in_store(selection: &Selection<'_>, spec: &AbstractSpec) -> Result<Option<Package>, Error> {
    match selection.one(spec, |record| !record.node.is_external(), "this store") {
        Ok(record) => {
            let node = &record.node;
            Package::new(&node.name, &node.version, &node.hash).map(Some)
        }
        Err(Error::NoSuchSpec { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The packages of a store that a user asked for.
pub(crate) fn explicit(database: &Database) -> Result<Vec<Package>, Error> {
    let ours = database.records.values().filter(|r| crate::select::is_ours(r) && r.explicit);
    ours.map(|r| Package::new(&r.node.name, &r.node.version, &r.node.hash)).collect()
}
