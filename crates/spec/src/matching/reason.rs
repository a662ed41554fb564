//! A mismatch in words.

use super::dependencies::{self, Unmet as UnmetDependency};
use super::node::{self, Unmet};
use super::visit::Walk;
use super::{Constraint, Mismatch, mismatch};
use crate::abstract_spec::{AbstractSpec, DependencyConstraint};
use crate::catalog::{EdgeRef, NodeRef, ParameterValue};
use std::fmt;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = &self.wanted;
        let Some(found) = &self.found else {
            return match self.constraint {
                Constraint::Variant => write!(f, "no variant {} (asked for {wanted})", subject(wanted)),
                Constraint::Flags => write!(f, "no {} (asked for {wanted})", subject(wanted)),
                Constraint::Dependency => {
                    write!(f, "no dependency on {}", wanted.trim_start_matches(['^', '%', ' ']))
                }
                _ => write!(f, "not {wanted}"),
            };
        };
        match (self.constraint, &self.because) {
            (Constraint::Dependency, Some(because)) => {
                write!(f, "depends on {found}: {because}")
            }
            (Constraint::Dependency, None) => write!(f, "depends on {found}, asked for {wanted}"),
            (Constraint::Version, _) => write!(f, "version {found}, asked for {wanted}"),
            (Constraint::Namespace, _) => write!(f, "namespace {found}, asked for {wanted}"),
            (Constraint::Hash, _) => write!(f, "hash {found}, asked for {wanted}"),
            (Constraint::Name, _) => write!(f, "package {found}, asked for {wanted}"),
            _ => write!(f, "{found}, asked for {wanted}"),
        }
    }
}

/// The name of what is asked for: `mpi` of `+mpi`, `libs` of `libs=shared`.
fn subject(wanted: &str) -> &str {
    let name = wanted.trim_start_matches(['+', '~', '-']);
    name.split(['=', ':']).next().unwrap_or(name)
}

/// What a node has instead of what `spec` asks of it.
pub(super) fn of_node(node: NodeRef<'_>, spec: &AbstractSpec, unmet: Unmet<'_>) -> Mismatch {
    let asked = &spec.architecture;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (constraint, wanted, found) = match unmet {
        Unmet::Hash => (Constraint::Hash, format!("/{}", text(&spec.hash)), Some(short(node.hash()))),
        Unmet::Name => (Constraint::Name, text(&spec.name), Some(node.name().to_owned())),
        Unmet::Namespace => {
            (Constraint::Namespace, text(&spec.namespace), node.namespace().map(str::to_owned))
        }
        Unmet::Version => {
            let wanted = AbstractSpec { versions: spec.versions.clone(), ..AbstractSpec::default() };
            (Constraint::Version, wanted.to_string(), Some(node.version().to_owned()))
        }
        Unmet::Variant(name) => {
            let mut wanted = AbstractSpec::default();
            wanted.variants.extend(spec.variants.get_key_value(name).map(|(k, v)| (k.clone(), v.clone())));
            let of = |node: NodeRef<'_>| node.parameter(name).map(|value| variant(name, &value));
            let found = match spec.variants.get(name).filter(|asked| asked.propagate) {
                Some(asked) => node::contradicting(node, name, asked).and_then(|other| match other == node {
                    true => of(node),
                    false => Some(format!("{} in {}@{}", of(other)?, other.name(), other.version())),
                }),
                None => of(node),
            };
            (Constraint::Variant, wanted.to_string().trim().to_owned(), found)
        }
        Unmet::Platform => {
            let found = format!("platform={}", node.platform());
            (Constraint::Platform, format!("platform={}", text(&asked.platform)), Some(found))
        }
        Unmet::Os => (Constraint::Os, format!("os={}", text(&asked.os)), Some(format!("os={}", node.os()))),
        Unmet::Target => {
            let found = format!("target={}", node.target());
            (Constraint::Target, format!("target={}", text(&asked.target)), Some(found))
        }
        Unmet::Flags(kind) => {
            let mut wanted = AbstractSpec::default();
            wanted.flags.extend(spec.flags.get_key_value(kind).map(|(k, v)| (k.clone(), v.clone())));
            let found = match node.parameter(kind) {
                Some(ParameterValue::Multiple(flags)) if !flags.is_empty() => {
                    Some(format!("{kind}='{}'", flags.join(" ")))
                }
                Some(ParameterValue::Single(flag)) => Some(format!("{kind}={flag}")),
                _ => None,
            };
            (Constraint::Flags, wanted.to_string().trim().to_owned(), found)
        }
    };
    Mismatch { constraint, wanted, found, because: None }
}

/// The variant of a node as a spec has it.
fn variant(name: &str, value: &ParameterValue<'_>) -> String {
    match value {
        ParameterValue::Bool(true) => format!("+{name}"),
        ParameterValue::Bool(false) => format!("~{name}"),
        ParameterValue::Single(value) => format!("{name}={value}"),
        ParameterValue::Multiple(values) => format!("{name}={}", values.join(",")),
    }
}

