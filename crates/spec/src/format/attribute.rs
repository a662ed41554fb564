//! What `{…}` in a format string can name: the attributes of a spec, and theirs.

use super::{canonical_flags, canonical_variant, canonical_variants, quoted_text};
use crate::dag::{DependencyTypes, NodeSource};
use crate::database::Database;
use crate::node::Node;
use crate::target;
use serde_json::Value;
use std::collections::{HashSet, VecDeque};

/// What is known of a spec beside itself.
pub trait Surroundings: NodeSource {
    /// Where it is installed.
    fn prefix(&self, node: &Node) -> Option<String>;

    /// Whether it is installed.
    fn is_installed(&self, node: &Node) -> bool;

    /// Whether it is installed in an upstream store.
    fn is_upstream(&self, _: &Node) -> bool {
        false
    }
}

impl Surroundings for Database {
    fn prefix(&self, node: &Node) -> Option<String> {
        let external = node.external.as_ref().and_then(|external| external.path.clone());
        external.or_else(|| self.records.get(&node.hash)?.path.clone())
    }

    fn is_installed(&self, node: &Node) -> bool {
        self.records.get(&node.hash).is_some_and(|record| record.installed)
    }
}

/// What an attribute comes to.
pub(super) enum Found {
    /// A text, to be written after the sigil.
    Text(String),
    /// A text that takes no sigil.
    Bare(String),
    /// The spec has none.
    Nothing,
}

impl From<Option<String>> for Found {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

impl From<&str> for Found {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The dependency of that name, or that provides the virtual package of that name: direct build dependencies first, then what
/// is needed at run time, breadth first; the node itself is the first of those.
pub(super) fn dependency<'n>(node: &'n Node, name: &str, source: &'n impl NodeSource) -> Option<&'n Node> {
    let name = name.split(':').next().unwrap_or(name);
    let below = |node: &'n Node, types: DependencyTypes| {
        let edges = node.dependencies.iter().filter(move |edge| edge.types.intersects(types));
        edges.filter_map(move |edge| Some((source.node(&edge.hash)?, &edge.virtuals[..])))
    };
    let is_wanted =
        |node: &Node, virtuals: &[String]| node.name == name || virtuals.iter().any(|v| v == name);
    let mut at_build = below(node, DependencyTypes::BUILD | DependencyTypes::TEST);
    if let Some((found, _)) = at_build.find(|(node, virtuals)| is_wanted(node, virtuals)) {
        return Some(found);
    }
    let mut queue: VecDeque<(&Node, &[String])> = VecDeque::from([(node, &[][..])]);
    let mut seen = HashSet::new();
    while let Some((node, virtuals)) = queue.pop_front() {
        if is_wanted(node, virtuals) {
            return Some(node);
        }
        if seen.insert(&node.hash) {
            queue.extend(below(node, DependencyTypes::RUNTIME));
        }
    }
    None
}

/// Follows the path, which has at least one part.
pub(super) fn find(node: &Node, path: &[String], surroundings: &impl Surroundings) -> Result<Found, String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found = match path[..] {
        ["name"] => Found::from(node.name.as_str()),
        ["fullname"] => match node.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => Found::Text(format!("{namespace}.{}", node.name)),
            None => Found::from(node.name.as_str()),
        },
        ["namespace"] => Found::from(node.namespace.clone()),
        ["versions"] => Found::Text(format!("={}", node.version)),
        ["version", ref rest @ ..] => version(&node.version, rest)?,
        ["variants"] => Found::Text(canonical_variants(&node.parameters)),
        ["variants", name, ref rest @ ..] => variant(node, name, rest)?,
        ["compiler_flags"] => Found::Text(canonical_flags(&node.parameters)),
        ["compilers"] => Found::Text(compilers(node, surroundings)),
        ["compiler", ref rest @ ..] => compiler(node, rest, surroundings)?,
        ["arch" | "architecture"] => Found::Text(architecture(node)),
        ["arch" | "architecture", "platform"] | ["platform"] => node.architecture.platform.as_str().into(),
        ["arch" | "architecture", "os"] | ["os"] => node.architecture.os.as_str().into(),
        ["arch" | "architecture", "target", ref rest @ ..] | ["target", ref rest @ ..] => {
            microarchitecture(&node.architecture.target, rest)?
        }
        ["prefix", ref below @ ..] => {
            let prefix = surroundings.prefix(node).unwrap_or_default();
            Found::Text(below.iter().fold(prefix, |path, name| format!("{path}/{name}")))
        }
        ["external"] => boolean(node.is_external()),
        ["external_path"] => node.external.as_ref().and_then(|external| external.path.clone()).into(),
        ["external_modules"] => {
            let modules = node.external.as_ref().map(|external| &external.modules);
            modules
                .filter(|modules| !modules.is_empty())
                .map(|modules| format!("[{}]", texts(modules)))
                .into()
        }
        ["concrete"] => boolean(true),
        ["anonymous"] => boolean(false),
        ["installed"] => boolean(surroundings.is_installed(node)),
        ["installed_upstream"] => boolean(surroundings.is_upstream(node)),
        ["spliced"] => boolean(node.build_spec.is_some()),
        ["specfile_version"] => Found::Bare(format!("v{}", node.original_format)),
        ["short_spec"] => Found::Text(short(node)),
        // A concrete spec has neither.
        ["abstract_hash" | "namespace_if_anonymous"] => Found::Nothing,
        [ref first @ .., last] => {
            let of = if first.is_empty() { "a spec".to_owned() } else { format!("`{}`", first.join(".")) };
            return Err(format!("{of} has no attribute `{last}`"));
        }
        [] => Found::Nothing,
    };
    Ok(found)
}

