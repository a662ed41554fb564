//! `spec.json`: a concrete spec with all its nodes, root first.

use crate::dag::{DependencyTypes, MissingNode, NodeSource, preorder};
use crate::dag_hash::DagHash;
use crate::node::{InvalidNode, Node, rename_targets};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// The version of the format that the nodes of a version 8 database are in.
pub const CURRENT_VERSION: u32 = 5;

/// The JSON is not a `spec.json` that strata understands.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSpec {
    /// Not JSON of the expected shape.
    #[error("not a spec.json: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A version of the format that strata does not know.
    #[error("spec.json version {0} is not understood (2 to 5 are)")]
    UnknownVersion(u32),
    /// A node is not one.
    #[error("node {} of spec.json: {source}", position + 1)]
    Node {
        /// Which one, from zero; the root is the first.
        position: usize,
        /// What is wrong with it.
        source: InvalidNode,
    },
    /// There is no root.
    #[error("spec.json has no nodes")]
    Empty,
}

/// A concrete spec: its root and every node below, of one format version.
#[derive(Clone, Debug)]
pub struct ConcreteSpec {
    /// `_meta.version` of the format the nodes are in.
    pub version: u32,
    nodes: IndexMap<DagHash, Node>,
}

#[derive(Deserialize)]
struct Wire<'j> {
    #[serde(rename = "_meta")]
    meta: Meta,
    #[serde(borrow)]
    nodes: Vec<&'j RawValue>,
}

#[derive(Deserialize)]
struct Meta {
    version: u32,
}

impl ConcreteSpec {
    /// Reads the value of the `spec` key: `{"_meta": {"version": …}, "nodes": [root, …]}`.
    pub fn parse(spec: &RawValue) -> Result<Self, InvalidSpec> {
        let wire: Wire<'_> = serde_json::from_str(spec.get())?;
        if !(2..=CURRENT_VERSION).contains(&wire.meta.version) {
            return Err(InvalidSpec::UnknownVersion(wire.meta.version));
        }
        let mut nodes = IndexMap::with_capacity(wire.nodes.len());
        let mut names = HashMap::new();
        for (position, json) in wire.nodes.into_iter().enumerate() {
            let read = Node::read(json, wire.meta.version, None)
                .map_err(|source| InvalidSpec::Node { position, source })?;
            names.extend(read.other_names.into_iter().map(|name| (name, read.node.hash.clone())));
            nodes.insert(read.node.hash.clone(), read.node);
        }
        rename_targets(nodes.values_mut(), &names);
        if nodes.is_empty() {
            return Err(InvalidSpec::Empty);
        }
        Ok(Self { version: wire.meta.version, nodes })
    }

    /// The spec of `root` with every node it depends on, taken from `source`.
    pub fn collect(source: &impl NodeSource, root: &Node, version: u32) -> Result<Self, MissingNode> {
        let order = preorder(source, root, DependencyTypes::ALL)?;
        Ok(Self { version, nodes: order.into_iter().map(|n| (n.hash.clone(), n.clone())).collect() })
    }

    /// The node the spec is about.
    pub fn root(&self) -> &Node {
        &self.nodes[0]
    }

    /// Every node, root first, in the order written.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The value of the `spec` key, compact, each node as it was read.
    pub fn to_json(&self) -> String {
        let nodes: Vec<&str> = self.nodes.values().map(Node::json).collect();
        format!("{{\"_meta\":{{\"version\":{}}},\"nodes\":[{}]}}", self.version, nodes.join(","))
    }
}

impl NodeSource for ConcreteSpec {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.nodes.get(hash)
    }
}
