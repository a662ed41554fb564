//! One node of a concrete spec, as `spec.json`, databases and build cache indexes hold it.

mod wire;

use crate::dag::DependencyTypes;
use crate::dag_hash::DagHash;
use crate::spec_json::CURRENT_VERSION;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use wire::WireNode;

/// The JSON is not a node of a concrete spec.
#[derive(Debug, thiserror::Error)]
#[error("not a concrete spec node: {reason} (in `{excerpt}`)")]
pub struct InvalidNode {
    /// What is missing or of the wrong type.
    pub reason: String,
    /// The start of the JSON in question.
    pub excerpt: String,
}

/// A node of a concrete spec: what strata needs to know of it, and its JSON as it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Package name.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// Platform, operating system and target.
    pub architecture: Architecture,
    /// Namespace of the recipe, `builtin` for most.
    pub namespace: Option<String>,
    /// Variants and compiler flags in the order written.
    pub parameters: Map<String, Value>,
    /// Where the package lies when it was not built by Spack.
    pub external: Option<External>,
    /// Edges to direct dependencies, in the order written (by name).
    pub dependencies: Vec<Edge>,
    /// The spec this one was spliced from.
    pub build_spec: Option<DagHash>,
    /// SHA-256 of the patches, in the order in which they are applied.
    pub patches: Vec<String>,
    /// Hash of the recipe.
    pub package_hash: Option<String>,
    /// The version of the format that the node was first written in: before 5 its compiler is an attribute.
    pub original_format: u32,
    /// The compiler of a node that has it as an attribute.
    pub compiler: Option<Compiler>,
    /// The node's own name.
    pub hash: DagHash,
    in_format_5: bool,
    json: Box<str>,
}

/// Platform, operating system and target of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Architecture {
    /// `linux`, `darwin`, …
    pub platform: String,
    /// `debian12`, `ubuntu24.04`, …
    pub os: String,
    /// Name of the micro-architecture, `x86_64_v3`.
    pub target: String,
}

/// An external package: it has a prefix or comes from environment modules, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Its prefix.
    pub path: Option<String>,
    /// Environment modules that make it available.
    pub modules: Vec<String>,
    /// What else the configuration says of it; of a compiler, where its executables are.
    pub extra_attributes: Map<String, Value>,
}

/// The compiler of a node whose format has no compilers among the dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// `gcc`
    pub name: String,
    /// `12.2.0`
    pub version: String,
}

/// An edge to a direct dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Name of the dependency's package.
    pub name: String,
    /// DAG hash of the dependency.
    pub hash: DagHash,
    /// What it is needed for.
    pub types: DependencyTypes,
    /// The virtual packages it provides to this node.
    pub virtuals: Vec<String>,
    /// Marked as asked for by `%`. Few concrete specs have the mark; every edge is to a direct dependency.
    pub direct: bool,
}

impl Node {
    /// Reads a node of the current format that holds its own hash.
    pub fn parse(json: &RawValue) -> Result<Self, InvalidNode> {
        Ok(Self::read(json, CURRENT_VERSION, None)?.node)
    }

    /// Reads a node of a file of version `format` of `spec.json`. `key` is the node's name where the JSON does not hold it
    /// itself, as in old databases and lockfiles.
    pub(crate) fn read(json: &RawValue, format: u32, key: Option<&DagHash>) -> Result<ReadNode, InvalidNode> {
        let invalid = |reason: String| InvalidNode { reason, excerpt: excerpt(json.get()) };
        let (wire, json) = WireNode::read(json, key).map_err(|e| invalid(without_position(&e)))?;
        let missing = |key: &str| invalid(format!("missing field `{key}`"));
        let other_names = wire.other_names();
        let node = Self {
            external: wire.external(),
            original_format: wire.original_format(format),
            compiler: wire.compiler(),
            build_spec: wire.build_spec(),
            name: wire.name.ok_or_else(|| missing("name"))?,
            version: wire.version.ok_or_else(|| missing("version"))?,
            architecture: wire.arch.ok_or_else(|| missing("arch"))?.into(),
            hash: wire.hash.or_else(|| key.cloned()).ok_or_else(|| missing("hash"))?,
            namespace: wire.namespace,
            parameters: wire.parameters,
            dependencies: wire.dependencies.0,
            patches: wire.patches,
            package_hash: wire.package_hash,
            in_format_5: format == CURRENT_VERSION,
            json: json.into_boxed_str(),
        };
        Ok(ReadNode { node, other_names })
    }

