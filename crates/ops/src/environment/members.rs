//! What an environment consists of: the roots of its lockfile and all below them.

use crate::error::Error;
use std::collections::HashSet;
use strata_spec::dag::topological;
use strata_spec::lockfile::{Lockfile, Root};
use strata_spec::matching::Question;
use strata_spec::{AbstractSpec, Catalog, DagHash, DependencyTypes, Node, NodeSource};

/// The roots, those of environments that are included last; each package once.
pub fn roots(lockfile: &Lockfile) -> Vec<&Root> {
    let mut seen = HashSet::new();
    let roots = lockfile.roots.iter().chain(lockfile.included.values().flatten());
    roots.filter(|root| seen.insert(&root.hash)).collect()
}

/// The roots and all below them, what they were built with included.
///
/// # Errors
/// If the lockfile lacks one.
pub fn members(lockfile: &Lockfile) -> Result<Vec<&Node>, Error> {
    let roots: Vec<&Node> =
        roots(lockfile).into_iter().filter_map(|root| lockfile.node(&root.hash)).collect();
    Ok(topological(lockfile, &roots, DependencyTypes::ALL)?)
}

/// The members that satisfy any of `specs`.
///
/// # Errors
/// As [`members`].
pub fn matching<'l>(lockfile: &'l Lockfile, specs: &[AbstractSpec]) -> Result<Vec<&'l Node>, Error> {
    let members = members(lockfile)?;
    let catalog = Catalog::of_nodes(members.iter().map(|node| (*node, false)));
    let mut met: HashSet<DagHash> = HashSet::new();
    for spec in specs {
        let mut question = Question::new(&catalog, spec);
        let nodes = catalog.nodes().filter(|node| question.is_met_by(*node));
        met.extend(nodes.filter_map(|node| DagHash::parse(node.hash()).ok()));
    }
    Ok(members.into_iter().filter(|node| met.contains(&node.hash)).collect())
}
