//! Many concrete specs, arranged for questions: what matching, resolving and explaining work on.
//!
//! A catalog is read-only. It is made from a database, an index or single nodes; its nodes are looked at through
//! [`NodeRef`], which is as cheap as a pair of words. Underneath it is packed (`tables.rs` says how), so that one that was
//! made from an index once can be kept in a file and be had again without being made.

mod builder;
mod document;
mod index_json;
mod node_ref;
mod tables;
mod wire;

pub use document::Document;
pub use index_json::Skipped;
pub use node_ref::{EdgeRef, NodeRef, ParameterValue};
pub use tables::{HEADER_LENGTH, InvalidTables, lengths};

use crate::database::Database;
use crate::node::Node;
use builder::{Builder, NewNode, NewValue};
use document::NodeTexts;
use serde_json::Value;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use tables::{NONE, Section, Tables};

/// A read-only set of concrete specs. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    parts: Arc<Parts>,
}

struct Parts {
    tables: Tables,
    texts: NodeTexts,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::of_nodes([])
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalog of {} specs", self.len())
    }
}

impl Catalog {
    /// The records of a database or an index.
    pub fn of_database(database: &Database) -> Self {
        Self::of_nodes(database.records.values().map(|record| (&record.node, record.in_buildcache)))
    }

    /// Nodes, each with whether the cache has a binary of it. Of two with one hash the later one counts.
    pub fn of_nodes<'n>(nodes: impl IntoIterator<Item = (&'n Node, bool)>) -> Self {
        let mut builder = Builder::default();
        let mut document = String::new();
        for (node, in_buildcache) in nodes {
            let new = new_node(&mut builder, node, in_buildcache, document.len());
            builder.node(new);
            document.push_str(node.json());
        }
        let tables = Tables::built(builder.finish(document.len()));
        Self { parts: Arc::new(Parts { tables, texts: NodeTexts::of(Box::new(document)) }) }
    }

    /// A catalog of which both parts were kept that [`Catalog::write`] writes; [`lengths`] says where the second begins.
    ///
    /// # Errors
    /// If they are not what was kept. Tables that somebody made up may pass; then what they say makes no sense, and no
    /// more than that.
    pub fn open(tables: Vec<u8>, document: Box<dyn Document>) -> Result<Self, InvalidTables> {
        let tables = Tables::open(tables)?;
        Ok(Self { parts: Arc::new(Parts { tables, texts: NodeTexts::of(document) }) })
    }

    /// Writes what [`Catalog::open`] takes: the tables, and after them the document.
    ///
    /// # Errors
    /// If `out` takes no more, or the document cannot be read.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let pieces = self.parts.tables.pieces();
        for piece in pieces {
            out.write_all(piece)?;
        }
        let (_, length) = lengths(pieces[0]).map_err(io::Error::other)?;
        self.parts.texts.write(length, out)
    }

    /// How many specs there are.
    pub fn len(&self) -> usize {
        self.rows(Section::Nodes) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every spec.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        (0..self.rows(Section::Nodes)).map(|index| NodeRef { catalog: self, index })
    }

    /// The specs of one package.
    pub fn named(&self, name: &str) -> impl Iterator<Item = NodeRef<'_>> {
        self.listed(Section::Names, name, Section::Named)
    }

    /// The names of all packages, each once, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let tables = &self.parts.tables;
        let rows = 0..self.rows(Section::Names).saturating_sub(1);
        rows.map(|row| tables.string(tables.number(Section::Names, row, 0).unwrap_or(NONE)))
    }

    /// The specs whose DAG hash begins with `prefix`.
    pub fn with_hash(&self, prefix: &str) -> impl Iterator<Item = NodeRef<'_>> {
        let prefix = prefix.to_owned();
        let rows = self.parts.tables.first_by_hash(&prefix)..self.rows(Section::ByHash);
        self.numbered(Section::ByHash, rows).take_while(move |node| node.hash().starts_with(&prefix))
    }

    /// The specs that some dependent in this catalog uses as a provider of the virtual package `name`, according to its
    /// edges.
    pub fn providers(&self, name: &str) -> impl Iterator<Item = NodeRef<'_>> {
        self.listed(Section::Virtuals, name, Section::Providers)
    }

    fn rows(&self, section: Section) -> u32 {
        self.parts.tables.rows(section)
    }

    /// The nodes that `members` lists under `name`.
    fn listed(&self, index: Section, name: &str, members: Section) -> impl Iterator<Item = NodeRef<'_>> {
        let tables = &self.parts.tables;
        let rows = tables.row_of(index, name).map_or(0..0, |row| tables.range(index, row, members));
        self.numbered(members, rows)
    }

    /// The nodes whose numbers are in rows of `section`.
    fn numbered(
        &self,
        section: Section,
        rows: std::ops::Range<u32>,
    ) -> impl Iterator<Item = NodeRef<'_>> + use<'_> {
        let numbers = rows.filter_map(move |row| self.parts.tables.number(section, row, 0));
        let there = numbers.filter(|index| *index < self.rows(Section::Nodes));
        there.map(|index| NodeRef { catalog: self, index })
    }
}

/// What a node is in the numbers of `builder`, with its edges added, if its JSON is at `at`.
fn new_node<'n>(builder: &mut Builder<'n>, node: &'n Node, in_buildcache: bool, at: usize) -> NewNode {
    for edge in &node.dependencies {
        let virtuals = edge.virtuals.iter().map(|name| builder.string(name)).collect();
        let virtuals = builder.list(virtuals);
        let (name, hash) = (builder.string(&edge.name), builder.hash(edge.hash.as_str()));
        builder.edge(name, hash, edge.types, virtuals);
    }
    let parameters: Vec<_> = node
        .parameters
        .iter()
        .map(|(name, value)| (builder.string(name), new_value(builder, value)))
        .collect();
    let compiler = node.compiler.as_ref();
    let architecture = [&node.architecture.platform, &node.architecture.os, &node.architecture.target];
    NewNode {
        hash: builder.hash(node.hash.as_str()),
        name: builder.string(&node.name),
        version: builder.string(&node.version),
        namespace: builder.maybe(node.namespace.as_ref()),
        architecture: architecture.map(|text| builder.string(text)),
        build_spec: builder.maybe(node.build_spec.as_ref().map(|hash| hash.as_str())),
        compiler: compiler.map_or([NONE, NONE], |it| [builder.string(&it.name), builder.string(&it.version)]),
        original_format: node.original_format,
        external: node.is_external(),
        in_buildcache,
        parameters: builder.parameters(parameters),
        text: (at, node.json().len()),
        text_checksum: tables::checksum(node.json().as_bytes()),
    }
}

fn new_value(builder: &mut Builder<'_>, value: &Value) -> NewValue {
    match value {
        Value::Bool(value) => NewValue::Bool(*value),
        Value::String(text) => NewValue::Single(builder.string(text.clone())),
        Value::Array(values) => {
            let strings =
                values.iter().filter_map(Value::as_str).map(|text| builder.string(text.to_owned())).collect();
            NewValue::Multiple(builder.list(strings))
        }
        _ => NewValue::Single(builder.string("")),
    }
}
