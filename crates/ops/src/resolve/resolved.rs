//! What was chosen, with every node below, taken out of the catalogs.

use super::Mirror;
use super::order::{Preference, Ranked};
use super::stock::Stock;
use crate::error::Error;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use strata_spec::catalog::NodeRef;
use strata_spec::dag::{MissingNode, topological};
use strata_spec::{AbstractSpec, DagHash, Database, DependencyTypes, Node, NodeSource, format, upgrade};

/// The specs that were found, with every node below them.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The specs asked for, in that order, each once.
    pub roots: Vec<DagHash>,
    /// What was chosen for each spec that was asked for.
    pub chosen: Vec<Chosen>,
    /// The packages that a user asks for; the roots, if nothing else is said.
    explicit: Option<HashSet<DagHash>>,
    nodes: HashMap<DagHash, Node>,
    mirrors: HashMap<DagHash, Vec<usize>>,
    /// What the user calls the mirrors.
    names: Vec<String>,
}

/// What was chosen for a spec.
#[derive(Clone, Debug, Serialize)]
pub struct Chosen {
    /// The spec as it was asked for.
    pub asked: String,
    /// Label of what was chosen.
    pub package: String,
    /// Its DAG hash.
    pub hash: DagHash,
    /// Among how many that can be used.
    pub candidates: usize,
    /// Label of the next best one, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// What decided between these two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Preference>,
    /// Whether it is installed.
    pub installed: bool,
    /// The mirrors that have it.
    pub mirrors: Vec<String>,
}

impl NodeSource for Resolved {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.nodes.get(hash)
    }
}

impl Resolved {
    /// What was chosen and all below it, in no order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The mirrors that are known to have the package, best first.
    pub(crate) fn mirrors_with(&self, hash: &DagHash) -> &[usize] {
        self.mirrors.get(hash).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the user calls these mirrors.
    pub fn mirror_names(&self, hash: &DagHash) -> Vec<&str> {
        self.mirrors_with(hash).iter().filter_map(|at| self.names.get(*at)).map(String::as_str).collect()
    }

    /// Whether some mirror is known to have the package.
    pub fn is_cached(&self, hash: &DagHash) -> bool {
        !self.mirrors_with(hash).is_empty()
    }

    /// What a lockfile, or anything else that has concrete specs, says of `roots`, without asking anybody: each with the spec
    /// that it was asked for by.
    ///
    /// # Errors
    /// If a node is missing, or is in a format that cannot be recorded.
    pub fn recorded<'r>(
        roots: impl IntoIterator<Item = (&'r str, &'r DagHash)>,
        source: &impl NodeSource,
        database: &Database,
        mirrors: &[Mirror],
    ) -> Result<Self, Error> {
        let names = mirrors.iter().map(|mirror| mirror.name.clone()).collect();
        let mut resolved = Self { names, ..Self::default() };
        for (asked, hash) in roots {
            let missing =
                || MissingNode { dependent: asked.to_owned(), name: String::new(), hash: hash.clone() };
            let root = source.node(hash).ok_or_else(missing)?;
            for node in topological(source, &[root], DependencyTypes::ALL)? {
                if !resolved.nodes.contains_key(&node.hash) {
                    resolved.nodes.insert(node.hash.clone(), as_recorded(node.clone())?);
                }
            }
            resolved.chosen.push(Chosen {
                asked: asked.to_owned(),
                package: root.label(),
                hash: hash.clone(),
                candidates: 1,
                instead_of: None,
                because: None,
                installed: database.records.get(hash).is_some_and(crate::install::is_there),
                mirrors: Vec::new(),
            });
            if !resolved.roots.contains(hash) {
                resolved.roots.push(hash.clone());
            }
        }
        Ok(resolved)
    }

    /// The same where a user asks for other packages than the roots.
    #[must_use]
    pub fn with_explicit(self, hashes: impl IntoIterator<Item = DagHash>) -> Self {
        Self { explicit: Some(hashes.into_iter().collect()), ..self }
    }

    /// Whether a user asks for the package.
    pub fn is_explicit(&self, hash: &DagHash) -> bool {
        self.explicit.as_ref().map_or_else(|| self.roots.contains(hash), |hashes| hashes.contains(hash))
    }

