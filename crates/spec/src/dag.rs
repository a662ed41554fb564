//! Walking a DAG of concrete specs in the orders that Spack uses (its `traverse.py`).
//!
//! Every order visits the edges of a node sorted by the name of the dependency, and every node once.

use crate::dag_hash::DagHash;
use crate::node::Node;
use serde::{Deserialize, Deserializer};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::BitOr;

/// A set of dependency types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DependencyTypes(u8);

impl DependencyTypes {
    /// Needed to build.
    pub const BUILD: Self = Self(1);
    /// Linked against.
    pub const LINK: Self = Self(2);
    /// Needed to run.
    pub const RUN: Self = Self(4);
    /// Needed to test.
    pub const TEST: Self = Self(8);
    /// What an installed package needs: link and run.
    pub const RUNTIME: Self = Self(2 | 4);
    /// Every type.
    pub const ALL: Self = Self(15);

    /// As a number below 16.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// The set whose number it is.
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether the two sets have a type in common.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` are among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the types, in Spack's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let named = [(Self::BUILD, "build"), (Self::LINK, "link"), (Self::RUN, "run"), (Self::TEST, "test")];
        named.into_iter().filter(move |(one, _)| self.intersects(*one)).map(|(_, name)| name)
    }
}

impl BitOr for DependencyTypes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl<'de> Deserialize<'de> for DependencyTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().try_fold(Self::default(), |types, name| {
            let one = match name.as_str() {
                "build" => Self::BUILD,
                "link" => Self::LINK,
                "run" => Self::RUN,
                "test" => Self::TEST,
                _ => return Err(serde::de::Error::custom(format!("unknown dependency type `{name}`"))),
            };
            Ok(types | one)
        })
    }
}

/// Something that holds the nodes of a DAG by hash.
pub trait NodeSource {
    /// The node of that hash.
    fn node(&self, hash: &DagHash) -> Option<&Node>;
}

/// A node's dependency is not where the node is.
#[derive(Debug, thiserror::Error)]
#[error("{dependent} depends on {name}/{hash}, which is not recorded beside it")]
pub struct MissingNode {
    /// The node that has the edge, as a label.
    pub dependent: String,
    /// Package name of the missing node.
    pub name: String,
    /// Hash of the missing node.
    pub hash: DagHash,
}

/// The edges of `node` of one of `types`, sorted by name, with the nodes they lead to.
pub fn dependencies<'s>(
    source: &'s (impl NodeSource + ?Sized),
    node: &Node,
    types: DependencyTypes,
) -> Result<Vec<&'s Node>, MissingNode> {
    let mut edges: Vec<_> = node.dependencies.iter().filter(|e| e.types.intersects(types)).collect();
    edges.sort_by(|a, b| a.name.cmp(&b.name));
    let missing = |name: &str, hash: &DagHash| MissingNode {
        dependent: node.label(),
        name: name.to_owned(),
        hash: hash.clone(),
    };
    edges.iter().map(|e| source.node(&e.hash).ok_or_else(|| missing(&e.name, &e.hash))).collect()
}

/// Depth first, a node before its dependencies: the order of `nodes` in `spec.json`.
pub fn preorder<'s>(
    source: &'s (impl NodeSource + ?Sized),
    root: &'s Node,
    types: DependencyTypes,
) -> Result<Vec<&'s Node>, MissingNode> {
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    let mut stack = vec![root];
    while let Some(node) = stack.pop() {
        if seen.insert(&node.hash) {
            order.push(node);
            stack.extend(dependencies(source, node, types)?.into_iter().rev());
        }
    }
    Ok(order)
}

/// Breadth first.
pub fn breadth_first<'s>(
    source: &'s (impl NodeSource + ?Sized),
    root: &'s Node,
    types: DependencyTypes,
) -> Result<Vec<&'s Node>, MissingNode> {
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    let mut queue = VecDeque::from([root]);
    while let Some(node) = queue.pop_front() {
        if seen.insert(&node.hash) {
            order.push(node);
            queue.extend(dependencies(source, node, types)?);
        }
    }
    Ok(order)
}

/// Depth first over the tree of shortest ways from `root`, so that every node is met once, at the least depth: how Spack
/// shows a DAG as a tree. Each node comes with its depth.
pub fn shallow_tree<'s>(
    source: &'s (impl NodeSource + ?Sized),
    root: &'s Node,
    types: DependencyTypes,
) -> Result<Vec<(usize, &'s Node)>, MissingNode> {
    let mut seen = HashSet::from([&root.hash]);
    let mut children: HashMap<&DagHash, Vec<&'s Node>> = HashMap::new();
    let mut queue = VecDeque::from([root]);
    while let Some(node) = queue.pop_front() {
        let mut below = dependencies(source, node, types)?;
        below.retain(|child| seen.insert(&child.hash));
        queue.extend(&below);
        children.insert(&node.hash, below);
    }
    let mut order = Vec::with_capacity(children.len());
    let mut stack = vec![(0, root)];
    while let Some((depth, node)) = stack.pop() {
        order.push((depth, node));
        let below = children.remove(&node.hash).unwrap_or_default();
        stack.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
    Ok(order)
}

/// Every node before its dependencies, and as breadth-first as that allows (`order="topo"`).
pub fn topological<'s>(
    source: &'s (impl NodeSource + ?Sized),
    roots: &[&'s Node],
    types: DependencyTypes,
) -> Result<Vec<&'s Node>, MissingNode> {
    let mut children: HashMap<&DagHash, Vec<&'s Node>> = HashMap::new();
    let mut in_edges: HashMap<&DagHash, usize> = HashMap::new();
    let mut queue: VecDeque<&'s Node> = roots.iter().copied().collect();
    for root in roots {
        *in_edges.entry(&root.hash).or_default() += 1;
    }
    while let Some(node) = queue.pop_front() {
        if children.contains_key(&node.hash) {
            continue;
        }
        let below = dependencies(source, node, types)?;
        for child in &below {
            *in_edges.entry(&child.hash).or_default() += 1;
            queue.push_back(child);
        }
        children.insert(&node.hash, below);
    }

    let mut order = Vec::with_capacity(children.len());
    let mut ready: VecDeque<&[&'s Node]> = VecDeque::from([roots]);
    while let Some(nodes) = ready.pop_front() {
        for node in nodes {
            let remaining = in_edges.entry(&node.hash).or_default();
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                order.push(*node);
                ready.push_back(&children[&node.hash]);
            }
        }
    }
    Ok(order)
}

/// The runtime closure of `roots` without externals, every node before its dependencies: what is pushed, and
/// what is installed.
pub fn closure<'s>(
    source: &'s (impl NodeSource + ?Sized),
    roots: &[&'s Node],
) -> Result<Vec<&'s Node>, MissingNode> {
    let mut nodes = topological(source, roots, DependencyTypes::RUNTIME)?;
    nodes.retain(|node| !node.is_external());
    Ok(nodes)
}

/// The packages whose prefixes the files of `node` may name: its link closure breadth first, then its direct run
/// dependencies, externals left out, each once (`specs_to_relocate` in Spack's `binary_distribution.py`).
pub fn referenced<'s>(
    source: &'s (impl NodeSource + ?Sized),
    node: &'s Node,
) -> Result<Vec<&'s Node>, MissingNode> {
    let mut nodes = breadth_first(source, node, DependencyTypes::LINK)?;
    nodes.extend(dependencies(source, node, DependencyTypes::RUN)?);
    let mut seen = HashSet::new();
    nodes.retain(|n| !n.is_external() && seen.insert(&n.hash));
    Ok(nodes)
}
