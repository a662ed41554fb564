//! One node of a concrete spec, as `spec.json`, databases and build cache indexes hold it.

use crate::dag::DependencyTypes;
use crate::dag_hash::DagHash;
use crate::minify::minify;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

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
    /// The node's own name.
    pub hash: DagHash,
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

/// An external package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Its prefix; none when it comes from an environment module alone.
    pub path: Option<String>,
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
}

impl Node {
    /// Reads a node. Versions 2 to 5 of the format differ in the shape of `dependencies`; all are understood.
    pub fn parse(json: &RawValue) -> Result<Self, InvalidNode> {
        Self::parse_named(json, None)
    }

    /// As [`Node::parse`]; `hash` is the node's name where the JSON does not hold it itself (databases older
    /// than version 6 have it as the key of the record only).
    pub fn parse_named(json: &RawValue, hash: Option<&DagHash>) -> Result<Self, InvalidNode> {
        let invalid = |reason: String| InvalidNode { reason, excerpt: excerpt(json.get()) };
        let wire: WireNode = serde_json::from_str(json.get()).map_err(|e| invalid(e.to_string()))?;
        let hash = wire.hash.or_else(|| hash.cloned()).ok_or_else(|| invalid("no `hash`".to_owned()))?;
        let dependencies = match wire.dependencies {
            None => Vec::new(),
            Some(WireDependencies::List(list)) => list.into_iter().map(Edge::from).collect(),
            Some(WireDependencies::ByName(map)) => {
                let mut edges = Vec::with_capacity(map.len());
                for (name, value) in map {
                    let edge: WireEdgeByName = serde_json::from_value(value)
                        .map_err(|e| invalid(format!("dependency `{name}`: {e}")))?;
                    edges.push(Edge { name, hash: edge.hash, types: edge.types, virtuals: Vec::new() });
                }
                edges
            }
        };
        let json = minify(json.get()).into_boxed_str();
        Ok(Self {
            name: wire.name,
            version: wire.version,
            architecture: wire.arch.into(),
            namespace: wire.namespace,
            parameters: wire.parameters,
            external: wire.external.map(|e| External { path: e.path }),
            dependencies,
            build_spec: wire.build_spec.map(|b| b.hash),
            hash,
            json,
        })
    }

    /// The node's JSON as it was read, white space between tokens apart.
    pub fn json(&self) -> &str {
        &self.json
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

fn excerpt(json: &str) -> String {
    json.chars().take(80).collect()
}

#[derive(Deserialize)]
struct WireNode {
    name: String,
    version: String,
    arch: WireArchitecture,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    external: Option<WireExternal>,
    #[serde(default)]
    dependencies: Option<WireDependencies>,
    #[serde(default)]
    build_spec: Option<WireBuildSpec>,
    #[serde(default)]
    hash: Option<DagHash>,
}

#[derive(Deserialize)]
struct WireArchitecture {
    platform: String,
    platform_os: String,
    target: WireTarget,
}

/// A target is a name, or, where archspec did not know it, its whole description.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireTarget {
    Name(String),
    Description { name: String },
}

impl From<WireArchitecture> for Architecture {
    fn from(wire: WireArchitecture) -> Self {
        let target = match wire.target {
            WireTarget::Name(name) | WireTarget::Description { name } => name,
        };
        Self { platform: wire.platform, os: wire.platform_os, target }
    }
}

#[derive(Deserialize)]
struct WireExternal {
    #[serde(default)]
    path: Option<String>,
}

#[derive(Deserialize)]
struct WireBuildSpec {
    hash: DagHash,
}

/// Version 3 and later: a list. Version 2: an object by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireDependencies {
    List(Vec<WireEdge>),
    ByName(Map<String, Value>),
}

#[derive(Deserialize)]
struct WireEdge {
    name: String,
    hash: DagHash,
    #[serde(default)]
    parameters: Option<WireEdgeParameters>,
    #[serde(default, rename = "type")]
    types: DependencyTypes,
}

#[derive(Deserialize)]
struct WireEdgeParameters {
    #[serde(default)]
    deptypes: DependencyTypes,
    #[serde(default)]
    virtuals: Vec<String>,
}

#[derive(Deserialize)]
struct WireEdgeByName {
    hash: DagHash,
    #[serde(default, rename = "type")]
    types: DependencyTypes,
}

impl From<WireEdge> for Edge {
    fn from(wire: WireEdge) -> Self {
        let (types, virtuals) = match wire.parameters {
            Some(parameters) => (parameters.deptypes, parameters.virtuals),
            None => (wire.types, Vec::new()),
        };
        Self { name: wire.name, hash: wire.hash, types, virtuals }
    }
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