/// What the DAG below `node` has instead of the dependency that is asked for.
pub(super) fn of_dependency(node: NodeRef<'_>, unmet: UnmetDependency<'_>) -> Mismatch {
    let UnmetDependency { parent, wanted } = unmet;
    let candidates = candidates(node, parent, wanted);
    let failures = candidates.iter().filter_map(|edge| {
        let candidate = edge.node()?;
        Some((candidate, mismatch(candidate, &wanted.spec)?))
    });
    // Nearest is what fails last. Of several, the first.
    let mut nearest: Option<(NodeRef<'_>, Mismatch)> = None;
    for (candidate, failed) in failures {
        if nearest.as_ref().is_none_or(|(_, other)| failed.constraint > other.constraint) {
            nearest = Some((candidate, failed));
        }
    }
    let asked = asked_for(wanted);
    let mismatch = |found, because| Mismatch {
        constraint: Constraint::Dependency,
        wanted: asked.clone(),
        found,
        because,
    };
    match nearest {
        Some((candidate, failed)) => {
            let (found, because) = shown(candidate, failed);
            mismatch(Some(found), because)
        }
        None => mismatch(instead(node, parent, wanted), None),
    }
}

/// The candidate with what it has instead of what was asked for, if that can be said as a spec.
fn shown(candidate: NodeRef<'_>, failed: Mismatch) -> (String, Option<Box<Mismatch>>) {
    let named = format!("{}@{}", candidate.name(), candidate.version());
    match (failed.constraint, &failed.found) {
        (Constraint::Version | Constraint::Name, _) => (named, None),
        (Constraint::Hash, _) => (candidate.label(), None),
        (Constraint::Namespace, Some(namespace)) => (format!("{namespace}.{named}"), None),
        (Constraint::Variant, Some(found)) if found.starts_with(['+', '~']) && !found.contains(' ') => {
            (format!("{named}{found}"), None)
        }
        (
            Constraint::Variant
            | Constraint::Platform
            | Constraint::Os
            | Constraint::Target
            | Constraint::Flags,
            Some(found),
        ) => (format!("{named} {found}"), None),
        _ => (named, Some(Box::new(failed))),
    }
}

fn candidates<'c>(
    node: NodeRef<'c>,
    parent: &AbstractSpec,
    wanted: &DependencyConstraint,
) -> Vec<EdgeRef<'c>> {
    let mut candidates = Vec::new();
    if wanted.direct {
        let holder = dependencies::holder(node, parent, wanted);
        if let Some(holder) = holder.filter(|holder| !dependencies::has_compiler_attribute(*holder)) {
            candidates.extend(dependencies::direct_candidates(holder, wanted));
        }
    } else if wanted.spec.name.is_some() {
        dependencies::candidates_below(node, wanted, |edge| {
            candidates.push(edge);
            Walk::On
        });
    }
    candidates
}

/// What there is where nothing comes into question: the compiler that is an attribute, the same package for another purpose, or
/// the provider of the virtual package that was asked for.
fn instead(node: NodeRef<'_>, parent: &AbstractSpec, wanted: &DependencyConstraint) -> Option<String> {
    let holder = match wanted.direct {
        true => dependencies::holder(node, parent, wanted)?,
        false => node,
    };
    if wanted.direct && dependencies::has_compiler_attribute(holder) {
        let (name, version) = holder.compiler()?;
        return Some(format!("{name}@{}", version.trim_start_matches('=')));
    }
    let of = |edge: &EdgeRef<'_>| match edge.node() {
        Some(node) => format!("{}@{}", node.name(), node.version()),
        None => edge.name().to_owned(),
    };
    let mut found = None;
    let any_purpose = DependencyConstraint {
        spec: AbstractSpec { name: wanted.spec.name.clone(), ..AbstractSpec::default() },
        virtuals: Vec::new(),
        types: Default::default(),
        when: None,
        ..wanted.clone()
    };
    if let Some(edge) = candidates(node, parent, &any_purpose).first() {
        found = Some(format!("{} for another purpose", of(edge)));
    }
    for name in &wanted.virtuals {
        let provider = DependencyConstraint {
            spec: AbstractSpec { name: Some(name.clone()), ..AbstractSpec::default() },
            ..any_purpose.clone()
        };
        if let Some(edge) = candidates(node, parent, &provider).first() {
            found = Some(format!("{} for {name}", of(edge)));
            break;
        }
    }
    found
}

fn asked_for(wanted: &DependencyConstraint) -> String {
    let alone = AbstractSpec {
        dependencies: vec![DependencyConstraint { when: None, ..wanted.clone() }],
        ..AbstractSpec::default()
    };
    alone.to_string().trim().to_owned()
}

fn short(hash: &str) -> String {
    hash.get(..7).unwrap_or(hash).to_owned()
}
