//! The JSON of a node in every version of the format that is still read.
//!
//! | version | node | dependencies | an edge names | compiler |
//! |---|---|---|---|---|
//! | 1 | `{NAME: {…}}` | object by name | `hash` or `build_hash`, `type` | attribute |
//! | 2, 3 | `{"name": …}` | list | `hash` or `build_hash`, `type` | attribute |
//! | 4 | " | list | `hash`, `parameters` | attribute |
//! | 5 | " | list | `hash`, `parameters` | dependency; of older specs: `annotations` |

use super::{Architecture, Compiler, Edge, External};
use crate::dag::DependencyTypes;
use crate::dag_hash::DagHash;
use crate::minify::minify;
use indexmap::IndexMap;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::fmt;

#[derive(Deserialize)]
pub(super) struct WireNode {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) arch: Option<WireArchitecture>,
    #[serde(default)]
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) parameters: Map<String, Value>,
    #[serde(default)]
    external: Option<WireExternal>,
    #[serde(default)]
    pub(super) patches: Vec<String>,
    #[serde(default)]
    pub(super) package_hash: Option<String>,
    #[serde(default)]
    compiler: Option<WireCompiler>,
    #[serde(default)]
    pub(super) dependencies: WireDependencies,
    #[serde(default)]
    build_spec: Option<WireReference>,
    #[serde(default)]
    annotations: Option<WireAnnotations>,
    #[serde(default)]
    pub(super) hash: Option<DagHash>,
    #[serde(default)]
    full_hash: Option<DagHash>,
    #[serde(default)]
    build_hash: Option<DagHash>,
}

impl WireNode {
    /// Reads a node, with its JSON minified. A node of version 1 is brought into the form of version 2.
    /// `key` is its name where the JSON does not hold it.
    pub(super) fn read(json: &RawValue, key: Option<&DagHash>) -> Result<(Self, String), serde_json::Error> {
        match serde_json::from_str::<Self>(json.get()) {
            Ok(node) if node.name.is_some() => Ok((node, minify(json.get()))),
            result => {
                match serde_json::from_str::<Wrapped>(json.get()).and_then(|wrapped| wrapped.unwrapped(key)) {
                    Ok(json) => Ok((serde_json::from_str(&json)?, minify(&json))),
                    // The wrapping is not worth a word if there is none.
                    Err(_) => result.and_then(|_| Err(Error::missing_field("name"))),
                }
            }
        }
    }

    pub(super) fn external(&self) -> Option<External> {
        let external = self.external.as_ref()?;
        let path = external.path.clone().filter(|path| !path.is_empty());
        let modules = match &external.module {
            Some(WireModules::One(name)) => vec![name.clone()],
            Some(WireModules::Several(names)) => names.clone(),
            Some(WireModules::None(_)) | None => Vec::new(),
        };
        let extra_attributes = external.extra_attributes.clone().unwrap_or_default();
        (path.is_some() || !modules.is_empty()).then_some(External { path, modules, extra_attributes })
    }

    /// The version of the format that the node was first written in, if it was `format` of which it was read.
    pub(super) fn original_format(&self, format: u32) -> u32 {
        self.annotations.as_ref().map_or(format, |annotations| annotations.original_specfile_version)
    }

    pub(super) fn compiler(&self) -> Option<Compiler> {
        if let Some(WireCompiler { name, version, versions }) = &self.compiler {
            let version = version.clone().or_else(|| versions.first().cloned()).unwrap_or_default();
            return Some(Compiler { name: name.clone(), version: exact(&version).to_owned() });
        }
        let text = self.annotations.as_ref()?.compiler.as_ref()?;
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        Some(Compiler { name: name.to_owned(), version: exact(version).to_owned() })
    }

    pub(super) fn build_spec(&self) -> Option<DagHash> {
        self.build_spec.as_ref().and_then(WireReference::hash)
    }

    /// What edges of formats before 4 may call the node.
    pub(super) fn other_names(&self) -> Vec<DagHash> {
        self.build_hash.iter().chain(&self.full_hash).cloned().collect()
    }
}

/// The version in `=1.2.3`.
fn exact(version: &str) -> &str {
    version.strip_prefix('=').unwrap_or(version)
}

/// A node of version 1.
struct Wrapped {
    name: String,
    node: IndexMap<String, Box<RawValue>>,
}

