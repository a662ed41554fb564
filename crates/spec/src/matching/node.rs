//! What is asked of a node itself, its dependencies apart.

use super::virtuals;
use super::visit::{self, Walk};
use crate::abstract_spec::{AbstractSpec, VariantConstraint, VariantValue};
use crate::catalog::{NodeRef, ParameterValue};
use crate::dag::DependencyTypes;
use crate::target;
use crate::version::Version;

/// The first constraint that a node does not meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unmet<'s> {
    Hash,
    Name,
    Namespace,
    Version,
    Variant(&'s str),
    Platform,
    Os,
    Target,
    Flags(&'s str),
}

/// How a node relates to a spec, dependencies apart.
pub(super) enum Own<'s> {
    /// It is as asked for.
    Meets,
    /// The spec names a virtual package, which the node provides. Nothing else is asked of a provider.
    Provides,
    /// It is not.
    Fails(Unmet<'s>),
}

pub(super) fn compare<'s>(node: NodeRef<'_>, spec: &'s AbstractSpec) -> Own<'s> {
    if spec.hash.as_ref().is_some_and(|hash| !node.hash().starts_with(hash.as_str())) {
        return Own::Fails(Unmet::Hash);
    }
    match &spec.name {
        Some(name) if name != node.name() => {
            let provides = virtuals::is_virtual(node.catalog(), name) && virtuals::provides(node, spec);
            return if provides { Own::Provides } else { Own::Fails(Unmet::Name) };
        }
        _ => {}
    }
    match attributes(node, spec) {
        Some(unmet) => Own::Fails(unmet),
        None => Own::Meets,
    }
}

fn attributes<'s>(node: NodeRef<'_>, spec: &'s AbstractSpec) -> Option<Unmet<'s>> {
    if let (Some(asked), Some(namespace)) = (spec.namespace.as_deref(), node.namespace())
        && asked != namespace
    {
        return Some(Unmet::Namespace);
    }
    if !spec.versions.is_any() {
        let version = node.version().parse::<Version>();
        if !version.is_ok_and(|version| spec.versions.contains(&version)) {
            return Some(Unmet::Version);
        }
    }
    for (name, asked) in &spec.variants {
        let met = match asked.propagate {
            false => node.parameter(name).is_some_and(|value| has_value(name, &value, &asked.value)),
            true => contradicting(node, name, asked).is_none(),
        };
        if !met {
            return Some(Unmet::Variant(name));
        }
    }
    if let Some(unmet) = architecture(node, spec) {
        return Some(unmet);
    }
    spec.flags.iter().find_map(|(kind, asked)| {
        let has = |flag: &str| match node.parameter(kind) {
            Some(ParameterValue::Multiple(flags)) => flags.contains(&flag),
            Some(ParameterValue::Single(only)) => only == flag,
            _ => false,
        };
        let met = node.parameter(kind).is_some() && asked.iter().all(|flag| has(&flag.flag));
        (!met).then_some(Unmet::Flags(kind))
    })
}

/// Spack leaves the rest of the architecture unasked once the platform or the system may be any.
fn architecture<'s>(node: NodeRef<'_>, spec: &AbstractSpec) -> Option<Unmet<'s>> {
    let asked = &spec.architecture;
    for (asked, has, unmet) in
        [(&asked.platform, node.platform(), Unmet::Platform), (&asked.os, node.os(), Unmet::Os)]
    {
        match asked.as_deref() {
            Some("*") if !has.is_empty() => return None,
            Some(asked) if asked != has => return Some(unmet),
            _ => {}
        }
    }
    let unmet = |asked: &String| !target::matches(node.target(), asked);
    asked.target.as_ref().is_some_and(unmet).then_some(Unmet::Target)
}

/// Whether the value of a variant is the one asked for.
pub(super) fn has_value(name: &str, value: &ParameterValue<'_>, asked: &VariantValue) -> bool {
    let one = |text: &str| match as_bool(text) {
        Some(value) => *asked == VariantValue::Bool(value),
        None => match asked {
            VariantValue::Bool(_) => false,
            VariantValue::Exactly(asked) => matches!(asked.as_slice(), [only] if only == text),
            VariantValue::AtLeast(asked) => asked.iter().all(|asked| asked == text),
            VariantValue::Any => true,
        },
    };
    match (value, asked) {
        (_, VariantValue::Any) => true,
        (ParameterValue::Bool(value), asked) => *asked == VariantValue::Bool(*value),
        (ParameterValue::Single(text), _) => one(text),
        (ParameterValue::Multiple(_), VariantValue::Bool(_)) => false,
        (ParameterValue::Multiple(values), VariantValue::AtLeast(asked)) if name == "patches" => {
            asked.iter().all(|asked| values.iter().any(|value| value.starts_with(asked.as_str())))
        }
        (ParameterValue::Multiple(values), VariantValue::AtLeast(asked)) => {
            asked.iter().all(|asked| values.contains(&asked.as_str()))
        }
        (ParameterValue::Multiple(values), VariantValue::Exactly(asked)) => {
            values.iter().all(|value| asked.iter().any(|asked| asked == value))
                && asked.iter().all(|asked| values.contains(&asked.as_str()))
        }
    }
}

/// Old formats have boolean values as words.
fn as_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Whether the node has the variant with another value.
pub(super) fn contradicts(node: NodeRef<'_>, name: &str, asked: &VariantConstraint) -> bool {
    node.parameter(name).is_some_and(|value| !has_value(name, &value, &asked.value))
}

/// The first of the node and all that is below it, build dependencies included, that has the variant with another value.
pub(super) fn contradicting<'c>(
    node: NodeRef<'c>,
    name: &str,
    asked: &VariantConstraint,
) -> Option<NodeRef<'c>> {
    if contradicts(node, name, asked) {
        return Some(node);
    }
    let mut found = None;
    visit::edges(node, DependencyTypes::ALL, |edge| {
        found = edge.node().filter(|node| contradicts(*node, name, asked));
        if found.is_some() { Walk::Stop } else { Walk::On }
    });
    found
}
