//! `buildcache list`: which packages caches have, and which of them run on a machine.

use crate::error::Error;
use crate::explain::Explanation;
use crate::packages;
use crate::report::Silent;
use crate::resolve::{Mirror, Stock};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use strata_spec::catalog::NodeRef;
use strata_spec::host::{Host, Unfit, unfit};
use strata_spec::matching::Question;
use strata_spec::{AbstractSpec, Catalog, Database, Version};

/// A package of a cache.
#[derive(Clone, Debug)]
pub struct Listed<'c> {
    /// Its spec.
    pub node: NodeRef<'c>,
    /// Which of the catalogs it is in; the first, if several have it.
    pub catalog: usize,
    /// Why it does not run on the machine, if it does not.
    pub unfit: Option<Unfit>,
}

/// Why packages do not run on the machine, the commonest reason first.
#[derive(Clone, Debug, Serialize)]
pub struct Hidden {
    /// In words.
    pub reason: String,
    /// How many packages.
    pub packages: usize,
}

/// What answers a question, and what does not.
#[derive(Debug)]
pub struct Listing<'c> {
    /// The packages, by name, version and hash; each once.
    pub packages: Vec<Listed<'c>>,
    /// The specs that none of them satisfies.
    pub unmatched: Vec<AbstractSpec>,
}

/// The packages that satisfy any of `specs`; all if there are none.
pub fn list<'c>(catalogs: &'c [Catalog], specs: &[AbstractSpec], host: &Host) -> Listing<'c> {
    let everything = [AbstractSpec::default()];
    let questions = if specs.is_empty() { &everything[..] } else { specs };
    let (mut seen, mut packages, mut unmatched) = (HashSet::new(), Vec::new(), Vec::new());
    for spec in questions {
        let mut found = false;
        for (catalog, nodes) in catalogs.iter().enumerate() {
            let mut question = Question::new(nodes, spec);
            for node in nodes.nodes().filter(|node| node.in_buildcache()) {
                if !question.is_met_by(node) {
                    continue;
                }
                found = true;
                if seen.insert(node.hash()) {
                    packages.push(Listed { node, catalog, unfit: unfit(node, host) });
                }
            }
        }
        if !found && !specs.is_empty() {
            unmatched.push(spec.clone());
        }
    }
    packages.sort_by_cached_key(|listed| {
        let node = listed.node;
        (node.name(), node.version().parse::<Version>().ok(), node.hash())
    });
    Listing { packages, unmatched }
}

/// What it means that no index lists `spec`: what was nearest, which mirror could not be asked, or that there are tags that
/// the index lacks.
pub fn miss(spec: &AbstractSpec, mirrors: &[Mirror], host: &Host, kept: Option<&Path>) -> Error {
    let nothing = Database::default();
    let mut stock = match Stock::gather(std::slice::from_ref(spec), None, mirrors, &nothing, kept, &Silent) {
        Ok(stock) => stock,
        Err(error) => return error,
    };
    match packages::none(&mut stock, spec, Some(host)) {
        Error::NoBinary(explanation) => match *explanation {
            Explanation { chosen: Some(chosen), spec, .. } => {
                Error::NotIndexed { spec, package: chosen.package, place: chosen.mirrors.join(", ") }
            }
            nothing => Error::NoBinary(Box::new(nothing)),
        },
        error => error,
    }
}

/// Why those that do not run on the machine do not, the commonest reason first.
pub fn hidden(listed: &[Listed<'_>]) -> Vec<Hidden> {
    let mut reasons: HashMap<String, usize> = HashMap::new();
    for unfit in listed.iter().filter_map(|listed| listed.unfit.as_ref()) {
        *reasons.entry(unfit.to_string()).or_default() += 1;
    }
    let mut hidden: Vec<Hidden> =
        reasons.into_iter().map(|(reason, packages)| Hidden { reason, packages }).collect();
    hidden.sort_by(|a, b| b.packages.cmp(&a.packages).then_with(|| a.reason.cmp(&b.reason)));
    hidden
}
