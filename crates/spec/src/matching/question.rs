//! One spec asked of many nodes of a catalog: what lies below a node is looked at once, however many depend on it.
//!
//! The answers are those of [`satisfies`](super::satisfies). Only `^` and propagated variants look at whole DAGs; the rest
//! is asked as it is of a single node.

use super::dependencies::{applies, is_called, is_candidate, is_met, leads_to, unmet, virtuals};
use super::node::{self, Own};
use super::visit;
use crate::abstract_spec::{AbstractSpec, DependencyConstraint, VariantConstraint};
use crate::catalog::{Catalog, EdgeRef, NodeRef};
use crate::dag::DependencyTypes;
use std::collections::HashMap;

/// A spec, and what is known so far of the nodes of one catalog.
pub struct Question<'c, 's> {
    spec: &'s AbstractSpec,
    /// What the spec asks of the node itself and of nothing below it.
    alone: AbstractSpec,
    propagated: Vec<Propagated<'s>>,
    dependencies: Vec<Dependency<'c, 's>>,
    catalog: &'c Catalog,
}

/// What is left to ask of a node.
enum Left {
    Nothing,
    Dependencies,
}

/// A variant that nothing in a DAG may have with another value.
struct Propagated<'s> {
    name: &'s str,
    asked: &'s VariantConstraint,
    contradicted: Below,
}

/// What follows one `^` or `%`.
struct Dependency<'c, 's> {
    wanted: &'s DependencyConstraint,
    /// Of `^`, what is known of the edges below each node; none if that is not worth keeping.
    below: Option<(Parts<'c, 's>, Below)>,
}

impl<'c, 's> Question<'c, 's> {
    /// Asks `spec` of the nodes of `catalog`.
    pub fn new(catalog: &'c Catalog, spec: &'s AbstractSpec) -> Self {
        let mut alone = AbstractSpec { dependencies: Vec::new(), ..spec.clone() };
        alone.variants.retain(|_, asked| !asked.propagate);
        let propagated = spec.variants.iter().filter(|(_, asked)| asked.propagate);
        let dependency = |wanted| Dependency {
            wanted,
            below: Parts::of(catalog, wanted).map(|parts| (parts, Below::default())),
        };
        Self {
            spec,
            alone,
            propagated: propagated
                .map(|(name, asked)| Propagated { name, asked, contradicted: Below::default() })
                .collect(),
            dependencies: spec.dependencies.iter().map(dependency).collect(),
            catalog,
        }
    }

    /// Whether `node` is of the catalog that is asked.
    pub fn is_about(&self, node: NodeRef<'_>) -> bool {
        std::ptr::eq(node.catalog(), self.catalog)
    }

    /// Whether `node` is one that the spec asks for.
    pub fn is_met_by(&mut self, node: NodeRef<'c>) -> bool {
        if !self.is_about(node) {
            return super::satisfies(node, self.spec);
        }
        let spec = self.spec;
        match self.left_to_ask(node) {
            None => false,
            Some(Left::Nothing) => true,
            Some(Left::Dependencies) => {
                self.dependencies.iter_mut().all(|dependency| dependency.is_met_by(node, spec))
            }
        }
    }

    /// What is left to ask of a node; none if it is not as asked for, its dependencies apart.
    fn left_to_ask(&mut self, node: NodeRef<'c>) -> Option<Left> {
        match node::compare(node, &self.alone) {
            Own::Fails(_) => None,
            Own::Provides => Some(Left::Nothing),
            Own::Meets => self
                .propagated
                .iter_mut()
                .all(|variant| variant.is_met_by(node))
                .then_some(Left::Dependencies),
        }
    }
}

impl Propagated<'_> {
    fn is_met_by(&mut self, node: NodeRef<'_>) -> bool {
        let Self { name, asked, contradicted } = self;
        let of_node = |node: NodeRef<'_>| u64::from(node::contradicts(node, name, asked));
        contradicted.of(node, DependencyTypes::ALL, of_node, |_| 0) == 0
    }
}

