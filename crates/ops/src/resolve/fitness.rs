//! Whether a concrete spec can be used here: its binary and those of all it needs at run time are to be had, and run on
//! the machine.
//!
//! A closure is walked once for all the specs that share it: each node is judged after those below it, and its verdict
//! kept.

use super::stock::Stock;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use strata_spec::catalog::NodeRef;
use strata_spec::host::{Host, Unfit, unfit};
use strata_spec::{Catalog, DependencyTypes};

/// Why a concrete spec cannot be used here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Obstacle {
    /// It does not run on this machine.
    Host {
        /// The package: none if it is the one that was asked for, else one that it needs.
        #[serde(skip_serializing_if = "Option::is_none")]
        dependency: Option<String>,
        /// Which property of the machine: `platform`, `target`, `libc`, `os`.
        property: &'static str,
        /// The reason, as a sentence.
        reason: String,
    },
    /// No mirror has its binary; others were built with it.
    NotCached {
        /// Whether it is only external: it belongs to the machines that packages were built on.
        external: bool,
    },
    /// A package that it needs at run time is in no mirror and not installed.
    MissingDependency {
        /// Label of what is missing.
        dependency: String,
    },
    /// Its record names a dependency that has no record itself.
    Incomplete {
        /// Label of what is missing.
        dependency: String,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { dependency: None, reason, .. } => f.write_str(reason),
            Self::Host { dependency: Some(dependency), reason, .. } => {
                write!(f, "{dependency}, which it needs: {reason}")
            }
            Self::NotCached { external: true } => {
                f.write_str("external: it was part of the machine that others were built on")
            }
            Self::NotCached { external: false } => {
                f.write_str("known as a dependency of others, its own binary is in no mirror")
            }
            Self::MissingDependency { dependency } => {
                write!(f, "needs {dependency}, whose binary is in no mirror")
            }
            Self::Incomplete { dependency } => {
                write!(f, "needs {dependency}, which the index names without describing it")
            }
        }
    }
}

/// What was found out of one node.
#[derive(Clone, Debug)]
enum Verdict {
    Usable,
    /// By itself, or for what is below it, if that is named.
    Unusable {
        below: Option<String>,
        obstacle: Obstacle,
    },
}

/// Judges concrete specs for one machine, or for any.
pub(crate) struct Fitness<'s> {
    stock: &'s Stock<'s>,
    host: Option<&'s Host>,
    verdicts: RefCell<HashMap<(*const Catalog, u32), Verdict>>,
}

impl<'s> Fitness<'s> {
    /// For `host`, or, without one, for whatever machine.
    pub(crate) fn new(stock: &'s Stock<'s>, host: Option<&'s Host>) -> Self {
        Self { stock, host, verdicts: RefCell::default() }
    }

    /// What stands in the way of using `node`; none if nothing does.
    pub(crate) fn obstacle(&self, node: NodeRef<'s>) -> Option<Obstacle> {
        if node.is_external() {
            return Some(Obstacle::NotCached { external: true });
        }
        self.judge(node);
        match self.verdicts.borrow().get(&key(node)) {
            Some(Verdict::Unusable { below: None, obstacle }) => Some(obstacle.clone()),
            Some(Verdict::Unusable { below: Some(dependency), obstacle }) => {
                let dependency = dependency.clone();
                Some(match obstacle {
                    Obstacle::Host { property, reason, .. } => {
                        Obstacle::Host { dependency: Some(dependency), property, reason: reason.clone() }
                    }
                    Obstacle::NotCached { .. } => Obstacle::MissingDependency { dependency },
                    other => other.clone(),
                })
            }
            Some(Verdict::Usable) | None => None,
        }
    }

    /// Judges `root` after everything below it. The stack is explicit: a DAG can be deeper than a thread's.
    fn judge(&self, root: NodeRef<'s>) {
        let mut stack = vec![(root, false)];
        while let Some((node, is_below_judged)) = stack.pop() {
            if self.verdicts.borrow().contains_key(&key(node)) && !is_below_judged {
                continue;
            }
            if !is_below_judged {
                // Where indexes contradict themselves there may be a circle: what is begun counts as usable in it.
                self.verdicts.borrow_mut().insert(key(node), Verdict::Usable);
                stack.push((node, true));
                let below = needed(node).filter_map(|edge| edge.node()).filter(|node| !node.is_external());
                stack.extend(below.map(|node| (node, false)));
                continue;
            }
            let verdict = self.alone(node).or_else(|| self.below(node)).unwrap_or(Verdict::Usable);
            self.verdicts.borrow_mut().insert(key(node), verdict);
        }
    }

    fn alone(&self, node: NodeRef<'s>) -> Option<Verdict> {
        let unusable = |obstacle| Some(Verdict::Unusable { below: None, obstacle });
        let is_to_be_had = node.in_buildcache()
            || self.stock.has_binary(node.hash())
            || self.stock.is_installed(node.hash());
        if !is_to_be_had {
            return unusable(Obstacle::NotCached { external: false });
        }
        let host = self.host?;
        let reason = unfit(node, host).or_else(|| on_another_system(node, host))?;
        let property = match &reason {
            Unfit::Platform { .. } => "platform",
            Unfit::Target { .. } => "target",
            Unfit::Libc { .. } => "libc",
            Unfit::Os { .. } => "os",
        };
        unusable(Obstacle::Host { dependency: None, property, reason: reason.to_string() })
    }

    fn below(&self, node: NodeRef<'s>) -> Option<Verdict> {
        let verdicts = self.verdicts.borrow();
        needed(node).find_map(|edge| {
            let Some(dependency) = edge.node() else {
                let short = edge.hash().get(..7).unwrap_or(edge.hash());
                let dependency = format!("{}/{short}", edge.name());
                return Some(Verdict::Unusable {
                    below: None,
                    obstacle: Obstacle::Incomplete { dependency },
                });
            };
            match verdicts.get(&key(dependency)) {
                Some(Verdict::Unusable { obstacle: Obstacle::NotCached { .. }, .. })
                    if self.stock.tolerates_missing() =>
                {
                    None
                }
                Some(Verdict::Unusable { below, obstacle }) => {
                    let below = below.clone().unwrap_or_else(|| dependency.label());
                    Some(Verdict::Unusable { below: Some(below), obstacle: obstacle.clone() })
                }
                _ => None,
            }
        })
    }
}

/// Where it is not known which C library a machine has, only what was built on the same system can be told to run there.
fn on_another_system(node: NodeRef<'_>, host: &Host) -> Option<Unfit> {
    let os = host.os.as_ref().filter(|os| host.libc.is_none() && *os != node.os())?;
    Some(Unfit::Os { built_on: node.os().to_owned(), host: os.clone() })
}

/// The edges to what the node needs at run time.
fn needed(node: NodeRef<'_>) -> impl Iterator<Item = strata_spec::catalog::EdgeRef<'_>> {
    node.edges().filter(|edge| edge.types().intersects(DependencyTypes::RUNTIME))
}

fn key(node: NodeRef<'_>) -> (*const Catalog, u32) {
    (std::ptr::from_ref(node.catalog()), node.number())
}
