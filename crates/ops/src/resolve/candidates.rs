//! The concrete specs that an abstract one can mean.

use super::stock::Stock;
use std::collections::HashSet;
use strata_spec::catalog::NodeRef;
use strata_spec::matching::{Question, known_providers};
use strata_spec::{AbstractSpec, Catalog};

/// The concrete specs of `stock` to look at for `spec`: by the start of a hash, else by name or as providers of a virtual
/// package of that name, else all. Each hash once: that one whose catalog knows of a binary, the first mirror's first.
pub(crate) fn of_the_kind<'s>(stock: &'s Stock<'s>, spec: &AbstractSpec) -> Vec<NodeRef<'s>> {
    let mut of_catalogs: Vec<Vec<NodeRef<'s>>> =
        stock.catalogs().map(|catalog| in_catalog(catalog, spec)).filter(|nodes| !nodes.is_empty()).collect();
    // One catalog has each hash once.
    if of_catalogs.len() < 2 {
        return of_catalogs.pop().unwrap_or_default();
    }
    let mut nodes = of_catalogs.concat();
    nodes.sort_by(|a, b| a.hash().cmp(b.hash()).then(b.in_buildcache().cmp(&a.in_buildcache())));
    nodes.dedup_by(|a, b| a.hash() == b.hash());
    nodes
}

/// Those of one catalog.
pub(crate) fn in_catalog<'c>(catalog: &'c Catalog, spec: &AbstractSpec) -> Vec<NodeRef<'c>> {
    match (&spec.hash, &spec.name) {
        (Some(hash), _) => catalog.with_hash(hash).collect(),
        (None, Some(name)) => {
            let mut seen = HashSet::new();
            let known = known_providers(name).into_iter().flat_map(|package| catalog.named(package));
            let nodes = catalog.named(name).chain(catalog.providers(name)).chain(known);
            nodes.filter(|node| seen.insert(node.number())).collect()
        }
        (None, None) => catalog.nodes().collect(),
    }
}

/// Those that are what `spec` asks for.
pub(crate) fn matching<'s>(stock: &'s Stock<'s>, spec: &AbstractSpec) -> Vec<NodeRef<'s>> {
    satisfying(stock, spec, of_the_kind(stock, spec))
}

/// Those of some nodes of `stock` that are what `spec` asks for.
pub(crate) fn satisfying<'s>(
    stock: &'s Stock<'s>,
    spec: &AbstractSpec,
    nodes: Vec<NodeRef<'s>>,
) -> Vec<NodeRef<'s>> {
    let mut questions: Vec<Question<'_, '_>> =
        stock.catalogs().map(|catalog| Question::new(catalog, spec)).collect();
    let mut is_wanted = |node: &NodeRef<'s>| {
        questions.iter_mut().any(|question| question.is_about(*node) && question.is_met_by(*node))
    };
    nodes.into_iter().filter(|node| is_wanted(node)).collect()
}
