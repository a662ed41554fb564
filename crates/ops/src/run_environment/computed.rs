//! What follows from the prefixes alone: the changes that Spack makes for any package, whatever its recipe says.

use super::order::{Effective, effective};
use super::variables::{Change, normal};
use super::{Inspections, external};
use std::path::{Path, PathBuf};
use strata_spec::dag::{MissingNode, topological};
use strata_spec::{DependencyTypes, Node, NodeSource};

/// What is known of where packages lie.
pub(super) struct Places<'a> {
    /// The prefix of a package, if it has one.
    pub(super) prefix: &'a dyn Fn(&Node) -> Option<String>,
    /// Whether there is a directory.
    pub(super) is_directory: &'a dyn Fn(&Path) -> bool,
}

/// The changes for `roots`, in the order in which they are made.
pub(super) fn changes(
    source: &(impl NodeSource + ?Sized),
    roots: &[&Node],
    inspections: &Inspections,
    places: &Places<'_>,
) -> Result<Vec<(String, Change)>, MissingNode> {
    let mut changes = Vec::new();
    for node in topological(source, roots, DependencyTypes::RUNTIME)?.into_iter().rev() {
        let Some(prefix) = (places.prefix)(node) else { continue };
        for (directory, variables) in &inspections.0 {
            let path = normal(&below(&prefix, directory));
            if (places.is_directory)(Path::new(&path)) && !is_system(&path) {
                changes.extend(variables.iter().map(|name| (name.clone(), Change::Prepend(path.clone()))));
            }
        }
    }
    // Externals first, so that they cannot hide what Spack built.
    let order = effective(source, roots)?;
    let (externals, own): (Vec<_>, Vec<_>) = order.into_iter().rev().partition(|e| e.node.is_external());
    for Effective { node, executable, .. } in externals.into_iter().chain(own) {
        let prefix = (places.prefix)(node).filter(|prefix| executable && !is_system(&normal(prefix)));
        for directory in prefix.iter().flat_map(|prefix| executables(prefix)) {
            if (places.is_directory)(Path::new(&directory)) {
                changes.push(("PATH".to_owned(), Change::Prepend(directory)));
            }
        }
        changes.extend(external::changes(node));
    }
    Ok(changes)
}

/// Where the executables of a package are that is to be found by them.
pub(super) fn executables(prefix: &str) -> [String; 2] {
    ["bin", "bin64"].map(|name| normal(&format!("{prefix}/{name}")))
}

/// `directory` below `prefix`; one that is absolute stands for itself.
pub(super) fn below(prefix: &str, directory: &Path) -> String {
    PathBuf::from(prefix).join(directory).to_string_lossy().into_owned()
}

/// Whether a normalised path is one of the directories that every system has: they are never put into a list.
pub(super) fn is_system(path: &str) -> bool {
    let parent = match path.rsplit_once('/') {
        Some((parent, "bin" | "bin64" | "include" | "lib" | "lib64")) => parent,
        _ => path,
    };
    matches!(parent, "" | "/" | "/usr" | "/usr/local")
}
