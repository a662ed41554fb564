//! The order in which packages have their say (`effective_deptypes` in Spack's `build_environment.py`), and which of them
//! are to be found by their executables.

use std::collections::{HashMap, HashSet, VecDeque};
use strata_spec::dag::MissingNode;
use strata_spec::{DagHash, DependencyTypes, Node, NodeSource};

/// A package of the runtime closure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effective<'s> {
    /// Which.
    pub(super) node: &'s Node,
    /// Whether its executables are to be found: it is a root, or something needs it to run.
    pub(super) executable: bool,
    /// Whether something of the closure needs it.
    pub(super) needed: bool,
}

/// A dependency, and what it is needed for.
type TypedEdge<'s> = (&'s Node, DependencyTypes);

/// The runtime closure of `roots`, dependents before dependencies. Unlike
/// [`topological`](strata_spec::dag::topological), packages without dependencies all come at the end, in the order in
/// which they are met.
pub(super) fn effective<'s>(
    source: &'s (impl NodeSource + ?Sized),
    roots: &[&'s Node],
) -> Result<Vec<Effective<'s>>, MissingNode> {
    let mut edges: HashMap<&DagHash, Vec<TypedEdge<'s>>> = HashMap::new();
    let mut remaining: HashMap<&DagHash, usize> = HashMap::new();
    let mut queue: VecDeque<&'s Node> = roots.iter().copied().collect();
    for root in roots {
        *remaining.entry(&root.hash).or_default() += 1;
    }
    while let Some(node) = queue.pop_front() {
        if edges.contains_key(&node.hash) {
            continue;
        }
        let below = runtime_edges(source, node)?;
        for (child, _) in &below {
            *remaining.entry(&child.hash).or_default() += 1;
            queue.push_back(child);
        }
        edges.insert(&node.hash, below);
    }

    let mut executable: HashSet<&DagHash> = HashSet::new();
    let mut needed: HashSet<&DagHash> = HashSet::new();
    let (mut met, mut inner) = (Vec::new(), Vec::new());
    let mut seen: HashSet<&DagHash> = HashSet::new();
    let roots: Vec<TypedEdge<'_>> = roots.iter().map(|n| (*n, DependencyTypes::RUN)).collect();
    let mut ready: VecDeque<(Option<&'s Node>, &[TypedEdge<'s>])> = VecDeque::from([(None, &*roots)]);
    while let Some((parent, edges_of_parent)) = ready.pop_front() {
        inner.extend(parent.filter(|_| !edges_of_parent.is_empty()));
        for (child, types) in edges_of_parent {
            if seen.insert(&child.hash) {
                met.push(*child);
            }
            if types.intersects(DependencyTypes::RUN) {
                executable.insert(&child.hash);
            }
            if parent.is_some() {
                needed.insert(&child.hash);
            }
            let remaining = remaining.entry(&child.hash).or_default();
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                ready.push_back((Some(child), &edges[&child.hash]));
            }
        }
    }
    let leaves = met.into_iter().filter(|node| edges[&node.hash].is_empty());
    let order = inner.into_iter().chain(leaves);
    Ok(order
        .map(|node| Effective {
            node,
            executable: executable.contains(&node.hash),
            needed: needed.contains(&node.hash),
        })
        .collect())
}

/// The edges that matter at run time, by name.
fn runtime_edges<'s>(
    source: &'s (impl NodeSource + ?Sized),
    node: &Node,
) -> Result<Vec<TypedEdge<'s>>, MissingNode> {
    let mut edges: Vec<_> =
        node.dependencies.iter().filter(|e| e.types.intersects(DependencyTypes::RUNTIME)).collect();
    edges.sort_by(|a, b| a.name.cmp(&b.name));
    let found = edges.into_iter().map(|edge| {
        let child = source.node(&edge.hash).ok_or_else(|| MissingNode {
            dependent: node.label(),
            name: edge.name.clone(),
            hash: edge.hash.clone(),
        })?;
        Ok((child, edge.types))
    });
    found.collect()
}
