//! Which packages a push is about: selected, with their runtime closure, and not in the cache yet.

use super::Failure;
use crate::error::Error;
use crate::package_tag;
use crate::parallel;
use crate::report::{Event, Reporter};
use crate::select::{self, Selection};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use strata_oci::{Repository, TagName};
use strata_spec::{AbstractSpec, DagHash, Database, Node, closure};

/// Which part of the closure to push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Roots and dependencies.
    #[default]
    Everything,
    /// The roots alone.
    Package,
    /// The dependencies alone.
    Dependencies,
}

/// What to push.
#[derive(Debug, Default)]
pub struct PushRequest {
    /// The roots, each of which must mean one package of the store; none means every explicitly installed package.
    pub specs: Vec<AbstractSpec>,
    /// Which part of their closure.
    pub only: Only,
    /// Push again what the cache has already.
    pub force: bool,
    /// Packages packed at the same time, and threads that compress.
    pub jobs: usize,
    /// `archive_timestamp` for every package (`SOURCE_DATE_EPOCH`); its time of installation otherwise.
    pub timestamp: Option<jiff::Timestamp>,
    /// Another repository of the same registry, by its name there, that may have some of the layers.
    pub mount_from: Option<String>,
    /// A directory for what is needed to go on after an interruption; nothing is kept without one.
    pub journals: Option<PathBuf>,
}

/// A package that will be pushed.
#[derive(Debug, Serialize)]
pub struct Planned {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// The tag it gets.
    pub tag: String,
    /// Where it is installed.
    pub prefix: PathBuf,
}

impl Planned {
    /// `name@version/hash7`.
    pub fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }
}

/// A package of the closure that is recorded but cannot be packed.
#[derive(Clone, Debug, Serialize)]
pub struct Unavailable {
    /// Label of the package.
    pub package: String,
    /// Why not.
    pub reason: String,
}

impl Unavailable {
    fn new(node: &Node, reason: &str) -> Self {
        Self { package: node.label(), reason: reason.to_owned() }
    }
}

/// What a push would do.
#[derive(Debug, Serialize)]
pub struct PushPlan {
    /// What will be packed and uploaded, dependencies first.
    pub to_push: Vec<Planned>,
    /// Labels of what the cache has already.
    pub present: Vec<String>,
    #[serde(skip)]
    pub(super) present_hashes: HashSet<DagHash>,
    /// What is recorded but not installed.
    pub unavailable: Vec<Unavailable>,
    /// What is recorded as installed and is not there.
    pub failed: Vec<Failure>,
}

/// Selects what to push from `database` and asks the cache what it has.
pub fn plan(
    database: &Database,
    repository: &dyn Repository,
    request: &PushRequest,
    reporter: &dyn Reporter,
) -> Result<PushPlan, Error> {
    let (nodes, mut unavailable) = selected(database, request)?;
    let (mut candidates, mut failed) = (Vec::new(), Vec::new());
    for node in nodes {
        let record = database.records.get(&node.hash).filter(|record| record.installed);
        let prefix = record.and_then(|record| record.path.as_ref()).map(PathBuf::from);
        match (record, prefix) {
            (_, Some(prefix)) if prefix.is_dir() => candidates.push((node, prefix)),
            (_, Some(prefix)) => {
                failed.push(Failure::new(node.label(), Error::PrefixMissing { prefix }));
            }
            (Some(_), None) => unavailable.push(Unavailable::new(node, "its record has no path")),
            (None, _) => unavailable.push(Unavailable::new(node, "recorded, but not installed")),
        }
    }
    if candidates.is_empty() && failed.is_empty() && !unavailable.is_empty() {
        return Err(Error::NothingInstalled { packages: unavailable });
    }

    let present_hashes = if request.force {
        HashSet::new()
    } else {
        reporter.event(Event::Phase("Checking what the cache has"));
        let tags: Vec<(DagHash, TagName)> = candidates
            .iter()
            .map(|(node, _)| Ok((node.hash.clone(), package_tag::of(node)?)))
            .collect::<Result<_, Error>>()?;
        present_among(repository, &tags)?
    };
    let (mut to_push, mut present) = (Vec::new(), Vec::new());
    for (node, prefix) in candidates {
        if present_hashes.contains(&node.hash) {
            present.push(node.label());
        } else {
            to_push.push(Planned {
                name: node.name.clone(),
                version: node.version.clone(),
                hash: node.hash.clone(),
                tag: package_tag::of(node)?.to_string(),
                prefix,
            });
        }
    }
    Ok(PushPlan { to_push, present, present_hashes, unavailable, failed })
}

/// The nodes to push, dependencies before dependents, externals left out; and the roots that are recorded only.
fn selected<'d>(
    database: &'d Database,
    request: &PushRequest,
) -> Result<(Vec<&'d Node>, Vec<Unavailable>), Error> {
    let mut roots: Vec<&Node> = Vec::new();
    let mut unavailable = Vec::new();
    if request.specs.is_empty() {
        let explicit = database.records.values().filter(|record| select::is_ours(record) && record.explicit);
        roots.extend(explicit.map(|record| &record.node));
        return Ok((closed(database, roots, request.only)?, unavailable));
    }
    let selection = Selection::new(database);
    for spec in &request.specs {
        let place = "this store";
        match selection.one(spec, select::is_ours, place) {
            Ok(record) => roots.push(&record.node),
            Err(error @ Error::NoSuchSpec { .. }) => {
                // Recorded, but not installed, is not a typing error: list it and go on with the rest.
                match selection.one(spec, |_| true, place) {
                    Ok(record) if record.node.is_external() => unavailable.push(Unavailable::new(
                        &record.node,
                        "an external package: it has no prefix of ours",
                    )),
                    Ok(record) => {
                        unavailable.push(Unavailable::new(&record.node, "recorded, but not installed"));
                    }
                    Err(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok((closed(database, roots, request.only)?, unavailable))
}

/// The part of the closure of `roots` that is to be pushed, dependencies before dependents.
fn closed<'d>(database: &'d Database, roots: Vec<&'d Node>, only: Only) -> Result<Vec<&'d Node>, Error> {
    let mut nodes = match only {
        Only::Package => {
            let mut seen = HashSet::new();
            roots.into_iter().filter(|n| seen.insert(&n.hash)).collect()
        }
        Only::Everything => closure(database, &roots)?,
        Only::Dependencies => {
            let hashes: HashSet<&DagHash> = roots.iter().map(|n| &n.hash).collect();
            let mut nodes = closure(database, &roots)?;
            nodes.retain(|n| !hashes.contains(&n.hash));
            nodes
        }
    };
    nodes.reverse();
    Ok(nodes)
}

/// Which of the tagged packages the cache has. "Not found" is an answer; anything else is an error.
fn present_among(
    repository: &dyn Repository,
    tags: &[(DagHash, TagName)],
) -> Result<HashSet<DagHash>, Error> {
    let found = parallel::map(tags, parallel::REQUESTS, |(hash, tag)| {
        Ok::<_, Error>(repository.resolve(tag)?.map(|_| hash.clone()))
    })?;
    Ok(found.into_iter().flatten().collect())
}
