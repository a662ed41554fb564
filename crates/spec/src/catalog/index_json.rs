//! A catalog from the JSON of an index or a database, in one pass that borrows from it.
//!
//! Nodes repeat each other: whole lists of parameters, architectures and kinds of edges are looked up by their text, and
//! looked into the first time only. A record that is not understood is told and left out; the others are not the worse
//! for it. The shape of the JSON is in `wire.rs`.

use super::builder::{Builder, NewNode};
use super::document::NodeTexts;
use super::tables::{self, NONE, Tables};
use super::wire::{
    WireAnnotations, WireCompiler, WireEdge, WireEdgeParameters, WireFile, WireNode, WireRecord,
};
use super::{Catalog, Parts, new_value};
use crate::dag::DependencyTypes;
use crate::dag_hash;
use crate::database::{self, Database, InvalidDatabase};
use crate::spec_json::CURRENT_VERSION;
use foldhash::fast::RandomState;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A record that is not in the catalog, because it is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its key: the hash of the spec.
    pub record: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Catalog {
    /// Reads the JSON of an index or a database, and keeps it: the nodes' JSON is part of it.
    ///
    /// # Errors
    /// If it is no database, or of a version that is not known. Records that are not understood are given beside the
    /// catalog of the others.
    pub fn parse(json: String) -> Result<(Self, Vec<Skipped>), InvalidDatabase> {
        if u32::try_from(json.len()).is_err() {
            return Err(serde_json::Error::custom("there are more than 4 GiB of it").into());
        }
        let file: WireFile<'_> = serde_json::from_str(&json)?;
        if database::known_version(&file.database.version)? < database::CURRENT_VERSION {
            // Nodes of older formats are brought into another shape: they are few, and not in a hurry.
            return Ok((Self::of_database(&Database::parse(&json)?), Vec::new()));
        }
        let mut reader = Reader::new(&json);
        let mut skipped = Vec::new();
        for (key, record) in file.database.installs.0 {
            if let Err(reason) = reader.record(key.clone(), &record) {
                reader.builder.forget_edges();
                skipped.push(Skipped { record: key.into_owned(), reason });
            }
        }
        let tables = Tables::built(reader.builder.finish(json.len()));
        let texts = NodeTexts::of(Box::new(json));
        Ok((Self { parts: Arc::new(Parts { tables, texts }) }, skipped))
    }
}

/// What was read before, by its text.
type Known<'t, T> = HashMap<&'t str, T, RandomState>;

struct Reader<'t> {
    document: &'t str,
    builder: Builder<'t>,
    architectures: Known<'t, [u32; 3]>,
    parameters: Known<'t, u32>,
    edges: Known<'t, (DependencyTypes, u32)>,
    annotations: Known<'t, (u32, [u32; 2])>,
    no_parameters: u32,
    no_virtuals: u32,
}

impl<'t> Reader<'t> {
    fn new(document: &'t str) -> Self {
        let mut builder = Builder::default();
        let (no_parameters, no_virtuals) = (builder.parameters([]), builder.list(Vec::new()));
        Self {
            document,
            builder,
            architectures: HashMap::default(),
            parameters: HashMap::default(),
            edges: HashMap::default(),
            annotations: HashMap::default(),
            no_parameters,
            no_virtuals,
        }
    }

    fn record(&mut self, key: Cow<'t, str>, record: &WireRecord<'t>) -> Result<(), String> {
        let WireRecord::Object { spec, in_buildcache } = record else {
            return Err("not an object".to_owned());
        };
        let spec = spec.ok_or("missing field `spec`")?;
        let in_buildcache = match in_buildcache {
            Some(value) => serde_json::from_str(value.get()).map_err(|e| format!("`in_buildcache`: {e}"))?,
            None => false,
        };
        let node: WireNode<'t> = serde_json::from_str(spec.get()).map_err(|e| e.to_string())?;
        let (original_format, annotated) = match node.annotations {
            Some(annotations) => self.annotations(annotations)?,
            None => (CURRENT_VERSION, [NONE; 2]),
        };
        let compiler = match node.compiler {
            Some(WireCompiler { name, version }) => {
                [self.builder.string(name.0), self.builder.string(version.0)]
            }
            None => annotated,
        };
        let new = NewNode {
            // The key is what everything else in the file calls it.
            hash: self.hash(key)?,
            name: self.builder.string(node.name.0),
            version: self.builder.string(node.version.0),
            namespace: self.builder.maybe(node.namespace.map(|text| text.0)),
            architecture: self.architecture(node.arch)?,
            build_spec: match node.build_spec.and_then(|build_spec| build_spec.hash) {
                Some(hash) => {
                    check_hash(&hash.0)?;
                    self.builder.string(hash.0)
                }
                None => NONE,
            },
            compiler,
            original_format,
            external: node.external.is_some_and(|external| external.is_somewhere()),
            in_buildcache,
            parameters: match node.parameters {
                Some(parameters) => self.parameters(parameters)?,
                None => self.no_parameters,
            },
            text: (spec.get().as_ptr() as usize - self.document.as_ptr() as usize, spec.get().len()),
            text_checksum: tables::checksum(spec.get().as_bytes()),
        };
        for edge in node.dependencies.unwrap_or_default() {
            self.edge(edge)?;
        }
        self.builder.node(new);
        Ok(())
    }

