//! A concrete node in Spack's canonical form.

use crate::node::Node;
use serde_json::Value;
use std::fmt::Write;

/// The keys of `parameters` that are compiler flags and not variants.
const COMPILER_FLAGS: [&str; 6] = ["cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"];

/// The node as Spack's default format prints it:
/// `zlib@=1.2.13+optimize+pic+shared build_system=makefile platform=linux os=debian12 target=x86_64_v2`.
pub fn canonical(node: &Node) -> String {
    let architecture = &node.architecture;
    format!(
        "{}@={}{}{} platform={} os={} target={}",
        node.name,
        node.version,
        compiler_flags(node),
        variants(node),
        architecture.platform,
        architecture.os,
        architecture.target
    )
}

/// ` cflags='-O2 -g' `: flag types by name, with Spack's trailing space; empty when there are none.
fn compiler_flags(node: &Node) -> String {
    let mut names = COMPILER_FLAGS;
    names.sort_unstable();
    let mut out = String::new();
    for name in names {
        let flags = match node.parameters.get(name) {
            Some(Value::Array(flags)) if !flags.is_empty() => texts(flags).join(" "),
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
fn variants(node: &Node) -> String {
    let mut names: Vec<&str> = node.parameters.keys().map(String::as_str).collect();
    names.retain(|name| !COMPILER_FLAGS.contains(name));
    names.sort_unstable();
    let mut booleans = String::new();
    let mut others = String::new();
    for name in names {
        match &node.parameters[name] {
            Value::Array(values) => {
                let mut values = texts(values);
                if name == "patches" {
                    values = values.into_iter().map(|v| v.chars().take(7).collect()).collect();
                }
                let value = if values.is_empty() { "*".to_owned() } else { values.join(",") };
                let _ = write!(others, " {name}:={}", quoted_if_needed(&value));
            }
            value => match text(value).to_ascii_lowercase().as_str() {
                "true" => booleans.extend(["+", name]),
                "false" => booleans.extend(["~", name]),
                _ => {
                    let _ = write!(others, " {name}={}", quoted_if_needed(&text(value)));
                }
            },
        }
    }
    booleans + &others
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(text).collect()
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
