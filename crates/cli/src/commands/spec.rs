//! `strata spec`: what would be installed, as a tree.

use super::resolving::{Resolving, recorded};
use crate::args::{self, Deptype};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::resolve::{Resolved, resolve};
use strata_spec::{DagHash, Database, DependencyTypes, Node, NodeSource, format};

/// The types of dependencies, as Spack abbreviates and names them.
const TYPES: [(DependencyTypes, char, &str); 4] = [
    (DependencyTypes::BUILD, 'b', "build"),
    (DependencyTypes::LINK, 'l', "link"),
    (DependencyTypes::RUN, 'r', "run"),
    (DependencyTypes::TEST, 't', "test"),
];

/// Shows what would be installed.
pub(crate) fn spec(
    args: &args::Spec,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let resolving = Resolving::new(&args.specs, &args.from, settings, console)?;
    let installed = recorded(settings, console)?;
    let database = installed.database();
    let resolved = resolve(&resolving.request(args.unify), resolving.stock(database, console)?)?;
    let tree = Tree { resolved: &resolved, database, types: types(&args.deptype), args };
    let lines = tree.lines();
    let result = json!({
        "roots": resolved.roots, "chosen": resolved.chosen,
        "nodes": tree.nodes(&lines),
    });
    Ok(Outcome::new(lines.iter().map(|line| tree.text(line)).collect(), &result)?)
}

fn types(names: &[Deptype]) -> DependencyTypes {
    names.iter().fold(DependencyTypes::default(), |types, name| {
        types
            | match name {
                Deptype::Build => DependencyTypes::BUILD,
                Deptype::Link => DependencyTypes::LINK,
                Deptype::Run => DependencyTypes::RUN,
                Deptype::Test => DependencyTypes::TEST,
                Deptype::All => DependencyTypes::ALL,
            }
    })
}

struct Tree<'t> {
    resolved: &'t Resolved,
    database: &'t Database,
    types: DependencyTypes,
    args: &'t args::Spec,
}

/// One node where it is met first.
struct Line<'t> {
    node: &'t Node,
    depth: usize,
    /// What those above need it for.
    types: DependencyTypes,
}

impl<'t> Tree<'t> {
    /// Depth first, dependencies by name, each node once; what was asked for is there even if another needs it.
    fn lines(&self) -> Vec<Line<'t>> {
        let mut lines = Vec::new();
        let mut seen: HashSet<&DagHash> = HashSet::new();
        let nothing = DependencyTypes::default();
        let roots = self.resolved.roots.iter().rev().map(|hash| (hash, 0, nothing));
        let mut stack: Vec<(&DagHash, usize, DependencyTypes)> = roots.collect();
        while let Some((hash, depth, types)) = stack.pop() {
            let Some(node) = self.resolved.node(hash) else { continue };
            let is_new = seen.insert(hash);
            if is_new || depth == 0 {
                lines.push(Line { node, depth, types });
            }
            if !is_new {
                continue;
            }
            let mut edges: Vec<_> =
                node.dependencies.iter().filter(|edge| edge.types.intersects(self.types)).collect();
            edges.sort_by(|a, b| b.name.cmp(&a.name));
            stack.extend(edges.into_iter().map(|edge| (&edge.hash, depth + 1, edge.types)));
        }
        lines
    }

    /// Each node once.
    fn nodes(&self, lines: &[Line<'_>]) -> Vec<Value> {
        let mut seen = HashSet::new();
        let new = lines.iter().filter(|line| seen.insert(&line.node.hash));
        new.map(|line| self.json(line.node)).collect()
    }

    fn text(&self, line: &Line<'_>) -> String {
        let Line { node, depth, types } = line;
        let mut text = String::new();
        if !self.args.no_install_status {
            write!(text, "{}  ", self.status(node).0).ok();
        }
        if self.args.very_long {
            write!(text, "{}  ", node.hash).ok();
        } else if self.args.long {
            write!(text, "{}  ", node.hash.short()).ok();
        }
        if self.args.types {
            let letter = |(t, letter, _): &(DependencyTypes, char, &str)| {
                if types.intersects(*t) { *letter } else { ' ' }
            };
            write!(text, "[{}]  ", TYPES.iter().map(letter).collect::<String>()).ok();
        }
        let sigil = if *depth > 0 { "^" } else { "" };
        let namespace = node.namespace.as_ref().filter(|_| self.args.namespaces);
        let namespace = namespace.map(|name| format!("{name}.")).unwrap_or_default();
        writeln!(text, "{}{sigil}{namespace}{}", "    ".repeat(*depth), format::canonical(node)).ok();
        text
    }

    /// How the node is marked, and what that means.
    fn status(&self, node: &Node) -> (&'static str, &'static str) {
        if node.is_external() {
            ("[e]", "external")
        } else if self.database.records.get(&node.hash).is_some_and(|record| record.installed) {
            ("[+]", "installed")
        } else if self.resolved.is_cached(&node.hash) {
            ("[b]", "cached")
        } else {
            (" - ", "missing")
        }
    }

    fn json(&self, node: &Node) -> Value {
        let edges = node.dependencies.iter().filter(|edge| edge.types.intersects(self.types));
        let edges: Vec<Value> = edges
            .map(|edge| {
                let types = TYPES.iter().filter(|(t, ..)| edge.types.intersects(*t)).map(|(.., name)| name);
                json!({
                    "name": edge.name, "hash": edge.hash, "types": types.collect::<Vec<_>>(),
                    "virtuals": edge.virtuals,
                })
            })
            .collect();
        json!({
            "name": node.name, "version": node.version, "hash": node.hash, "namespace": node.namespace,
            "spec": format::canonical(node), "status": self.status(node).1,
            "mirrors": self.resolved.mirror_names(&node.hash), "dependencies": edges,
        })
    }
}
