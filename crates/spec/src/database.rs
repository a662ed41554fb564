//! The database of an install tree and the index of a build cache: the same JSON with different records.
//!
//! `{"database": {"version": "8", "installs": {HASH: {"spec": NODE, "ref_count": …, …}}}}`, Spack's `database.py`.

use crate::dag::NodeSource;
use crate::dag_hash::DagHash;
use crate::node::{Node, ReadNode, without_position};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The version strata writes.
pub const CURRENT_VERSION: u32 = 8;
/// The oldest version strata reads.
pub const OLDEST_VERSION: u32 = 5;

/// The JSON is not a database.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDatabase {
    /// Not JSON of the expected shape.
    #[error("not a Spack database: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A version strata does not know.
    #[error("database version {0} is not understood ({OLDEST_VERSION} to {CURRENT_VERSION} are)")]
    UnknownVersion(String),
    /// One record is not one.
    #[error("record {hash}: {reason}")]
    Record {
        /// Key of the record.
        hash: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is known of one spec. Fields that the file at hand does not have keep their default.
#[derive(Clone, Debug)]
pub struct Record {
    /// The spec.
    pub node: Node,
    /// How many recorded specs depend on it.
    pub ref_count: u64,
    /// Where it is installed, or the path of an external.
    pub path: Option<String>,
    /// Whether it is there; false for what only the DAG names.
    pub installed: bool,
    /// Whether a user asked for it.
    pub explicit: bool,
    /// Seconds since the epoch.
    pub installation_time: Option<f64>,
    /// The spec that replaces it.
    pub deprecated_for: Option<DagHash>,
    /// In an index: whether the cache has its binary.
    pub in_buildcache: bool,
    /// Keys that strata does not know, kept for writing.
    pub other: Map<String, Value>,
}

impl Record {
    /// A record of `node` with every other field at its default.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            ref_count: 0,
            path: None,
            installed: false,
            explicit: false,
            installation_time: None,
            deprecated_for: None,
            in_buildcache: false,
            other: Map::new(),
        }
    }
}

/// A database or an index: records by DAG hash, in the order of the file.
#[derive(Clone, Debug)]
pub struct Database {
    /// Version of the format the nodes are in.
    pub version: u32,
    /// The records.
    pub records: IndexMap<DagHash, Record>,
}

impl Default for Database {
    fn default() -> Self {
        Self { version: CURRENT_VERSION, records: IndexMap::new() }
    }
}

/// The version of a database, if it is one that is understood.
pub(crate) fn known_version(version: &Value) -> Result<u32, InvalidDatabase> {
    let version = match version {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let number = version.parse().ok().filter(|v| (OLDEST_VERSION..=CURRENT_VERSION).contains(v));
    number.ok_or(InvalidDatabase::UnknownVersion(version))
}

impl NodeSource for Database {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.records.get(hash).map(|record| &record.node)
    }
}

impl Database {
    /// Reads a database or an index.
    pub fn parse(json: &str) -> Result<Self, InvalidDatabase> {
        let file: WireFile<'_> = serde_json::from_str(json)?;
        let number = known_version(&file.database.version)?;
        let mut records = IndexMap::with_capacity(file.database.installs.len());
        for (key, json) in file.database.installs {
            let invalid = |reason: String| InvalidDatabase::Record { hash: key.clone(), reason };
            let hash = DagHash::parse(&key).map_err(|e| invalid(e.to_string()))?;
            let wire: WireRecord<'_> =
                serde_json::from_str(json.get()).map_err(|e| invalid(without_position(&e)))?;
            let node = Node::read(wire.spec, node_version(number), Some(&hash));
            let ReadNode { mut node, .. } = node.map_err(|e| invalid(e.to_string()))?;
            // The key is what everything else in the file calls it.
            node.hash = hash.clone();
            records.insert(hash, wire.into_record(node));
        }
        Ok(Self { version: number, records })
    }

    /// The version of `spec.json` that the nodes are in.
    pub fn spec_version(&self) -> u32 {
        // Nodes of version 1 are brought into the form of version 2 when they are read.
        node_version(self.version).max(2)
    }

    /// The JSON of an install tree's database, with the fields and the order that Spack writes.
    pub fn to_store_json(&self) -> String {
        self.to_json(|record, out| {
            push_field(out, "ref_count", &record.ref_count);
            push_field(out, "path", &record.path);
            push_field(out, "installed", &record.installed);
            push_field(out, "explicit", &record.explicit);
            push_field(out, "installation_time", &record.installation_time);
            push_field(out, "deprecated_for", &record.deprecated_for);
            if record.in_buildcache {
                push_field(out, "in_buildcache", &true);
            }
        })
    }

