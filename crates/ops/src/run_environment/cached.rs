//! Environments put together from what the configs of packages say.
//!
//! A list such as `PATH` has, from its front: what is to be run and what recipes say (*dynamic*), what prefix inspections found
//! (*static*), and the base's. The static part lists the packages in topological order, so it can be taken apart from
//! the end; the parts of several images are put together in the order of all of them.

use super::computed::{executables, is_system};
use super::order::{Effective, effective};
use super::prefixes::Prefixes;
use super::variables::{Environment, normal};
use super::weave::{entries, is_list, separator, weave};
use super::{Cached, Inspections, Told};
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use strata_spec::dag::{MissingNode, topological};
use strata_spec::{DagHash, DependencyTypes, Node, NodeSource};

/// What `PATH` ends with where there is no base.
const SYSTEM: [&str; 2] = ["/bin", "/usr/bin"];

/// See [`of_cached`](super::of_cached).
pub(super) fn of_cached(
    source: &dyn NodeSource,
    roots: &[DagHash],
    cached: &HashMap<DagHash, Cached>,
    base: &Environment,
) -> Result<Told, Error> {
    if let [root] = roots
        && let Some(cached) = cached.get(root)
        && !cached.has_base
        && *base == Environment::of_base(None)
    {
        let mut told = Told::known(Environment::of_entries(&cached.env));
        told.unclear.clone_from(&cached.unclear);
        return Ok(told);
    }
    let roots: Vec<&Node> = roots.iter().map(|hash| super::root(source, hash)).collect::<Result<_, _>>()?;
    let nodes = topological(source, &roots, DependencyTypes::RUNTIME)?;
    let order = effective(source, &roots)?;
    let environments: HashMap<&DagHash, Environment> = nodes
        .iter()
        .filter_map(|node| Some((&node.hash, Environment::of_entries(&cached.get(&node.hash)?.env))))
        .collect();
    let named = nodes.iter().filter_map(|node| Some((*node, environments.get(&node.hash)?)));
    let prefixes = Prefixes::find(source, &nodes, named)?;

    // The last to have its say comes first in a list, and decides what is not a list.
    let mut images: Vec<Image<'_>> = Vec::new();
    for Effective { node, .. } in order.iter().filter(|e| roots.iter().any(|root| root.hash == e.node.hash)) {
        let (Some(environment), Some(cached)) = (environments.get(&node.hash), cached.get(&node.hash)) else {
            continue;
        };
        images.push(Image::read(source, node, environment, cached.has_base, &prefixes)?);
    }
    let mut told = Told::known(base.clone());
    for root in &roots {
        match cached.get(&root.hash) {
            None => told.unclear.push(root.label()),
            Some(config) => {
                told.unclear.extend(
                    config
                        .unclear
                        .iter()
                        .filter(|label| !told.unclear.contains(label))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
            }
        }
    }

    let names: BTreeSet<&str> = images.iter().flat_map(|image| image.variables.keys().copied()).collect();
    let inspected = Inspections::spacks();
    let whole = nodes.iter().all(|node| prefixes.get(node).is_some() || node.is_external());
    for name in names {
        let values: Vec<(&Image<'_>, &Variable)> =
            images.iter().filter_map(|image| Some((image, image.variables.get(name)?))).collect();
        let texts = values.iter().map(|(_, variable)| variable.text.as_str());
        if !inspected.has(name) && !is_list(name, texts.clone()) {
            let Some((winner, variable)) = values.first() else { continue };
            if let Some((other, _)) = values.iter().find(|(_, other)| other.text != variable.text) {
                told.warnings.push(format!(
                    "{name} is set differently for {} and {}: the image has what {} says",
                    winner.root.label(),
                    other.root.label(),
                    winner.root.label()
                ));
            }
            told.environment.set(name, &variable.text);
            continue;
        }
        let mut list = if inspected.has(name) && whole && values.len() > 1 {
            sectioned(&values, &nodes, &order, &prefixes)
        } else {
            woven(&values)
        };
        list.extend(base.get(name).map(|below| entries(name, below)).unwrap_or_default());
        for (_, variable) in values.iter().filter(|(_, variable)| !variable.after.is_empty()) {
            weave(&mut list, &variable.after, |_| true);
        }
        told.environment.set(name, &list.join(separator(name)));
    }
    Ok(told)
}

/// What the config of a package says of its environment, without what a base says.
struct Image<'e> {
    root: &'e Node,
    variables: BTreeMap<&'e str, Variable>,
    /// The closure in topological order.
    nodes: Vec<&'e Node>,
}

/// A variable as text and, if it is a list, the entries before and after those of the system or the base.
struct Variable {
    text: String,
    before: Vec<String>,
    after: Vec<String>,
}

impl<'e> Image<'e> {
    fn read(
        source: &'e dyn NodeSource,
        root: &'e Node,
        environment: &'e Environment,
        has_base: bool,
        prefixes: &Prefixes,
    ) -> Result<Self, MissingNode> {
        let nodes = topological(source, &[root], DependencyTypes::RUNTIME)?;
        let mut variables = BTreeMap::new();
        for (name, value) in environment.iter() {
            let mut before = entries(name, value);
            let mut after = Vec::new();
            if has_base {
                // What is the base's cannot be told from what a recipe says of the system: only what names a package counts.
                before.retain(|entry| {
                    prefixes.named_in(entry, &nodes) || is_inspected(name, entry, &nodes, prefixes)
                });
            } else if name == "PATH" {
                (before, after) = around_system(before);
            }
            if before.is_empty() && after.is_empty() {
                continue;
            }
            variables.insert(name, Variable { text: value.to_owned(), before, after });
        }
        Ok(Self { root, variables, nodes })
    }
}

/// What comes before and after the system's directories.
fn around_system(mut list: Vec<String>) -> (Vec<String>, Vec<String>) {
    let at = list.windows(SYSTEM.len()).rposition(|window| window == SYSTEM);
    let Some(at) = at else { return (list, Vec::new()) };
    let after = list.split_off(at + SYSTEM.len());
    list.truncate(at);
    (list, after)
}

/// Whether an inspection by Spack's defaults explains an entry.
pub(super) fn is_inspected(name: &str, entry: &str, nodes: &[&Node], prefixes: &Prefixes) -> bool {
    let found = |prefix: &str| Inspections::spacks().explains(name, entry, prefix);
    !is_system(&normal(entry)) && nodes.iter().filter_map(|node| prefixes.get(node)).any(found)
}

/// Lists of which nothing is known but their order.
fn woven(values: &[(&Image<'_>, &Variable)]) -> Vec<String> {
    let mut list = Vec::new();
    for (_, variable) in values {
        weave(&mut list, &variable.before, |_| true);
    }
    list
}

/// Lists whose dynamic and static parts are put together separately.
fn sectioned(
    values: &[(&Image<'_>, &Variable)],
    nodes: &[&Node],
    order: &[Effective<'_>],
    prefixes: &Prefixes,
) -> Vec<String> {
    let mut found: HashMap<&DagHash, Vec<String>> = HashMap::new();
    let mut dynamic: Vec<Vec<String>> = Vec::new();
    for (image, variable) in values {
        let mut rest = variable.before.as_slice();
        for node in image.nodes.iter().rev() {
            let Some(prefix) = prefixes.get(node) else { continue };
            let own = rest.len() - static_entries(rest, prefix, prefixes);
            let (before, entries) = rest.split_at(own);
            rest = before;
            // Machines on which packages were pushed can differ in what externals have.
            let known = found.entry(&node.hash).or_default();
            if known.len() < entries.len() {
                *known = entries.to_vec();
            }
        }
        dynamic.push(rest.to_vec());
    }
    // What is to be run has its order; what recipes say is put where it was.
    let run: HashSet<&str> = dynamic.iter().flatten().map(String::as_str).collect();
    let mut list: Vec<String> = Vec::new();
    for Effective { node, .. } in order {
        let Some(prefix) = prefixes.get(node) else { continue };
        let [bin, bin64] = executables(prefix);
        list.extend([bin64, bin].into_iter().filter(|directory| run.contains(directory.as_str())));
    }
    for part in &dynamic {
        weave(&mut list, part, |_| true);
    }
    for node in nodes {
        list.extend(found.remove(&node.hash).unwrap_or_default());
    }
    list
}

/// How many entries at the end of `list` are those of one package: below its prefix and no other, and each once.
fn static_entries(list: &[String], prefix: &str, prefixes: &Prefixes) -> usize {
    let mut seen: HashSet<&str> = HashSet::new();
    let own = list.iter().rev().take_while(|entry| prefixes.owner(entry) == Some(prefix));
    own.take_while(|entry| seen.insert(entry)).count()
}
