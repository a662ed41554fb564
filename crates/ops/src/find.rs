//! `find` and `location`: what is installed, and where.

use crate::error::Error;
use crate::select::{self, Selection};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use strata_spec::{AbstractSpec, DagHash, Database, Node, Record, Version, format};
use strata_store::Installed;

/// A package that is installed.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Package name.
    pub name: String,
    /// Namespace of the recipe.
    pub namespace: Option<String>,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// Where it is installed.
    pub prefix: Option<PathBuf>,
    /// Whether a user asked for it.
    pub explicit: bool,
    /// Whether it was not built by Spack.
    pub external: bool,
    /// The spec in Spack's canonical form.
    pub spec: String,
    /// `linux-debian12-x86_64_v3`.
    pub architecture: String,
    /// The name of the upstream store that it is installed in; none if it is in the store itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// As the format string that was asked for has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// The edges to its dependencies, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<FoundDependency>>,
}

/// An edge of a package that was found.
#[derive(Clone, Debug, Serialize)]
pub struct FoundDependency {
    /// Package name.
    pub name: String,
    /// DAG hash.
    pub hash: DagHash,
    /// What it is needed for.
    pub types: Vec<&'static str>,
    /// The virtual packages it provides.
    pub virtuals: Vec<String>,
}

impl Found {
    /// What there is to say of a record.
    pub fn new(record: &Record) -> Self {
        let node = &record.node;
        let architecture = &node.architecture;
        Self {
            name: node.name.clone(),
            namespace: node.namespace.clone(),
            version: node.version.clone(),
            hash: node.hash.clone(),
            prefix: record.path.as_ref().map(PathBuf::from),
            explicit: record.explicit,
            external: node.is_external(),
            spec: format::canonical(node),
            architecture: format!("{}-{}-{}", architecture.platform, architecture.os, architecture.target),
            upstream: None,
            formatted: None,
            dependencies: None,
        }
    }

    /// The same with the upstream store that it is in, if it is in one.
    pub fn within(self, installed: &Installed) -> Self {
        let upstream = installed.installed_upstream(&self.hash).map(|upstream| upstream.name().to_owned());
        Self { upstream, ..self }
    }

    /// The same with its edges.
    pub fn with_dependencies(self, node: &Node) -> Self {
        let edges = node.dependencies.iter().map(|edge| FoundDependency {
            name: edge.name.clone(),
            hash: edge.hash.clone(),
            types: edge.types.names().collect(),
            virtuals: edge.virtuals.clone(),
        });
        Self { dependencies: Some(edges.collect()), ..self }
    }
}

/// What answers a question, and what does not.
#[derive(Debug)]
pub struct Matches<'d> {
    /// The records, by name, version and hash; each once.
    pub records: Vec<&'d Record>,
    /// The specs that none of them satisfies.
    pub unmatched: Vec<String>,
}

/// The installed packages, externals included, that satisfy any of `specs` (all if there are none). `explicit` leaves out
/// those that a user did not ask for, or did.
///
/// # Errors
/// If there are specs, and nothing satisfies any of them.
pub fn installed<'d>(
    database: &'d Database,
    specs: &[AbstractSpec],
    explicit: Option<bool>,
    place: &str,
) -> Result<Matches<'d>, Error> {
    let eligible = |record: &Record| {
        select::is_installed(record) && explicit.is_none_or(|explicit| record.explicit == explicit)
    };
    let matches = matching(database, specs, eligible);
    if matches.records.is_empty() && !specs.is_empty() {
        return Err(Error::NoSuchSpec { spec: matches.unmatched.join("`, `"), place: place.to_owned() });
    }
    Ok(matches)
}

/// As [`installed`], of the packages of an environment alone: first those that are installed, then those that are not, whether
/// a user asked for them or not. An external is installed if the store has a record of it, as for Spack.
///
/// # Errors
/// If there are specs, and nothing in the environment satisfies any of them.
pub fn of_environment<'d>(
    database: &'d Database,
    specs: &[AbstractSpec],
    explicit: Option<bool>,
    hashes: &HashSet<DagHash>,
    name: &str,
) -> Result<(Matches<'d>, Vec<&'d Record>), Error> {
    let is_asked = |record: &Record| explicit.is_none_or(|explicit| record.explicit == explicit);
    let eligible = |record: &Record| {
        hashes.contains(&record.node.hash) && (!select::is_installed(record) || is_asked(record))
    };
    let mut matches = matching(database, specs, eligible);
    if matches.records.is_empty() && !specs.is_empty() {
        let (spec, name) = (matches.unmatched.join("`, `"), name.to_owned());
        return Err(Error::NotInEnvironment { spec, name });
    }
    let (there, missing) = matches.records.into_iter().partition(|record| select::is_installed(record));
    matches.records = there;
    Ok((matches, missing))
}

/// The installed packages, externals included, that satisfy any of `specs`; it is no error if there are none.
pub fn matches<'d>(database: &'d Database, specs: &[AbstractSpec]) -> Matches<'d> {
    matching(database, specs, select::is_installed)
}

fn matching<'d>(
    database: &'d Database,
    specs: &[AbstractSpec],
    eligible: impl Fn(&Record) -> bool,
) -> Matches<'d> {
    let selection = Selection::new(database);
    let everything = [AbstractSpec::default()];
    let questions = if specs.is_empty() { &everything[..] } else { specs };
    let mut found = HashMap::new();
    let mut unmatched = Vec::new();
    for spec in questions {
        let records = selection.matching(spec, &eligible);
        if records.is_empty() && !specs.is_empty() {
            unmatched.push(spec.to_string());
        }
        found.extend(records.into_iter().map(|record| (&record.node.hash, record)));
    }
    let mut records: Vec<(Option<Version>, &Record)> =
        found.into_values().map(|record| (record.node.version.parse().ok(), record)).collect();
    records.sort_by(|(a_version, a), (b_version, b)| {
        let (a, b) = (&a.node, &b.node);
        a.name.cmp(&b.name).then_with(|| a_version.cmp(b_version)).then_with(|| a.hash.cmp(&b.hash))
    });
    Matches { records: records.into_iter().map(|(_, record)| record).collect(), unmatched }
}

/// The one installed package a spec means.
pub fn one(database: &Database, spec: &AbstractSpec, place: &str) -> Result<Found, Error> {
    Ok(Found::new(Selection::new(database).one(spec, select::is_installed, place)?))
}
