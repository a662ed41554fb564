//! Where packages lie in an image, told by its environment: concrete specs do not say.
//!
//! A path of which one component holds the DAG hash of a package is below its prefix, and `CMAKE_PREFIX_PATH` has the prefixes
//! themselves. Where a store's projections leave the hash out, the latter has one entry for each package, in a known order.

use super::variables::{Environment, normal};
use super::weave::entries;
use std::collections::HashMap;
use std::path::Path;
use strata_spec::dag::{MissingNode, topological};
use strata_spec::{DagHash, DependencyTypes, Node, NodeSource};

/// The list that has the prefixes themselves.
const PREFIXES: &str = "CMAKE_PREFIX_PATH";

/// Prefixes of packages.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    of: HashMap<DagHash, String>,
    /// All of them, and whether what lies there is external.
    external: HashMap<String, bool>,
}

impl Prefixes {
    /// The prefixes of those `nodes` that one of the `environments` names. Each environment comes with the root of its image.
    pub(super) fn find<'e>(
        source: &(impl NodeSource + ?Sized),
        nodes: &[&Node],
        environments: impl IntoIterator<Item = (&'e Node, &'e Environment)>,
    ) -> Result<Self, MissingNode> {
        let mut prefixes = Self::default();
        for node in nodes {
            if let Some(path) = node.external.as_ref().and_then(|external| external.path.as_ref()) {
                prefixes.of.insert(node.hash.clone(), normal(path));
            }
        }
        let hashes: HashMap<&str, &Node> = nodes.iter().map(|node| (node.hash.as_str(), *node)).collect();
        for (root, environment) in environments {
            for (_, value) in environment.iter() {
                for entry in value.split(':').filter(|entry| entry.starts_with('/')) {
                    prefixes.learn(entry, &hashes);
                }
            }
            prefixes.learn_in_order(source, root, environment)?;
        }
        for node in nodes {
            if let Some(prefix) = prefixes.of.get(&node.hash) {
                *prefixes.external.entry(prefix.clone()).or_insert(true) &= node.is_external();
            }
        }
        Ok(prefixes)
    }

    /// The prefix of a package.
    pub(super) fn get(&self, node: &Node) -> Option<&str> {
        self.of.get(&node.hash).map(String::as_str)
    }

    /// The prefix that `path` is or lies below: the longest, since one may lie below another (a store below `/usr/local`, and
    /// an external in `/usr`).
    pub(super) fn owner(&self, path: &str) -> Option<&str> {
        let mut paths = Path::new(path.trim_end_matches('/')).ancestors().filter_map(Path::to_str);
        paths.find_map(|path| self.external.get_key_value(path)).map(|(prefix, _)| prefix.as_str())
    }

    /// Whether a text names the prefix of one of `nodes` that Spack built.
    pub(super) fn named_in(&self, text: &str, nodes: &[&Node]) -> bool {
        if !text.contains([':', ' ']) && self.owner(text).is_some_and(|prefix| !self.external[prefix]) {
            return true;
        }
        let own = nodes.iter().filter(|node| !node.is_external());
        own.filter_map(|node| self.get(node)).any(|prefix| names(text, prefix))
    }

    /// Learns from a path one of whose components holds a hash.
    fn learn(&mut self, path: &str, hashes: &HashMap<&str, &Node>) {
        let mut end = 0;
        for component in path.split('/') {
            end += component.len();
            if let Some(node) = hash_in(component, hashes) {
                self.of.entry(node.hash.clone()).or_insert_with(|| path[..end].to_owned());
                return;
            }
            end += 1;
        }
    }

    /// Learns from the list of prefixes, if it has as many as there are packages.
    fn learn_in_order(
        &mut self,
        source: &(impl NodeSource + ?Sized),
        root: &Node,
        environment: &Environment,
    ) -> Result<(), MissingNode> {
        let nodes = topological(source, &[root], DependencyTypes::RUNTIME)?;
        let own: Vec<&&Node> = nodes.iter().filter(|node| !node.is_external()).collect();
        if own.iter().all(|node| self.of.contains_key(&node.hash)) {
            return Ok(());
        }
        let externals: Vec<&str> =
            nodes.iter().filter(|n| n.is_external()).filter_map(|n| self.get(n)).collect();
        let mut listed = environment.get(PREFIXES).map(|list| entries(PREFIXES, list)).unwrap_or_default();
        listed.retain(|entry| !externals.contains(&entry.as_str()));
        if listed.len() == own.len() {
            let known = own.iter().zip(listed).map(|(node, prefix)| (node.hash.clone(), prefix));
            for (hash, prefix) in known.collect::<Vec<_>>() {
                self.of.entry(hash).or_insert(prefix);
            }
        }
        Ok(())
    }
}

/// Whether `text` has the path `prefix` in it, or one below.
pub(super) fn names(text: &str, prefix: &str) -> bool {
    text.match_indices(prefix).any(|(at, _)| is_whole(text, at, prefix.len()))
}

/// Whether the path that is found at `at` is not a part of a longer one. An option may stand right before it (`-I/path`), and
/// so may the beginning of an address (`file:///path`).
pub(super) fn is_whole(text: &str, at: usize, length: usize) -> bool {
    let (before, after) = (&text[..at], &text[at + length..]);
    let rest = before.trim_end_matches(is_name);
    let begins = match &before[rest.len()..] {
        "" => !rest.ends_with('/') || rest.ends_with("://"),
        word => word.starts_with('-') && !rest.ends_with('/'),
    };
    begins && !after.starts_with(is_name)
}

/// Whether `text` has the path `directory` in it, or one below, whatever stands before.
pub(super) fn mentions(text: &str, directory: &str) -> bool {
    text.match_indices(directory).any(|(at, _)| !text[at + directory.len()..].starts_with(is_name))
}

/// Whether a character can be a part of a name in a path.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+')
}

/// The package whose hash is in a component of a path.
fn hash_in<'n>(component: &str, hashes: &HashMap<&str, &'n Node>) -> Option<&'n Node> {
    const LENGTH: usize = 32;
    // By the end first: that is where projections have it.
    (LENGTH..=component.len()).rev().find_map(|end| hashes.get(component.get(end - LENGTH..end)?).copied())
}