fn boolean(value: bool) -> Found {
    Found::from(if value { "True" } else { "False" })
}

/// `linux-debian12-x86_64_v3`
fn architecture(node: &Node) -> String {
    let architecture = &node.architecture;
    format!("{}-{}-{}", architecture.platform, architecture.os, architecture.target)
}

fn short(node: &Node) -> String {
    let (architecture, hash) = (&node.architecture, node.hash.short());
    let (name, version, variants) = (&node.name, &node.version, canonical_variants(&node.parameters));
    let (platform, os, target) = (&architecture.platform, &architecture.os, &architecture.target);
    format!("{name}@{version}{variants} platform={platform} os={os} target={target}/{hash}")
}

fn version(version: &str, path: &[&str]) -> Result<Found, String> {
    let separated = |by: &str| version.replace(['.', '-', '_'], by);
    Ok(Found::Text(match path {
        [] | ["string"] => version.to_owned(),
        // Full stops stay where they separate.
        ["dotted"] => version.replace(['-', '_'], "."),
        ["underscored"] => version.replace(['.', '-'], "_"),
        ["dashed"] => version.replace(['.', '_'], "-"),
        ["joined"] => separated(""),
        ["up_to_1"] => up_to(version, 1),
        ["up_to_2"] => up_to(version, 2),
        ["up_to_3"] => up_to(version, 3),
        _ => return Err(format!("a version has no attribute `{}`", path.join("."))),
    }))
}

/// The first components of a version, which are runs of digits or of letters. Numbers lose leading zeros, and what marks a
/// version as a preview is no component.
fn up_to(version: &str, count: usize) -> String {
    let mut components: Vec<(&str, &str)> = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let is_like_first = |c: char| {
            if first.is_ascii_digit() { c.is_ascii_digit() } else { c.is_ascii_alphabetic() }
        };
        let (component, after) = rest.split_at(rest.find(|c| !is_like_first(c)).unwrap_or(rest.len()));
        let (separator, after) = after.split_at(after.find(char::is_alphanumeric).unwrap_or(after.len()));
        components.push((component, separator));
        if component.is_empty() && separator.is_empty() {
            break;
        }
        rest = after;
    }
    components.retain(|(component, _)| !component.is_empty());
    let is_preview = |component: Option<&(&str, &str)>| {
        component.is_some_and(|(component, _)| matches!(*component, "alpha" | "beta" | "rc"))
    };
    let is_number = |component: &(&str, &str)| component.0.starts_with(|c: char| c.is_ascii_digit());
    let length = components.len();
    if length >= 3 && is_preview(components.get(length - 2)) && components.last().is_some_and(is_number) {
        components.truncate(length - 2);
    } else if length >= 2 && is_preview(components.last()) {
        components.truncate(length - 1);
    }
    components.truncate(count);
    let last = components.len().saturating_sub(1);
    let written = components.iter().enumerate().flat_map(|(at, (component, separator))| {
        let number = component.trim_start_matches('0');
        let component = match is_number(&(component, separator)) {
            true if number.is_empty() => "0",
            true => number,
            false => component,
        };
        [component, if at < last { *separator } else { "" }]
    });
    written.collect()
}