    /// Nothing yet, from `stock`.
    pub(super) fn from(stock: &Stock<'_>) -> Self {
        Self { names: stock.mirror_names(), ..Self::default() }
    }

    /// Takes the candidate at `position`.
    pub(super) fn choose(
        &mut self,
        spec: &AbstractSpec,
        ranked: &[Ranked<'_>],
        position: usize,
        stock: &Stock<'_>,
    ) -> Result<(), Error> {
        let best = &ranked[position];
        self.take(best.node, stock)?;
        let hash = dag_hash(best.node)?;
        // With several specs a better one may have been passed over.
        let (next, because) = match position {
            0 => (ranked.get(1), ranked.get(1).map(|next| best.preference(next))),
            _ => (ranked.first(), Some(Preference::Together)),
        };
        let mirrors = stock.mirrors_with(best.node.hash());
        self.chosen.push(Chosen {
            asked: spec.to_string(),
            package: best.node.label(),
            hash: hash.clone(),
            candidates: ranked.len(),
            instead_of: next.map(|next| next.node.label()),
            because,
            installed: stock.is_installed(best.node.hash()),
            mirrors: mirrors.map(|mirror| stock.mirror_name(mirror).to_owned()).collect(),
        });
        if !self.roots.contains(&hash) {
            self.roots.push(hash);
        }
        Ok(())
    }

    /// Takes a node and all below it.
    fn take(&mut self, root: NodeRef<'_>, stock: &Stock<'_>) -> Result<(), Error> {
        let mut pending = vec![root];
        while let Some(node_ref) = pending.pop() {
            let hash = dag_hash(node_ref)?;
            if self.nodes.contains_key(&hash) {
                continue;
            }
            for edge in node_ref.edges() {
                pending.push(edge.node().ok_or_else(|| missing(node_ref, edge.name(), edge.hash()))?);
            }
            self.mirrors.insert(hash.clone(), stock.mirrors_with(node_ref.hash()).collect());
            self.nodes.insert(hash, as_recorded(node(node_ref)?)?);
        }
        Ok(())
    }
}

/// The node as a store records it: one that was written by Spack before 1.0 in the form that Spack gives it when it reads it.
fn as_recorded(node: Node) -> Result<Node, Error> {
    if node.is_in_format_5() {
        return Ok(node);
    }
    let bad = |reason: String| Error::BadRecord { package: node.label(), reason };
    let json = upgrade::to_current(&node, node.original_format).map_err(|e| bad(e.to_string()))?;
    let json = RawValue::from_string(json).map_err(|e| bad(e.to_string()))?;
    let current = Node::parse(&json).map_err(|e| bad(e.to_string()))?;
    let targets = |node: &Node| node.dependencies.iter().map(|edge| edge.hash.clone()).collect::<Vec<_>>();
    // Formats 2 and 3 may name dependencies by a kind of hash that no store knows.
    if current.hash == node.hash && targets(&current) == targets(&node) { Ok(current) } else { Ok(node) }
}

fn dag_hash(node: NodeRef<'_>) -> Result<DagHash, Error> {
    DagHash::parse(node.hash()).map_err(|e| Error::BadRecord { package: node.label(), reason: e.to_string() })
}

/// The node with its JSON, for what needs all of it.
pub(crate) fn node(node: NodeRef<'_>) -> Result<Node, Error> {
    node.to_node().map_err(|e| Error::BadRecord { package: node.label(), reason: e.to_string() })
}

/// One line that tells candidates apart: the hash and the canonical form.
pub(crate) fn describe(node_ref: NodeRef<'_>) -> String {
    match node(node_ref) {
        Ok(node) => format!("/{} {}", node.hash.short(), format::canonical(&node)),
        Err(_) => node_ref.label(),
    }
}

fn missing(dependent: NodeRef<'_>, name: &str, hash: &str) -> Error {
    let dependent = dependent.label();
    match DagHash::parse(hash) {
        Ok(hash) => MissingNode { dependent, name: name.to_owned(), hash }.into(),
        Err(error) => Error::BadRecord { package: dependent, reason: error.to_string() },
    }
}