    fn hash(&mut self, text: Cow<'t, str>) -> Result<u32, String> {
        check_hash(&text)?;
        Ok(self.builder.hash(text))
    }

    fn edge(&mut self, edge: WireEdge<'t>) -> Result<(), String> {
        let (types, virtuals) = match (edge.parameters, edge.types) {
            (Some(parameters), _) => self.kind_of_edge(parameters, |text| {
                let wire: WireEdgeParameters = serde_json::from_str(text)?;
                Ok((wire.deptypes, wire.virtuals))
            }),
            (None, Some(types)) => {
                self.kind_of_edge(types, |text| Ok((serde_json::from_str(text)?, Vec::new())))
            }
            (None, None) => Ok((DependencyTypes::default(), self.no_virtuals)),
        }
        .map_err(|e| format!("dependency `{}`: {e}", edge.name.0))?;
        let hash = self.hash(edge.hash.0)?;
        let name = self.builder.string(edge.name.0);
        self.builder.edge(name, hash, types, virtuals);
        Ok(())
    }

    fn kind_of_edge(
        &mut self,
        json: &'t RawValue,
        read: impl Fn(&str) -> serde_json::Result<(DependencyTypes, Vec<String>)>,
    ) -> serde_json::Result<(DependencyTypes, u32)> {
        if let Some(known) = self.edges.get(json.get()) {
            return Ok(*known);
        }
        let (types, virtuals) = read(json.get())?;
        let virtuals = virtuals.into_iter().map(|name| self.builder.string(name)).collect();
        let kind = (types, self.builder.list(virtuals));
        self.edges.insert(json.get(), kind);
        Ok(kind)
    }

    fn architecture(&mut self, json: &'t RawValue) -> Result<[u32; 3], String> {
        if let Some(known) = self.architectures.get(json.get()) {
            return Ok(*known);
        }
        let architecture = crate::node::architecture(json).map_err(|e| format!("`arch`: {e}"))?;
        let texts = [architecture.platform, architecture.os, architecture.target];
        let numbers = texts.map(|text| self.builder.string(text));
        self.architectures.insert(json.get(), numbers);
        Ok(numbers)
    }

    fn parameters(&mut self, json: &'t RawValue) -> Result<u32, String> {
        if let Some(known) = self.parameters.get(json.get()) {
            return Ok(*known);
        }
        let map: Map<String, Value> =
            serde_json::from_str(json.get()).map_err(|e| format!("`parameters`: {e}"))?;
        let mut parameters = Vec::with_capacity(map.len());
        for (name, value) in &map {
            parameters.push((self.builder.string(name.clone()), new_value(&mut self.builder, value)));
        }
        let list = self.builder.parameters(parameters);
        self.parameters.insert(json.get(), list);
        Ok(list)
    }

    /// The original format and the compiler of a node that has a newer format now.
    fn annotations(&mut self, json: &'t RawValue) -> Result<(u32, [u32; 2]), String> {
        if let Some(known) = self.annotations.get(json.get()) {
            return Ok(*known);
        }
        let wire: WireAnnotations<'t> =
            serde_json::from_str(json.get()).map_err(|e| format!("`annotations`: {e}"))?;
        let compiler = wire.compiler.map(|text| {
            let (name, version) = text.0.split_once('@').unwrap_or((&text.0, ""));
            let version = version.strip_prefix('=').unwrap_or(version);
            [self.builder.string(name.to_owned()), self.builder.string(version.to_owned())]
        });
        let known = (wire.original_specfile_version, compiler.unwrap_or([NONE; 2]));
        self.annotations.insert(json.get(), known);
        Ok(known)
    }
}

fn check_hash(text: &str) -> Result<(), String> {
    if text.len() == dag_hash::LENGTH && dag_hash::is_base32(text) {
        Ok(())
    } else {
        Err(dag_hash::InvalidDagHash(text.to_owned()).to_string())
    }
}
