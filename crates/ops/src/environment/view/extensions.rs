//! Which packages extend others: they are put where that is put which they extend.
//!
//! It is the recipes that say so. What they say is kept here for Spack's builtin repository (`extensions.txt`); for other
//! packages there are the rules that hold for build systems.

use crate::error::Error;
use std::collections::{HashMap, HashSet};
use strata_spec::matching::satisfies;
use strata_spec::{AbstractSpec, Catalog, DagHash, DependencyTypes, Node};

/// What the recipes say.
const FACTS: &str = include_str!("extensions.txt");

/// The extensions among some packages.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    extended: HashMap<DagHash, Extended>,
}

#[derive(Debug)]
struct Extended {
    by: DagHash,
    is_python_extension: bool,
}

/// One thing that a recipe says: the package extends `what` if `when` holds.
struct Fact<'t> {
    what: &'t str,
    when: &'t str,
    /// Whether the recipe is of the class that adds files to views in a way of its own.
    is_python_extension: bool,
}

impl Extensions {
    /// Of `nodes`, which are in the catalog.
    ///
    /// # Errors
    /// None in practice: the specs are ours.
    pub(super) fn of(nodes: &[&Node], catalog: &Catalog) -> Result<Self, Error> {
        let names: HashSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let facts = facts(&names);
        let mut extended = HashMap::new();
        for node in nodes.iter().filter(|node| !node.is_external()) {
            let by_build_system = (build_system(node) == Some("python_pip")).then_some(Fact {
                what: "python",
                when: "",
                is_python_extension: true,
            });
            let by_name = node.name.starts_with("r-").then_some(Fact {
                what: "r",
                when: "",
                is_python_extension: false,
            });
            let said = facts.get(node.name.as_str()).into_iter().flatten();
            for fact in said.chain(&by_build_system).chain(&by_name) {
                if let Some(by) = extends(node, fact, catalog)? {
                    let is_python_extension = fact.is_python_extension || by_build_system.is_some();
                    extended.insert(node.hash.clone(), Extended { by, is_python_extension });
                    break;
                }
            }
        }
        Ok(Self { extended })
    }

    /// What the package extends.
    pub(super) fn extended(&self, node: &Node) -> Option<&DagHash> {
        self.extended.get(&node.hash).map(|extended| &extended.by)
    }

    /// Whether the package extends Python in the way that makes scripts of its own for views.
    pub(super) fn is_python_extension(&self, node: &Node) -> bool {
        self.extended.get(&node.hash).is_some_and(|extended| extended.is_python_extension)
    }
}

/// The dependency that the package extends, if the fact holds for it.
fn extends(node: &Node, fact: &Fact<'_>, catalog: &Catalog) -> Result<Option<DagHash>, Error> {
    let spec = |text: &str| -> Result<AbstractSpec, Error> {
        text.parse().map_err(|source| Error::ViewSpec {
            view: node.name.clone(),
            spec: text.to_owned(),
            source: Box::new(source),
        })
    };
    let holds = |hash: &DagHash, text: &str| -> Result<bool, Error> {
        let spec = spec(text)?;
        Ok(catalog.with_hash(hash.as_str()).next().is_some_and(|node| satisfies(node, &spec)))
    };
    if !fact.when.is_empty() && !holds(&node.hash, fact.when)? {
        return Ok(None);
    }
    let name = fact.what.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or_default();
    let below = node
        .dependencies
        .iter()
        .filter(|edge| edge.name == name && edge.types.intersects(DependencyTypes::RUNTIME));
    for edge in below {
        if holds(&edge.hash, fact.what)? {
            return Ok(Some(edge.hash.clone()));
        }
    }
    Ok(None)
}

fn build_system(node: &Node) -> Option<&str> {
    node.parameters.get("build_system")?.as_str()
}

/// What is said of packages of these names.
fn facts(names: &HashSet<&str>) -> HashMap<&'static str, Vec<Fact<'static>>> {
    let mut facts: HashMap<&'static str, Vec<Fact<'static>>> = HashMap::new();
    let mut heading = None;
    for line in FACTS.lines().filter(|line| !line.starts_with('#')) {
        if let Some(packages) = line.strip_prefix("    ") {
            let Some((what, when, is_python_extension)) = heading else { continue };
            for name in packages.split(' ').filter(|name| names.contains(name)) {
                facts.entry(name).or_default().push(Fact { what, when, is_python_extension });
            }
        } else if let Some((kind, rest)) = line.split_once(' ') {
            let mut columns = rest.split('|').map(str::trim);
            heading = columns
                .next()
                .zip(columns.next())
                .map(|(what, when)| (what, when, kind == "python-extension"));
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_kept_can_be_read() {
        let names: HashSet<&str> = FACTS
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .flat_map(|line| line.split(' '))
            .collect();
        let facts = facts(&names);
        assert!(facts.len() > 150, "{}", facts.len());
        for fact in facts.values().flatten() {
            for text in [fact.what, fact.when] {
                assert!(text.parse::<AbstractSpec>().is_ok(), "{text}");
            }
        }
        let perl = facts.get("perl-dbi").or_else(|| facts.get("perl-json")).unwrap();
        assert!(perl.iter().any(|fact| fact.what == "perl" && !fact.is_python_extension));
    }
}
