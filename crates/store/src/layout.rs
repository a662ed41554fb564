//! The prefix of a spec: what the database says, else Spack's default projection.

use crate::root::StoreRoot;
use std::path::PathBuf;
use strata_spec::{Database, Node};

/// Where `node` is, or is to be, installed in this store: the path of its record where the database has one, be it
/// installed or not; else [`default_prefix`].
///
/// None for an external without a path, which lives in an environment module.
pub fn prefix(root: &StoreRoot, database: &Database, node: &Node) -> Option<PathBuf> {
    let recorded = database.records.get(&node.hash).and_then(|record| record.path.as_deref());
    recorded.map(PathBuf::from).or_else(|| default_prefix(root, node))
}

/// Where Spack puts `node` by default:
/// `<root>/{architecture.platform}-{architecture.target}/{name}-{version}-{hash}`, each component of it with the
/// characters Spack keeps out of file names replaced; an external is where it is.
pub fn default_prefix(root: &StoreRoot, node: &Node) -> Option<PathBuf> {
    if let Some(external) = &node.external {
        return external.path.as_ref().map(PathBuf::from);
    }
    let platform = file_name(&format!("{}-{}", node.architecture.platform, node.architecture.target));
    let package = file_name(&format!("{}-{}-{}", node.name, node.version, node.hash));
    Some(root.root().join(platform).join(package))
}

/// Spack's `polite_filename`: what is not an ASCII letter, a digit or one of `_+.-` becomes `_`.
pub fn file_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "_+.-".contains(c) { c } else { '_' }).collect()
}