    /// The JSON of a build cache index: `ref_count` and `in_buildcache` beside each spec.
    pub fn to_index_json(&self) -> String {
        self.to_json(|record, out| {
            push_field(out, "ref_count", &record.ref_count);
            push_field(out, "in_buildcache", &record.in_buildcache);
        })
    }

    fn to_json(&self, fields: impl Fn(&Record, &mut String)) -> String {
        let mut out = format!("{{\"database\":{{\"version\":\"{}\",\"installs\":{{", self.version);
        for (number, (hash, record)) in self.records.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            out.push_str(&format!("\"{hash}\":{{\"spec\":{}", record.node.json()));
            fields(record, &mut out);
            for (key, value) in &record.other {
                push_field(&mut out, key, value);
            }
            out.push('}');
        }
        out.push_str("}}}");
        out
    }

    /// Adds a spec and, before it, those of its dependencies that are not recorded yet; counts the references.
    /// The nodes come from `source`, which must hold them all; the records are made by `record`. Existing
    /// records stay as they are. (Spack's `Database._add`, as far as order and counts go.)
    pub fn add_with_dependencies(
        &mut self,
        source: &impl NodeSource,
        hash: &DagHash,
        record: &impl Fn(&Node) -> Record,
    ) -> Result<(), crate::dag::MissingNode> {
        self.add_with_dependencies_but(source, hash, &|_| false, record)
    }

    /// The same without those that `is_elsewhere`, and without what only they depend on: another database has them.
    pub fn add_with_dependencies_but(
        &mut self,
        source: &impl NodeSource,
        hash: &DagHash,
        is_elsewhere: &impl Fn(&DagHash) -> bool,
        record: &impl Fn(&Node) -> Record,
    ) -> Result<(), crate::dag::MissingNode> {
        if self.records.contains_key(hash) {
            return Ok(());
        }
        // Depth first with an explicit stack: (node, next edge). A DAG can be deeper than a thread's stack likes.
        let Some(root) = source.node(hash) else {
            return Err(crate::dag::MissingNode {
                dependent: "the index".to_owned(),
                name: "a spec".to_owned(),
                hash: hash.clone(),
            });
        };
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            if let Some(edge) = node.dependencies.get(next) {
                stack.push((node, next + 1));
                if !self.records.contains_key(&edge.hash) && !is_elsewhere(&edge.hash) {
                    let below = source.node(&edge.hash).ok_or_else(|| crate::dag::MissingNode {
                        dependent: node.label(),
                        name: edge.name.clone(),
                        hash: edge.hash.clone(),
                    })?;
                    stack.push((below, 0));
                }
            } else if !self.records.contains_key(&node.hash) {
                for edge in &node.dependencies {
                    if let Some(dependency) = self.records.get_mut(&edge.hash) {
                        dependency.ref_count += 1;
                    }
                }
                self.records.insert(node.hash.clone(), record(node));
            }
        }
        Ok(())
    }
}

/// The version of `spec.json` that the nodes in a database are written in.
fn node_version(database_version: u32) -> u32 {
    match database_version {
        5 => 1,
        6 => 3,
        7 => 4,
        _ => crate::spec_json::CURRENT_VERSION,
    }
}

fn push_field(out: &mut String, key: &str, value: &impl Serialize) {
    // Numbers, strings, Booleans and JSON values always serialise.
    let value = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    out.push_str(&format!(",{}:{value}", Value::from(key)));
}

#[derive(Deserialize)]
struct WireFile<'j> {
    #[serde(borrow)]
    database: WireDatabase<'j>,
}

#[derive(Deserialize)]
struct WireDatabase<'j> {
    version: Value,
    #[serde(borrow)]
    installs: IndexMap<String, &'j RawValue>,
}

#[derive(Deserialize)]
struct WireRecord<'j> {
    #[serde(borrow)]
    spec: &'j RawValue,
    #[serde(default)]
    ref_count: u64,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    installed: bool,
    #[serde(default)]
    explicit: Option<bool>,
    #[serde(default)]
    installation_time: Option<f64>,
    #[serde(default)]
    deprecated_for: Option<DagHash>,
    #[serde(default)]
    in_buildcache: bool,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl WireRecord<'_> {
    fn into_record(self, node: Node) -> Record {
        Record {
            node,
            ref_count: self.ref_count,
            // Old databases write the text "None" for externals without a path.
            path: self.path.filter(|path| path != "None"),
            installed: self.installed,
            explicit: self.explicit.unwrap_or(false),
            installation_time: self.installation_time,
            deprecated_for: self.deprecated_for,
            in_buildcache: self.in_buildcache,
            other: self.other,
        }
    }
}