impl Wrapped {
    fn unwrapped(self, key: Option<&DagHash>) -> Result<String, serde_json::Error> {
        let mut node = IndexMap::from([("name".to_owned(), to_raw_value(&self.name)?)]);
        for (attribute, value) in self.node {
            let value = if attribute == "dependencies" && value.get().starts_with('{') {
                let by_name: IndexMap<String, IndexMap<String, Box<RawValue>>> =
                    serde_json::from_str(value.get())?;
                let mut list = Vec::with_capacity(by_name.len());
                for (name, attributes) in by_name {
                    let mut edge = IndexMap::from([("name".to_owned(), to_raw_value(&name)?)]);
                    edge.extend(attributes);
                    list.push(edge);
                }
                to_raw_value(&list)?
            } else {
                value
            };
            node.insert(attribute, value);
        }
        if let Some(hash) = key.filter(|_| !node.contains_key("hash")) {
            node.insert("hash".to_owned(), to_raw_value(hash)?);
        }
        serde_json::to_string(&node)
    }
}

impl<'de> Deserialize<'de> for Wrapped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;
        impl<'de> Visitor<'de> for OneKey {
            type Value = Wrapped;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the package's name as its only key")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wrapped, A::Error> {
                let (name, node) = map.next_entry()?.ok_or_else(|| A::Error::missing_field("name"))?;
                match map.next_entry::<IgnoredAny, IgnoredAny>()? {
                    None => Ok(Wrapped { name, node }),
                    Some(_) => Err(A::Error::custom("more than one key")),
                }
            }
        }
        deserializer.deserialize_map(OneKey)
    }
}

#[derive(Deserialize)]
pub(super) struct WireArchitecture {
    platform: String,
    platform_os: String,
    target: WireTarget,
}

/// A target is a name, or, before version 5 where archspec knows more of it, its whole description.
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
    #[serde(default)]
    module: Option<WireModules>,
    #[serde(default)]
    extra_attributes: Option<Map<String, Value>>,
}

/// Environment modules: one, several, or, long ago, `false` for none.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireModules {
    One(String),
    Several(Vec<String>),
    None(IgnoredAny),
}

#[derive(Deserialize)]
struct WireCompiler {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct WireAnnotations {
    original_specfile_version: u32,
    #[serde(default)]
    compiler: Option<String>,
}

/// The name of another node, by the kind of hash that the file at hand uses.
#[derive(Deserialize)]
struct WireReference {
    #[serde(default)]
    hash: Option<DagHash>,
    #[serde(default)]
    full_hash: Option<DagHash>,
    #[serde(default)]
    build_hash: Option<DagHash>,
}

impl WireReference {
    fn hash(&self) -> Option<DagHash> {
        self.hash.as_ref().or(self.full_hash.as_ref()).or(self.build_hash.as_ref()).cloned()
    }
}

/// Version 2 and later: a list. Version 1: an object by name.
#[derive(Default)]
pub(super) struct WireDependencies(pub(super) Vec<Edge>);

impl<'de> Deserialize<'de> for WireDependencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap;
        impl<'de> Visitor<'de> for ListOrMap {
            type Value = WireDependencies;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of dependencies")
            }
            fn visit_unit<E>(self) -> Result<WireDependencies, E> {
                Ok(WireDependencies::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WireDependencies, A::Error> {
                let mut edges = Vec::new();
                while let Some(edge) = list.next_element::<WireEdge>()? {
                    edges.push(edge.named(None).map_err(A::Error::custom)?);
                }
                Ok(WireDependencies(edges))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireDependencies, A::Error> {
                let mut edges = Vec::new();
                while let Some((name, edge)) = map.next_entry::<String, WireEdge>()? {
                    edges.push(edge.named(Some(name)).map_err(A::Error::custom)?);
                }
                Ok(WireDependencies(edges))
            }
        }
        deserializer.deserialize_any(ListOrMap)
    }
}

#[derive(Deserialize)]
struct WireEdge {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    hash: Option<DagHash>,
    #[serde(default)]
    full_hash: Option<DagHash>,
    #[serde(default)]
    build_hash: Option<DagHash>,
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
    #[serde(default)]
    direct: bool,
}

impl WireEdge {
    fn named(self, key: Option<String>) -> Result<Edge, String> {
        let name = key.or(self.name).ok_or("a dependency has no `name`")?;
        let hash = self.hash.or(self.full_hash).or(self.build_hash);
        let hash = hash.ok_or_else(|| format!("dependency `{name}` has no `hash`"))?;
        Ok(match self.parameters {
            Some(WireEdgeParameters { deptypes: types, virtuals, direct }) => {
                Edge { name, hash, types, virtuals, direct }
            }
            None => Edge { name, hash, types: self.types, virtuals: Vec::new(), direct: false },
        })
    }
}
