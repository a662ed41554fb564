//! Writing `spack.lock` as Spack does: the same keys in the same order, nodes in the order in which the roots lead to them,
//! and no white space.
//!
//! Nodes are passed on as text, what nobody here knows of included, and so is what was written of included environments.

use super::{CURRENT_VERSION, Lockfile, Root};
use crate::dag::{DependencyTypes, MissingNode, NodeSource, dependencies, preorder};
use crate::dag_hash::DagHash;
use crate::minify::minify;
use crate::node::Node;
use crate::spec_json;
use crate::upgrade;
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Why a lockfile cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum UnwritableLockfile {
    /// A node, or one that it depends on, is not there.
    #[error(transparent)]
    MissingNode(#[from] MissingNode),
    /// A root is not there.
    #[error("root `{requested}` has no concrete spec")]
    MissingRoot {
        /// As what it was asked for.
        requested: String,
    },
    /// A node of an old format that the current one has no place for.
    #[error(
        "{package} was written in a format that version {CURRENT_VERSION} of spack.lock has no place for"
    )]
    OldNode {
        /// Its label.
        package: String,
    },
    /// JSON that should always serialise did not.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct WireLockfile<'l> {
    #[serde(rename = "_meta")]
    meta: WireMeta,
    #[serde(skip_serializing_if = "Option::is_none")]
    spack: Option<&'l RawValue>,
    roots: Vec<WireRoot<'l>>,
    concrete_specs: IndexMap<&'l DagHash, Box<RawValue>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    include_concrete: IndexMap<&'l str, Box<RawValue>>,
}

#[derive(Serialize)]
struct WireMeta {
    #[serde(rename = "file-type")]
    file_type: &'static str,
    #[serde(rename = "lockfile-version")]
    lockfile_version: u32,
    #[serde(rename = "specfile-version")]
    specfile_version: u32,
}

#[derive(Serialize)]
struct WireRoot<'l> {
    hash: &'l DagHash,
    spec: &'l str,
}

#[derive(Serialize)]
struct WireIncluded<'l> {
    roots: Vec<WireRoot<'l>>,
    concrete_specs: IndexMap<&'l DagHash, Box<RawValue>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    include_concrete: IndexMap<&'l str, Box<RawValue>>,
}