impl<'c> Dependency<'c, '_> {
    fn is_met_by(&mut self, node: NodeRef<'c>, parent: &AbstractSpec) -> bool {
        let is_met = match &mut self.below {
            Some((parts, below)) => !applies(node, parent, self.wanted) || parts.are_below(node, below),
            None => is_met(node, parent, self.wanted),
        };
        is_met && unmet(node, &self.wanted.spec).is_none()
    }
}

/// What a `^` asks of the edges below a node, each part of any of them: that it leads to what is asked for, and that it provides
/// one of the virtual packages.
struct Parts<'c, 's> {
    wanted: &'s DependencyConstraint,
    virtuals: Vec<&'s str>,
    /// What the edges are to lead to.
    asked: Question<'c, 's>,
    /// Whether what edges lead to is as asked for, by the number of the node.
    known: HashMap<u32, bool>,
}

impl<'c, 's> Parts<'c, 's> {
    fn of(catalog: &'c Catalog, wanted: &'s DependencyConstraint) -> Option<Self> {
        let virtuals = virtuals(catalog, wanted);
        let has_marks = !wanted.direct && virtuals.len() < u64::BITS as usize;
        has_marks.then(|| Self {
            wanted,
            virtuals,
            asked: Question::new(catalog, &wanted.spec),
            known: HashMap::new(),
        })
    }

    /// One mark for each of the virtual packages, and one for what is asked for.
    fn all(&self) -> u64 {
        u64::MAX >> (u64::BITS as usize - 1 - self.virtuals.len())
    }

    fn met_by(&mut self, edge: EdgeRef<'c>) -> u64 {
        let Self { wanted, virtuals, asked, known } = self;
        if !is_candidate(&edge, wanted) {
            return 0;
        }
        let is_as_asked = leads_to(edge, &wanted.spec, |node, _| {
            *known.entry(node.number()).or_insert_with(|| asked.left_to_ask(node).is_some())
        });
        let provided = virtuals.iter().enumerate().filter(|(_, name)| is_called(&edge, name));
        provided.fold(u64::from(is_as_asked), |marks, (at, _)| marks | 2 << at)
    }

    fn are_below(&mut self, node: NodeRef<'c>, below: &mut Below) -> bool {
        let all = self.all();
        let own =
            visit::direct(node, DependencyTypes::BUILD).fold(0, |marks, edge| marks | self.met_by(edge));
        own == all || own | below.of(node, DependencyTypes::RUNTIME, |_| 0, |edge| self.met_by(edge)) == all
    }
}

/// Marks of nodes: what holds of them or of anything below them.
#[derive(Default)]
struct Below {
    marks: Vec<Option<u64>>,
}

impl Below {
    /// The marks of `node`, of the edges below it and of the nodes they lead to. Each node and each edge is asked about once.
    /// A node that is below itself, which no real DAG has, adds nothing to what is below it.
    fn of<'c>(
        &mut self,
        node: NodeRef<'c>,
        types: DependencyTypes,
        of_node: impl Fn(NodeRef<'c>) -> u64,
        mut of_edge: impl FnMut(EdgeRef<'c>) -> u64,
    ) -> u64 {
        if self.marks.is_empty() {
            self.marks.resize(node.catalog().len(), None);
        }
        let at = |node: NodeRef<'_>| node.number() as usize;
        let mut pending = vec![(node, false)];
        while let Some((top, is_open)) = pending.pop() {
            if is_open {
                let mut marks = self.marks[at(top)].unwrap_or_default();
                for edge in visit::direct(top, types) {
                    let below = edge.node().and_then(|below| self.marks[at(below)]);
                    marks |= of_edge(edge) | below.unwrap_or_default();
                }
                self.marks[at(top)] = Some(marks);
            } else if self.marks[at(top)].is_none() {
                self.marks[at(top)] = Some(of_node(top));
                pending.push((top, true));
                let below = visit::direct(top, types).filter_map(|edge| edge.node());
                pending.extend(below.filter(|below| self.marks[at(*below)].is_none()).map(|b| (b, false)));
            }
        }
        self.marks[at(node)].unwrap_or_default()
    }
}