fn variant(node: &Node, name: &str, path: &[&str]) -> Result<Found, String> {
    let value = node.parameters.get(name).filter(|_| !super::COMPILER_FLAGS.contains(&name));
    let value = value.ok_or_else(|| format!("{} has no variant `{name}`", node.label()))?;
    let truth = super::truth(value);
    let python = |value: &Value| match super::truth(value) {
        Some(true) => "True".to_owned(),
        Some(false) => "False".to_owned(),
        None => super::text(value),
    };
    Ok(match path {
        [] => Found::Text(canonical_variant(name, value)),
        ["name"] => Found::from(name),
        ["value" | "values"] if value.is_array() => {
            let values: Vec<String> = super::values(value).collect();
            Found::Text(tuple(&texts(&values), values.len()))
        }
        ["value"] => Found::Text(python(value)),
        ["values"] if truth.is_some() => Found::Text(tuple(&python(value), 1)),
        ["values"] => Found::Text(tuple(&quoted_text(&super::text(value)), 1)),
        ["propagate"] => boolean(false),
        ["concrete"] => boolean(true),
        _ => return Err(format!("a variant has no attribute `{}`", path.join("."))),
    })
}

/// As Python prints a tuple.
fn tuple(items: &str, count: usize) -> String {
    if count == 1 { format!("({items},)") } else { format!("({items})") }
}

fn texts(values: &[String]) -> String {
    values.iter().map(|value| quoted_text(value)).collect::<Vec<_>>().join(", ")
}

/// The provider of the first of the languages that the node has a compiler for.
fn compiler_node<'n>(node: &'n Node, source: &'n impl NodeSource) -> Option<&'n Node> {
    let provider = |language: &&str| {
        node.dependencies.iter().find(|edge| edge.virtuals.iter().any(|name| name == language))
    };
    source.node(&["c", "cxx", "fortran"].iter().find_map(provider)?.hash)
}

fn compiler(node: &Node, path: &[&str], source: &impl NodeSource) -> Result<Found, String> {
    let (name, number, text) = if let Some(compiler) = &node.compiler {
        let text = format!("{}@={}", compiler.name, compiler.version);
        (&compiler.name, &compiler.version, text)
    } else if let Some(compiler) = compiler_node(node, source) {
        (
            &compiler.name,
            &compiler.version,
            format!("{}@{}/{}", compiler.name, compiler.version, compiler.hash),
        )
    } else {
        return Ok(Found::Bare("none".to_owned()));
    };
    match path {
        [] => Ok(Found::Text(text)),
        ["name"] => Ok(Found::from(name.as_str())),
        ["version", rest @ ..] => version(number, rest),
        ["versions"] => Ok(Found::Text(format!("={number}"))),
        _ => Err(format!("a compiler has no attribute `{}`", path.join("."))),
    }
}

/// ` %c,cxx=gcc@12.2.0`, every compiler with the languages it is for.
fn compilers(node: &Node, source: &impl NodeSource) -> String {
    if node.original_format < 5 {
        let text = node.compiler.as_ref().map(|it| format!("{}@={}", it.name, it.version));
        return format!(" %{}", text.unwrap_or_default());
    }
    let is_compiler = |names: &[String]| names.iter().any(|v| ["c", "cxx", "fortran"].contains(&v.as_str()));
    let mut edges: Vec<_> = node.dependencies.iter().filter(|edge| is_compiler(&edge.virtuals)).collect();
    edges.sort_by(|a, b| a.name.cmp(&b.name));
    let written = edges.iter().filter_map(|edge| {
        let compiler = source.node(&edge.hash)?;
        Some(format!("%{}={}@{}", edge.virtuals.join(","), legacy_name(&compiler.name), compiler.version))
    });
    format!(" {}", written.collect::<Vec<_>>().join(" "))
}

/// What the language calls a compiler whose package has another name.
fn legacy_name(package: &str) -> &str {
    match package {
        "llvm" => "clang",
        "intel-oneapi-compilers" => "oneapi",
        "llvm-amdgpu" => "rocmcc",
        "intel-oneapi-compilers-classic" => "intel",
        "acfl" => "arm",
        other => other,
    }
}

fn microarchitecture(name: &str, path: &[&str]) -> Result<Found, String> {
    match path {
        [] | ["name"] => Ok(Found::from(name)),
        ["family"] => Ok(Found::from(target::family(name))),
        ["generic"] => Ok(Found::from(target::generic(name))),
        _ => Err(format!("a target has no attribute `{}`", path.join("."))),
    }
}
