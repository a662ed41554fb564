//! Walks over what is below a node, each edge once, in the order written and depth first.

use crate::catalog::{EdgeRef, NodeRef};
use crate::dag::DependencyTypes;
use std::cell::RefCell;
use std::collections::VecDeque;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    On,
    Stop,
}

/// The edges from `node` that are of one of `types`; one that says nothing of what it is for is of every type.
pub(crate) fn direct<'c>(node: NodeRef<'c>, types: DependencyTypes) -> impl Iterator<Item = EdgeRef<'c>> {
    node.edges().filter(move |edge| edge.types().is_empty() || edge.types().intersects(types))
}

/// Calls `each` with every edge of one of `types` below `node`; [`Walk::Stop`] if it said so.
pub(crate) fn edges<'c>(
    node: NodeRef<'c>,
    types: DependencyTypes,
    mut each: impl FnMut(EdgeRef<'c>) -> Walk,
) -> Walk {
    let mut seen = Seen::new(node.catalog().len());
    let mut pending = vec![node];
    seen.insert(node);
    while let Some(node) = pending.pop() {
        for edge in direct(node, types) {
            if each(edge) == Walk::Stop {
                return Walk::Stop;
            }
            if let Some(below) = edge.node()
                && seen.insert(below)
            {
                pending.push(below);
            }
        }
    }
    Walk::On
}

/// The first edge of one of `types` below `node` that is wanted, breadth first.
pub(crate) fn nearest<'c>(
    node: NodeRef<'c>,
    types: DependencyTypes,
    wanted: impl Fn(&EdgeRef<'c>) -> bool,
) -> Option<EdgeRef<'c>> {
    let mut seen = Seen::new(node.catalog().len());
    let mut pending = VecDeque::from([node]);
    seen.insert(node);
    while let Some(node) = pending.pop_front() {
        for edge in direct(node, types) {
            if wanted(&edge) {
                return Some(edge);
            }
            if let Some(below) = edge.node()
                && seen.insert(below)
            {
                pending.push_back(below);
            }
        }
    }
    None
}

/// A set of nodes of a catalog that costs nothing to empty: a stamp per node, and a new stamp for each walk.
struct Seen(Stamps);

#[derive(Default)]
struct Stamps {
    of_node: Vec<u32>,
    current: u32,
}

thread_local! {
    /// Stamps of walks that are over. More than one only if walks were made within walks.
    static POOL: RefCell<Vec<Stamps>> = const { RefCell::new(Vec::new()) };
}

impl Seen {
    fn new(nodes: usize) -> Self {
        let mut stamps = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        if stamps.current == u32::MAX {
            stamps = Stamps::default();
        }
        if stamps.of_node.len() < nodes {
            stamps.of_node.resize(nodes, 0);
        }
        stamps.current += 1;
        Self(stamps)
    }

    /// Whether the node is new to the set.
    fn insert(&mut self, node: NodeRef<'_>) -> bool {
        let stamp = &mut self.0.of_node[node.number() as usize];
        std::mem::replace(stamp, self.0.current) != self.0.current
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let stamps = std::mem::take(&mut self.0);
        POOL.with_borrow_mut(|pool| pool.push(stamps));
    }
}