impl Lockfile {
    /// A lockfile that is written by `program`, of version `version`, with all that `roots` need from `source`.
    ///
    /// # Errors
    /// If something is not there.
    pub fn new(
        program: &str,
        version: &str,
        roots: Vec<Root>,
        source: &(impl NodeSource + ?Sized),
    ) -> Result<Self, UnwritableLockfile> {
        let nodes = reachable(source, &roots)?;
        let nodes = nodes.into_iter().map(|node| (node.hash.clone(), node.clone())).collect();
        #[derive(Serialize)]
        struct Provenance<'p> {
            version: &'p str,
            r#type: &'p str,
        }
        Ok(Self {
            version: CURRENT_VERSION,
            roots,
            included: IndexMap::new(),
            provenance: Some(to_raw_value(&Provenance { version, r#type: program })?),
            include_concrete: IndexMap::new(),
            nodes,
        })
    }

    /// Takes over what `other` says of the program that wrote it.
    #[must_use]
    pub fn with_provenance_of(mut self, other: &Self) -> Self {
        self.provenance.clone_from(&other.provenance);
        self
    }

    /// Includes the environments at these paths, whose lockfiles these are, and which may include others; those that were
    /// included before are left out. What two of them have is kept once, with the first.
    ///
    /// # Errors
    /// If something is not there.
    pub fn include(&mut self, environments: &[(String, Self)]) -> Result<(), UnwritableLockfile> {
        self.include_concrete.clear();
        self.included.clear();
        let (mut seen_roots, mut seen) = (IndexSet::new(), IndexSet::new());
        for (path, environment) in environments {
            let roots: Vec<Root> = environment
                .roots
                .iter()
                .filter(|root| seen_roots.insert(root.hash.clone()))
                .cloned()
                .collect();
            let mut specs = concrete_specs(environment, &environment.roots)?;
            specs.retain(|hash, _| seen.insert((*hash).clone()));
            let below = environment.include_concrete.iter();
            let wire = WireIncluded {
                roots: wire_roots(&roots),
                concrete_specs: specs,
                include_concrete: below.map(|(path, json)| (path.as_str(), json.clone())).collect(),
            };
            self.include_concrete.insert(path.clone(), to_raw_value(&wire)?);
            for node in environment.nodes() {
                self.nodes.entry(node.hash.clone()).or_insert_with(|| node.clone());
            }
            self.included.entry(path.clone()).or_default().extend(roots);
            for (path, roots) in &environment.included {
                self.included.entry(path.clone()).or_default().extend(roots.iter().cloned());
            }
        }
        Ok(())
    }

    /// The file's text.
    ///
    /// # Errors
    /// If something is not there, or a node is in a format that this version has no place for.
    pub fn to_json(&self) -> Result<String, UnwritableLockfile> {
        let minified = |json: &RawValue| RawValue::from_string(minify(json.get()));
        let include_concrete = self.include_concrete.iter();
        let include_concrete: Result<_, serde_json::Error> =
            include_concrete.map(|(path, json)| Ok((path.as_str(), minified(json)?))).collect();
        let provenance = self.provenance.as_deref().map(minified).transpose()?;
        let wire = WireLockfile {
            meta: WireMeta {
                file_type: "spack-lockfile",
                lockfile_version: CURRENT_VERSION,
                specfile_version: spec_json::CURRENT_VERSION,
            },
            spack: provenance.as_deref(),
            roots: wire_roots(&self.roots),
            concrete_specs: concrete_specs(self, &self.roots)?,
            include_concrete: include_concrete?,
        };
        Ok(in_ascii(&serde_json::to_string(&wire)?))
    }
}

fn wire_roots(roots: &[Root]) -> Vec<WireRoot<'_>> {
    roots.iter().map(|root| WireRoot { hash: &root.hash, spec: &root.requested }).collect()
}

/// The JSON of all nodes that `roots` lead to.
fn concrete_specs<'s>(
    source: &'s Lockfile,
    roots: &[Root],
) -> Result<IndexMap<&'s DagHash, Box<RawValue>>, UnwritableLockfile> {
    let mut specs = IndexMap::new();
    for node in reachable(source, roots)? {
        specs.insert(&node.hash, RawValue::from_string(current(node)?)?);
    }
    Ok(specs)
}

/// All nodes that `roots` lead to, a node before its dependencies; after a spliced one all of what it was spliced from.
fn reachable<'s>(
    source: &'s (impl NodeSource + ?Sized),
    roots: &[Root],
) -> Result<Vec<&'s Node>, UnwritableLockfile> {
    let mut found: IndexMap<&DagHash, &Node> = IndexMap::new();
    let mut seen: IndexSet<&DagHash> = IndexSet::new();
    for Root { requested, hash } in roots {
        let missing = || UnwritableLockfile::MissingRoot { requested: requested.clone() };
        let mut stack = vec![source.node(hash).ok_or_else(missing)?];
        while let Some(node) = stack.pop() {
            if !seen.insert(&node.hash) {
                continue;
            }
            found.insert(&node.hash, node);
            if let Some(hash) = &node.build_spec {
                let missing =
                    || MissingNode { dependent: node.label(), name: node.name.clone(), hash: hash.clone() };
                let built = source.node(hash).ok_or_else(missing)?;
                for node in preorder(source, built, DependencyTypes::ALL)? {
                    found.insert(&node.hash, node);
                }
            }
            stack.extend(dependencies(source, node, DependencyTypes::ALL)?.into_iter().rev());
        }
    }
    Ok(found.into_values().collect())
}

/// The node's JSON in the format that goes with this version of lockfiles.
fn current(node: &Node) -> Result<String, UnwritableLockfile> {
    if node.is_in_format_5() {
        return Ok(node.json().to_owned());
    }
    let old = || UnwritableLockfile::OldNode { package: node.label() };
    let json = upgrade::to_current(node, node.original_format)?;
    let upgraded = Node::parse(&RawValue::from_string(json)?).map_err(|_| old())?;
    let is_same = upgraded.hash == node.hash && upgraded.dependencies == node.dependencies;
    if is_same { Ok(upgraded.json().to_owned()) } else { Err(old()) }
}

/// JSON with everything beyond ASCII escaped, as Python writes it.
fn in_ascii(json: &str) -> String {
    if json.is_ascii() {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}