    /// The node's JSON as it was read, white space between tokens apart.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether the JSON is of format 5, whatever the node was first written in.
    pub fn is_in_format_5(&self) -> bool {
        self.in_format_5
    }

    /// Whether the package was not built by Spack (gcc, glibc and the like): a fact to check, nothing to install.
    pub fn is_external(&self) -> bool {
        self.external.is_some()
    }

    /// `name@version/hash7`, as people read it.
    pub fn label(&self) -> String {
        label(&self.name, &self.version, &self.hash)
    }
}

/// `name@version/hash7`, as people read it.
pub fn label(name: &str, version: &str, hash: &DagHash) -> String {
    format!("{name}@{version}/{}", hash.short())
}

/// A node, and what edges in the same file may call it beside its hash.
pub(crate) struct ReadNode {
    pub(crate) node: Node,
    pub(crate) other_names: Vec<DagHash>,
}

/// Makes edges that name their target by another kind of hash name it by its DAG hash.
pub(crate) fn rename_targets<'n>(
    nodes: impl IntoIterator<Item = &'n mut Node>,
    names: &HashMap<DagHash, DagHash>,
) {
    if names.is_empty() {
        return;
    }
    for node in nodes {
        let edges = node.dependencies.iter_mut().map(|edge| &mut edge.hash);
        for hash in edges.chain(&mut node.build_spec) {
            if let Some(name) = names.get(hash) {
                *hash = name.clone();
            }
        }
    }
}

/// What is wrong with JSON. Where is left out: it would be counted from the start of the node, and not of the file.
pub(crate) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn excerpt(json: &str) -> String {
    json.chars().take(80).collect()
}

/// Reads the value of `arch`.
pub(crate) fn architecture(json: &RawValue) -> serde_json::Result<Architecture> {
    serde_json::from_str::<wire::WireArchitecture>(json.get()).map(Architecture::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Result<Node, InvalidNode> {
        Node::parse(&RawValue::from_string(json.to_owned()).unwrap())
    }

    const ZLIB: &str = r#"{"name": "zlib", "version": "1.2.13",
        "arch": {"platform": "linux", "platform_os": "debian12", "target": {"name": "x86_64", "vendor": "generic"}},
        "parameters": {"pic": true}, "future": [1.50, "x  y"], "dependencies": DEPENDENCIES,
        "hash": "6mhn66ae67iweh46tg4uhwn247xusqdu"}"#;

    #[test]
    fn every_shape_of_dependencies_is_read() {
        let shapes = [
            r#"[{"name":"gcc","hash":"f5ke3tn5f2dmzqqalqvi2h4b7dnnikpa","parameters":{"deptypes":["build","link"],"virtuals":["c"]}}]"#,
            r#"[{"name":"gcc","hash":"f5ke3tn5f2dmzqqalqvi2h4b7dnnikpa","type":["build","link"]}]"#,
            r#"{"gcc":{"hash":"f5ke3tn5f2dmzqqalqvi2h4b7dnnikpa","type":["build","link"]}}"#,
        ];
        for shape in shapes {
            let node = node(&ZLIB.replace("DEPENDENCIES", shape)).unwrap();
            assert_eq!(node.dependencies[0].types, DependencyTypes::BUILD | DependencyTypes::LINK, "{shape}");
            assert_eq!(node.architecture.target, "x86_64");
        }
    }

    #[test]
    fn unknown_keys_and_number_forms_survive() {
        let node = node(&ZLIB.replace("DEPENDENCIES", "[]")).unwrap();
        assert!(node.json().contains(r#""future":[1.50,"x  y"]"#), "{}", node.json());
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = node(r#"{"name": "zlib"}"#).unwrap_err().to_string();
        assert!(error.contains("version") && error.contains("zlib"), "{error}");
    }
}
