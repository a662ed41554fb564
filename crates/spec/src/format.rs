//! A concrete node as text: in Spack's canonical form, and by format strings.

mod attribute;
mod template;

pub use attribute::Surroundings;
pub use template::{Template, TemplateError};

use crate::catalog::{NodeRef, ParameterValue};
use crate::node::Node;
use serde_json::{Map, Value};
use std::fmt::Write;

/// The keys of `parameters` that are compiler flags and not variants.
pub(crate) const COMPILER_FLAGS: [&str; 6] =
    ["cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"];

/// The node as Spack's default format prints it:
/// `zlib@=1.2.13+optimize+pic+shared build_system=makefile platform=linux os=debian12 target=x86_64_v2`.
pub fn canonical(node: &Node) -> String {
    let architecture = &node.architecture;
    let architecture = [&*architecture.platform, &*architecture.os, &*architecture.target];
    canonical_of(&node.name, &node.version, &node.parameters, architecture)
}

/// As [`canonical`], without the node's JSON being read.
pub fn canonical_in_catalog(node: NodeRef<'_>) -> String {
    let value = |value| match value {
        ParameterValue::Bool(truth) => Value::from(truth),
        ParameterValue::Single(text) => Value::from(text),
        ParameterValue::Multiple(several) => Value::from(several),
    };
    let parameters = node.parameters().map(|(name, found)| (name.to_owned(), value(found)));
    let architecture = [node.platform(), node.os(), node.target()];
    canonical_of(node.name(), node.version(), &parameters.collect(), architecture)
}

fn canonical_of(
    name: &str,
    version: &str,
    parameters: &Map<String, Value>,
    [platform, os, target]: [&str; 3],
) -> String {
    let (flags, variants) = (canonical_flags(parameters), canonical_variants(parameters));
    format!("{name}@={version}{flags}{variants} platform={platform} os={os} target={target}")
}

/// ` cflags='-O2 -g' `: flag types by name, with Spack's trailing space; empty when there are none.
fn canonical_flags(parameters: &Map<String, Value>) -> String {
    let mut out = String::new();
    for name in COMPILER_FLAGS {
        let flags = match parameters.get(name) {
            Some(Value::Array(flags)) if !flags.is_empty() => {
                flags.iter().map(text).collect::<Vec<_>>().join(" ")
            }
            _ => continue,
        };
        let _ = write!(out, " {name}={}", quoted_if_needed(&flags));
    }
    if !out.is_empty() {
        out.push(' ');
    }
    out
}

/// `+pic~debug build_system=generic patches:=7a351bc`: Booleans first, each group by name.
fn canonical_variants(parameters: &Map<String, Value>) -> String {
    let mut variants: Vec<(&String, &Value)> = parameters.iter().collect();
    variants.retain(|(name, _)| !COMPILER_FLAGS.contains(&name.as_str()));
    variants.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let (booleans, others): (Vec<_>, Vec<_>) =
        variants.into_iter().partition(|(_, value)| truth(value).is_some());
    let mut out: String = booleans.iter().map(|(name, value)| canonical_variant(name, value)).collect();
    for (name, value) in others {
        let _ = write!(out, " {}", canonical_variant(name, value));
    }
    out
}

/// `+pic`, `build_system=generic`, `patches:=7a351bc`.
fn canonical_variant(name: &str, value: &Value) -> String {
    if let Some(truth) = truth(value) {
        return format!("{}{name}", if truth { '+' } else { '~' });
    }
    match value {
        Value::Array(several) => {
            let shown = if name == "patches" { 7 } else { usize::MAX };
            let values: Vec<String> =
                values(value).map(|value| value.chars().take(shown).collect()).collect();
            let joined = if several.is_empty() { "*".to_owned() } else { values.join(",") };
            format!("{name}:={}", quoted_if_needed(&joined))
        }
        one => format!("{name}={}", quoted_if_needed(&text(one))),
    }
}

/// The value of a Boolean variant, which old files write as a string.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The values of a variant that can have several: sorted, each once.
fn values(value: &Value) -> impl Iterator<Item = String> {
    let mut values: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Quotes as Spack's parser needs them: single ones, or JSON's where the text has a single quote.
fn quoted_if_needed(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ",/_.-[]".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else if value.contains('\'') {
        Value::from(value).to_string()
    } else {
        format!("'{value}'")
    }
}

/// As Python prints a string in a list.
fn quoted_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            same if same == quote => out.extend(['\\', same]),
            other => out.push(other),
        }
    }
    out.push(quote);
    out
}
