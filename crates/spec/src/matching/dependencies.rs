//! What is asked of a node's dependencies: `^` of all that is linked or run below it and of what it was built with itself,
//! `%` of its direct dependencies.

use super::virtuals::{compiler_provides, is_virtual};
use super::visit::{self, Walk};
use super::{satisfies, satisfies_alone};
use crate::abstract_spec::{AbstractSpec, DependencyConstraint};
use crate::catalog::{Catalog, EdgeRef, NodeRef};
use crate::dag::DependencyTypes;

/// A constraint on a dependency that is not met, and the part of the spec it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Unmet<'s> {
    pub(super) parent: &'s AbstractSpec,
    pub(super) wanted: &'s DependencyConstraint,
}

/// The first constraint on dependencies, those of dependencies included, that the DAG below `node` does not meet.
pub(super) fn unmet<'s>(node: NodeRef<'_>, parent: &'s AbstractSpec) -> Option<Unmet<'s>> {
    for wanted in &parent.dependencies {
        if !is_met(node, parent, wanted) {
            return Some(Unmet { parent, wanted });
        }
        if let Some(unmet) = unmet(node, &wanted.spec) {
            return Some(unmet);
        }
    }
    None
}

pub(super) fn is_met(node: NodeRef<'_>, parent: &AbstractSpec, wanted: &DependencyConstraint) -> bool {
    if !applies(node, parent, wanted) {
        return true;
    }
    if !wanted.direct {
        return is_below(node, wanted);
    }
    let Some(holder) = holder(node, parent, wanted) else { return false };
    if has_compiler_attribute(holder) {
        return compiler_matches(holder, &wanted.spec);
    }
    direct_candidates(holder, wanted).any(|edge| leads_to(edge, &wanted.spec, satisfies))
}

/// Whether the condition of the constraint holds. It is about what the spec says the dependency is of; where there is no such
/// thing the constraint holds whatever its condition.
pub(super) fn applies(node: NodeRef<'_>, parent: &AbstractSpec, wanted: &DependencyConstraint) -> bool {
    let Some(when) = &wanted.when else { return true };
    let tested = match parent.name.as_deref() {
        None => Some(node),
        Some(name) if name == node.name() => Some(node),
        Some(name) => lookup(node, name).filter(|found| satisfies(*found, &named(name))),
    };
    tested.is_none_or(|tested| satisfies(tested, when))
}

fn named(name: &str) -> AbstractSpec {
    AbstractSpec { name: Some(name.to_owned()), ..AbstractSpec::default() }
}

/// The node whose direct dependency is asked for. `gcc@13 %gcc@12` is about two packages of one name.
pub(super) fn holder<'c>(
    node: NodeRef<'c>,
    parent: &AbstractSpec,
    wanted: &DependencyConstraint,
) -> Option<NodeRef<'c>> {
    match parent.name.as_deref() {
        Some(name) if parent.name != wanted.spec.name => lookup(node, name),
        _ => Some(node),
    }
}

/// The node of that name, or that provides that virtual package: among what `node` was built or tested with, or it itself, or
/// what is linked or run below it.
fn lookup<'c>(node: NodeRef<'c>, name: &str) -> Option<NodeRef<'c>> {
    let is_wanted = |edge: &EdgeRef<'c>| is_called(edge, name);
    if let Some(edge) = visit::direct(node, DependencyTypes::BUILD | DependencyTypes::TEST).find(is_wanted) {
        return edge.node();
    }
    if node.name() == name {
        return Some(node);
    }
    visit::nearest(node, DependencyTypes::RUNTIME, is_wanted)?.node()
}

/// Whether some link or run dependency below `node`, or something it was built with, is as asked for. Dependency types
/// are not asked about here.
fn is_below(node: NodeRef<'_>, wanted: &DependencyConstraint) -> bool {
    let mut virtuals = virtuals(node.catalog(), wanted);
    let mut satisfied = false;
    candidates_below(node, wanted, |edge| {
        virtuals.retain(|name| !is_called(&edge, name));
        satisfied = satisfied || leads_to(edge, &wanted.spec, satisfies_alone);
        if satisfied && virtuals.is_empty() { Walk::Stop } else { Walk::On }
    });
    satisfied && virtuals.is_empty()
}

