//! What installing and uninstalling does to the records of a database (`_add` and `_remove` in Spack's
//! `database.py`). No I/O: these run inside [`crate::Store::transaction`].

use crate::layout;
use crate::root::StoreRoot;
use crate::upstream::Installed;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use strata_spec::dag::MissingNode;
use strata_spec::{DagHash, Database, DependencyTypes, Node, NodeSource, Record};

/// A package that is in its prefix now and is to be recorded.
#[derive(Clone, Debug)]
pub struct NewInstall<'n> {
    /// Its node.
    pub node: &'n Node,
    /// Where it lies.
    pub prefix: PathBuf,
    /// Whether a user asked for it by name.
    pub explicit: bool,
}

/// The database cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The DAG is not complete.
    #[error(transparent)]
    MissingNode(#[from] MissingNode),
    /// A spec of before Spack 1.0: in a database of version 8 it would make Spack refuse the whole database.
    #[error("{spec} is in a spec format older than version 5, which cannot be recorded in this database")]
    OldSpecFormat {
        /// The spec, as people read it.
        spec: String,
    },
    /// The database is JSON, and a path that is not UTF-8 cannot be written into it.
    #[error("the prefix {} is not UTF-8", path.display())]
    NotUtf8 {
        /// The prefix.
        path: PathBuf,
    },
    /// No record of that hash.
    #[error("{hash} is not in the database")]
    NotRecorded {
        /// The hash asked for.
        hash: DagHash,
    },
}

/// What records say beside the packages themselves.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'r> {
    /// The root of the store.
    pub root: &'r StoreRoot,
    /// The prefixes that packages would have; one that is not here has Spack's default.
    pub prefixes: &'r HashMap<DagHash, PathBuf>,
    /// What is installed in upstreams, which is not recorded here.
    pub below: &'r Installed,
    /// The time of installation, in seconds since the epoch.
    pub now: f64,
}

/// Records a batch of installs, in any order.
///
/// Every node of their DAGs is taken from `source` and recorded too, dependencies first, as Spack does: externals as
/// installed, at their own path; what else is not in the batch, build dependencies above all, as not installed, with
/// the path it would have. What is installed in an upstream gets no record, and nothing that only it needs.
/// References are counted along every edge. A record that exists keeps its references and is
/// revived: installed, at the new time and prefix, explicit or not as asked now.
pub fn record_installs(
    database: &mut Database,
    recording: &Recording<'_>,
    source: &impl NodeSource,
    installs: &[NewInstall<'_>],
) -> Result<(), RegistrationError> {
    let Recording { root, prefixes, below, now } = *recording;
    let mut paths = HashMap::with_capacity(installs.len());
    for install in installs {
        let path = install
            .prefix
            .to_str()
            .ok_or_else(|| RegistrationError::NotUtf8 { path: install.prefix.clone() })?;
        paths.insert(&install.node.hash, (path, install.explicit));
    }
    let already = database.records.len();
    for install in installs {
        if let Some(record) = database.records.get_mut(&install.node.hash) {
            record.installed = true;
            record.explicit = install.explicit;
            record.path = install.prefix.to_str().map(str::to_owned);
            record.installation_time = Some(now);
            continue;
        }
        // A package of the batch is recorded, wherever else it is.
        let is_elsewhere =
            |hash: &DagHash| !paths.contains_key(hash) && below.installed_upstream(hash).is_some();
        database.add_with_dependencies_but(source, &install.node.hash, &is_elsewhere, &|node| {
            let mut record = Record::new(node.clone());
            record.installation_time = Some(now);
            if let Some((path, explicit)) = paths.get(&node.hash) {
                record.path = Some((*path).to_owned());
                record.explicit = *explicit;
                record.installed = true;
            } else {
                // The root was UTF-8, or no prefix would have been.
                let prefix = prefixes.get(&node.hash).cloned().or_else(|| layout::default_prefix(root, node));
                record.path = prefix.map(|path| path.to_string_lossy().into_owned());
                record.installed = node.is_external();
            }
            record
        })?;
    }
    match database.records.values().skip(already).find(|record| !is_recordable(&record.node)) {
        Some(record) => Err(RegistrationError::OldSpecFormat { spec: record.node.label() }),
        None => Ok(()),
    }
}

/// Takes an uninstalled spec out of the database, and says whether its record is gone: while others refer to it, it
/// stays as not installed. With it go the records of dependencies that nothing refers to and that are not installed.
pub fn record_removal(database: &mut Database, hash: &DagHash) -> Result<bool, RegistrationError> {
    let record = database
        .records
        .get_mut(hash)
        .ok_or_else(|| RegistrationError::NotRecorded { hash: hash.clone() })?;
    record.installed = false;
    if record.ref_count > 0 {
        return Ok(false);
    }
    let mut gone = vec![hash.clone()];
    while let Some(hash) = gone.pop() {
        let Some(record) = database.records.shift_remove(&hash) else { continue };
        for target in references(&record) {
            // Absent if it is in an upstream store.
            let Some(dependency) = database.records.get_mut(&target) else { continue };
            dependency.ref_count = dependency.ref_count.saturating_sub(1);
            if dependency.ref_count == 0 && !dependency.installed {
                gone.push(target);
            }
        }
    }
    Ok(true)
}

/// The installed specs that need any of `hashes` to link or run, directly or not, themselves left out: those that
/// must go first, or too.
pub fn installed_dependents<'d>(database: &'d Database, hashes: &[DagHash]) -> Vec<&'d Record> {
    let mut parents: HashMap<&DagHash, Vec<&Record>> = HashMap::new();
    for record in database.records.values() {
        for edge in &record.node.dependencies {
            if edge.types.intersects(DependencyTypes::RUNTIME) {
                parents.entry(&edge.hash).or_default().push(record);
            }
        }
    }
    let mut seen: HashSet<&DagHash> = hashes.iter().collect();
    let mut dependents = Vec::new();
    let mut waiting: Vec<&DagHash> = hashes.iter().collect();
    while let Some(hash) = waiting.pop() {
        for &record in parents.get(hash).map_or(&[][..], Vec::as_slice) {
            if seen.insert(&record.node.hash) {
                waiting.push(&record.node.hash);
                if record.installed {
                    dependents.push(record);
                }
            }
        }
    }
    dependents
}

/// What a record counts as a reference to: its dependencies of every type, and the spec that replaces it.
fn references(record: &Record) -> Vec<DagHash> {
    let edges = record.node.dependencies.iter().map(|edge| edge.hash.clone());
    edges.chain(record.deprecated_for.clone()).collect()
}

/// Whether a database may hold the node, which is whether Spack's reader of version 5 nodes accepts it: no compiler outside the annotations, and edges with
/// `parameters` (`SpecfileV5` in Spack's `spec.py`).
pub fn is_recordable(node: &Node) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        annotations: Option<IgnoredAny>,
        compiler: Option<IgnoredAny>,
        #[serde(default, rename = "dependencies")]
        _edges: Vec<EdgeShape>,
    }
    #[derive(Deserialize)]
    struct EdgeShape {
        #[serde(rename = "parameters")]
        _parameters: IgnoredAny,
    }
    serde_json::from_str::<Shape>(node.json())
        .is_ok_and(|shape| shape.annotations.is_some() || shape.compiler.is_none())
}
