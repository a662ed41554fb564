//! `spack.lock`: the concrete specs of an environment, and what its user asked for.
//!
//! Versions 1 to 6 differ in the version of the nodes, and in the kind of hash by which nodes and roots are called; here all
//! are called by their DAG hash. Environments that are included bring their roots and nodes along.

mod write;

use crate::abstract_spec::AbstractSpec;
use crate::dag::NodeSource;
use crate::dag_hash::DagHash;
use crate::node::{InvalidNode, Node, rename_targets, without_position};
use crate::parse::SpecSyntaxError;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
pub use write::UnwritableLockfile;

/// The newest version of the format that is read.
pub const CURRENT_VERSION: u32 = 6;

/// How deeply environments can include each other: far more than anybody needs, and less than a stack holds.
const DEEPEST: usize = 32;

/// The JSON is not a lockfile.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLockfile {
    /// Not JSON of the expected shape.
    #[error("not a spack.lock: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A version that strata does not know.
    #[error(
        "it has version {0} of the format, which this strata does not know (it knows 1 to {CURRENT_VERSION})"
    )]
    UnknownVersion(u32),
    /// A node is not one.
    #[error("concrete spec {key}: {source}")]
    Node {
        /// Its key.
        key: DagHash,
        /// What is wrong with it.
        source: InvalidNode,
    },
    /// An environment that is included is not one.
    #[error("included environment `{name}`: {reason}")]
    Included {
        /// Its name: a path.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Environments include each other too deeply.
    #[error("environments include each other more than {DEEPEST} deep")]
    TooDeep,
    /// The concrete spec of a root, or what one was spliced from or depends on, is not there.
    #[error("{of} names {hash}, which is not among the concrete specs")]
    MissingNode {
        /// What names it.
        of: String,
        /// What it names.
        hash: DagHash,
    },
}

/// What a user asked for, and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The abstract spec as it was written.
    pub requested: String,
    /// The concrete one.
    pub hash: DagHash,
}

impl Root {
    /// The abstract spec.
    pub fn spec(&self) -> Result<AbstractSpec, SpecSyntaxError> {
        self.requested.parse()
    }
}

/// The lockfile of an environment.
#[derive(Clone, Debug)]
pub struct Lockfile {
    /// Version of the format.
    pub version: u32,
    /// What the user asked for, in order.
    pub roots: Vec<Root>,
    /// The roots of environments that are included, each under its path, in the order in which they are met.
    pub included: IndexMap<String, Vec<Root>>,
    /// What it says of the program that wrote it (`spack`), as JSON.
    provenance: Option<Box<RawValue>>,
    /// The environments that are included, as they are written, by path.
    include_concrete: IndexMap<String, Box<RawValue>>,
    nodes: IndexMap<DagHash, Node>,
}

impl Lockfile {
    /// Reads a lockfile.
    pub fn parse(json: &str) -> Result<Self, InvalidLockfile> {
        let meta = serde_json::from_str::<WireMetaOnly>(json)?.meta;
        let format = match meta.version {
            1 | 2 => 1,
            version @ 3..=CURRENT_VERSION => version - 1,
            other => return Err(InvalidLockfile::UnknownVersion(other)),
        };
        let wire: WireEnvironment<'_> = serde_json::from_str(json)?;
        let provenance = wire.provenance.map(ToOwned::to_owned);
        let include_concrete =
            wire.include_concrete.iter().map(|(path, json)| (path.clone(), (*json).to_owned())).collect();
        let mut reading = Reading { format, ..Reading::default() };
        let roots = reading.take(wire, 0)?;
        let lockfile = reading.finished(meta.version, roots)?;
        Ok(Self { provenance, include_concrete, ..lockfile })
    }

    /// Every node, in the order written.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }
}

impl NodeSource for Lockfile {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.nodes.get(hash)
    }
}

#[derive(Default)]
struct Reading {
    format: u32,
    nodes: IndexMap<DagHash, Node>,
    /// DAG hashes by whatever else nodes are called.
    names: HashMap<DagHash, DagHash>,
    included: IndexMap<String, Vec<Root>>,
}

impl Reading {
    /// Takes the nodes of an environment and of those it includes; gives its roots.
    fn take(&mut self, environment: WireEnvironment<'_>, depth: usize) -> Result<Vec<Root>, InvalidLockfile> {
        if depth > DEEPEST {
            return Err(InvalidLockfile::TooDeep);
        }
        for (key, json) in environment.concrete_specs {
            let read = Node::read(json, self.format, Some(&key));
            let read = read.map_err(|source| InvalidLockfile::Node { key: key.clone(), source })?;
            let hash = read.node.hash.clone();
            let names = read.other_names.into_iter().chain([key]).filter(|name| *name != hash);
            self.names.extend(names.map(|name| (name, hash.clone())));
            // Formats before 4 can hold several nodes of one DAG hash that differ in what builds them: one is enough.
            self.nodes.entry(hash).or_insert(read.node);
        }
        for (name, json) in environment.include_concrete {
            let included: WireEnvironment<'_> = serde_json::from_str(json.get()).map_err(|e| {
                InvalidLockfile::Included { name: name.clone(), reason: without_position(&e) }
            })?;
            self.included.entry(name.clone()).or_default();
            let roots = self.take(included, depth + 1)?;
            self.included.entry(name).or_default().extend(roots);
        }
        Ok(environment.roots.into_iter().map(|root| Root { requested: root.spec, hash: root.hash }).collect())
    }

    fn finished(mut self, version: u32, mut roots: Vec<Root>) -> Result<Lockfile, InvalidLockfile> {
        rename_targets(self.nodes.values_mut(), &self.names);
        for root in roots.iter_mut().chain(self.included.values_mut().flatten()) {
            if let Some(name) = self.names.get(&root.hash) {
                root.hash = name.clone();
            }
            if !self.nodes.contains_key(&root.hash) {
                let of = format!("root `{}`", root.requested);
                return Err(InvalidLockfile::MissingNode { of, hash: root.hash.clone() });
            }
        }
        for node in self.nodes.values() {
            let edges = node.dependencies.iter().map(|edge| &edge.hash);
            if let Some(hash) = edges.chain(&node.build_spec).find(|hash| !self.nodes.contains_key(*hash)) {
                return Err(InvalidLockfile::MissingNode { of: node.label(), hash: hash.clone() });
            }
        }
        let (provenance, include_concrete) = (None, IndexMap::new());
        Ok(Lockfile {
            version,
            roots,
            included: self.included,
            provenance,
            include_concrete,
            nodes: self.nodes,
        })
    }
}

#[derive(Deserialize)]
struct WireMetaOnly {
    #[serde(rename = "_meta")]
    meta: WireMeta,
}

#[derive(Deserialize)]
struct WireMeta {
    #[serde(rename = "lockfile-version")]
    version: u32,
}

#[derive(Deserialize)]
struct WireEnvironment<'j> {
    #[serde(borrow, default, rename = "spack")]
    provenance: Option<&'j RawValue>,
    roots: Vec<WireRoot>,
    #[serde(borrow, default)]
    concrete_specs: IndexMap<DagHash, &'j RawValue>,
    #[serde(borrow, default)]
    include_concrete: IndexMap<String, &'j RawValue>,
}

#[derive(Deserialize)]
struct WireRoot {
    hash: DagHash,
    spec: String,
}