/// Calls `each` with the edges that have the name asked for, be it that of a virtual package.
pub(super) fn candidates_below<'c>(
    node: NodeRef<'c>,
    wanted: &DependencyConstraint,
    mut each: impl FnMut(EdgeRef<'c>) -> Walk,
) {
    let mut each = |edge: EdgeRef<'c>| {
        if is_candidate(&edge, wanted) { each(edge) } else { Walk::On }
    };
    for edge in visit::direct(node, DependencyTypes::BUILD) {
        if each(edge) == Walk::Stop {
            return;
        }
    }
    visit::edges(node, DependencyTypes::RUNTIME, each);
}

/// The direct dependencies that have the name, the types and one of the virtual packages that are asked for.
pub(super) fn direct_candidates<'c>(
    holder: NodeRef<'c>,
    wanted: &DependencyConstraint,
) -> impl Iterator<Item = EdgeRef<'c>> {
    let name = wanted.spec.name.as_deref();
    let of_virtual = name.is_some_and(|name| is_virtual(holder.catalog(), name));
    let virtuals = virtuals(holder.catalog(), wanted);
    visit::direct(holder, DependencyTypes::ALL).filter(move |edge| {
        let has_name = name.is_none_or(|name| edge.name() == name);
        let has_virtual = virtuals.iter().any(|name| provides(edge, name));
        let is_candidate = match of_virtual {
            true => has_name || has_virtual,
            false => has_name && (virtuals.is_empty() || has_virtual),
        };
        is_candidate && edge.types().contains(wanted.types)
    })
}

/// The virtual packages that the dependency has to provide, its own name included if it is one.
pub(super) fn virtuals<'s>(catalog: &Catalog, wanted: &'s DependencyConstraint) -> Vec<&'s str> {
    let own = wanted.spec.name.as_deref().filter(|name| is_virtual(catalog, name));
    wanted.virtuals.iter().map(String::as_str).chain(own).collect()
}

/// Whether the edge leads to a package of that name, be it that of a virtual package.
pub(super) fn is_called(edge: &EdgeRef<'_>, name: &str) -> bool {
    edge.name() == name || provides(edge, name)
}

/// Whether the edge has the name that is asked for, if one is.
pub(super) fn is_candidate(edge: &EdgeRef<'_>, wanted: &DependencyConstraint) -> bool {
    wanted.spec.name.as_deref().is_none_or(|name| is_called(edge, name))
}

/// Whether the edge says that its dependency provides the virtual package to its dependent.
fn provides(edge: &EdgeRef<'_>, name: &str) -> bool {
    edge.virtuals().any(|provided| provided == name)
}

/// What the edge leads to, as far as it is known: where the catalog lacks the node, its name and its hash.
pub(super) fn leads_to<'c>(
    edge: EdgeRef<'c>,
    spec: &AbstractSpec,
    test: impl FnOnce(NodeRef<'c>, &AbstractSpec) -> bool,
) -> bool {
    match edge.node() {
        Some(node) => test(node, spec),
        None => {
            let known =
                AbstractSpec { name: spec.name.clone(), hash: spec.hash.clone(), ..Default::default() };
            *spec == known
                && spec.name.as_ref().is_none_or(|name| name == edge.name())
                && spec.hash.as_ref().is_none_or(|hash| edge.hash().starts_with(hash.as_str()))
        }
    }
}

/// Whether what the node was built with is an attribute and no dependency: so it was before Spack 1.0, and is with externals.
pub(super) fn has_compiler_attribute(node: NodeRef<'_>) -> bool {
    node.original_format() < 5 || (node.is_external() && node.edges().next().is_none())
}

/// Whether the compiler that the node has as an attribute is as asked for. Nothing but name and version is known of it.
fn compiler_matches(node: NodeRef<'_>, asked: &AbstractSpec) -> bool {
    let Some((name, version)) = node.compiler() else { return false };
    let compiler = format!("{name}@={}", version.trim_start_matches('='));
    let Ok(compiler) = compiler.parse::<AbstractSpec>() else { return false };
    if asked.hash.is_some() {
        return false;
    }
    match &asked.name {
        Some(asked_name) if asked_name != name => {
            is_virtual(node.catalog(), asked_name) && compiler_provides(&compiler, asked)
        }
        _ => {
            compiler.versions.satisfies(&asked.versions)
                && asked.variants.is_empty()
                && asked.flags.is_empty()
                && asked.architecture == Default::default()
                && asked.dependencies.is_empty()
        }
    }
}
