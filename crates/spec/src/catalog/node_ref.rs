//! What one node of a catalog, and one edge, say of themselves.

use super::Catalog;
use super::document::Place;
use super::tables::{
    ABSENT, KIND_BOOL, KIND_MULTIPLE, KIND_SHIFT, KIND_SINGLE, NONE, Section, TYPE_BITS, Tables, node,
};
use crate::dag::DependencyTypes;
use crate::dag_hash::DagHash;
use crate::node::{InvalidNode, Node};
use crate::spec_json;
use serde_json::value::RawValue;
use std::fmt;

/// One node of a [`Catalog`].
#[derive(Clone, Copy)]
pub struct NodeRef<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) index: u32,
}

/// An edge to a direct dependency.
#[derive(Clone, Copy)]
pub struct EdgeRef<'c> {
    catalog: &'c Catalog,
    row: u32,
}

/// The value of a variant, or a list of compiler flags, of a concrete node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue<'c> {
    /// `true` or `false`.
    Bool(bool),
    /// One value.
    Single(&'c str),
    /// Several, in the order written.
    Multiple(Vec<&'c str>),
}

impl<'c> NodeRef<'c> {
    fn tables(self) -> &'c Tables {
        &self.catalog.parts.tables
    }

    fn number_in(self, column: usize) -> u32 {
        self.tables().node(self.index, column)
    }

    fn text(self, column: usize) -> &'c str {
        self.tables().string(self.number_in(column))
    }

    fn maybe(self, column: usize) -> Option<&'c str> {
        self.tables().known_string(self.number_in(column))
    }

    /// The catalog it is in.
    pub fn catalog(self) -> &'c Catalog {
        self.catalog
    }

    /// A number that no other node of the catalog has, below [`Catalog::len`].
    pub fn number(self) -> u32 {
        self.index
    }

    /// Package name.
    pub fn name(self) -> &'c str {
        self.text(node::NAME)
    }

    /// The exact version.
    pub fn version(self) -> &'c str {
        self.text(node::VERSION)
    }

    /// Namespace of the recipe.
    pub fn namespace(self) -> Option<&'c str> {
        self.maybe(node::NAMESPACE)
    }

    /// `linux`
    pub fn platform(self) -> &'c str {
        self.text(node::PLATFORM)
    }

    /// `debian12`
    pub fn os(self) -> &'c str {
        self.text(node::OS)
    }

    /// `x86_64_v3`
    pub fn target(self) -> &'c str {
        self.text(node::TARGET)
    }

    /// The DAG hash.
    pub fn hash(self) -> &'c str {
        self.tables().hash(self.index)
    }

    /// Whether the package was not built by Spack.
    pub fn is_external(self) -> bool {
        self.number_in(node::FLAGS) & node::EXTERNAL != 0
    }

    /// Whether the cache has its binary.
    pub fn in_buildcache(self) -> bool {
        self.number_in(node::FLAGS) & node::IN_BUILDCACHE != 0
    }

    /// The spec it was spliced from.
    pub fn build_spec(self) -> Option<&'c str> {
        self.maybe(node::BUILD_SPEC)
    }

    /// The version of the `spec.json` format that the node was first written in: before 5 its compiler is an attribute.
    pub fn original_format(self) -> u32 {
        self.number_in(node::FLAGS) >> 8
    }

    /// The compiler of a node that has it as an attribute: name and version.
    pub fn compiler(self) -> Option<(&'c str, &'c str)> {
        Some((self.maybe(node::COMPILER_NAME)?, self.maybe(node::COMPILER_VERSION)?))
    }

    /// The value of a variant, or compiler flags.
    pub fn parameter(self, name: &str) -> Option<ParameterValue<'c>> {
        self.parameters().find_map(|(found, value)| (found == name).then_some(value))
    }

    /// All variants and compiler flags, in the order written.
    pub fn parameters(self) -> impl Iterator<Item = (&'c str, ParameterValue<'c>)> {
        let tables = self.tables();
        let rows =
            tables.range(Section::ParameterLists, self.number_in(node::PARAMETERS), Section::Parameters);
        rows.map(move |row| {
            let number = |column| tables.number(Section::Parameters, row, column).unwrap_or(NONE);
            (tables.string(number(0)), value(tables, number(1)))
        })
    }

    /// The edges to direct dependencies, in the order written (by name).
    pub fn edges(self) -> impl Iterator<Item = EdgeRef<'c>> {
        self.tables().edges(self.index).map(move |row| EdgeRef { catalog: self.catalog, row })
    }

    /// The node's JSON, minified. Empty if it is kept in a file, and is no longer there as it was written.
    pub fn json(self) -> &'c str {
        let place = Place {
            from: self.number_in(node::TEXT),
            length: self.number_in(node::TEXT_LENGTH),
            checksum: self.number_in(node::TEXT_CHECKSUM),
        };
        self.catalog.parts.texts.of_node(self.index, self.tables().rows(Section::Nodes), &place)
    }

    /// All of the node, read from its JSON.
    ///
    /// # Errors
    /// If the JSON is not what the tables say it is.
    pub fn to_node(self) -> Result<Node, InvalidNode> {
        let json = self.json();
        let hash = DagHash::parse(self.hash()).ok();
        // What was converted when it was stored says so; else it is stored as it was first written.
        let is_converted = json.contains("original_specfile_version");
        let format = if is_converted { spec_json::CURRENT_VERSION } else { self.original_format() };
        let json = RawValue::from_string(json.to_owned())
            .map_err(|error| InvalidNode { reason: error.to_string(), excerpt: self.label() })?;
        Ok(Node::read(&json, format, hash.as_ref())?.node)
    }

    /// `name@version/hash7`, as people read it.
    pub fn label(self) -> String {
        format!("{}@{}/{}", self.name(), self.version(), self.hash().get(..7).unwrap_or(self.hash()))
    }
}

fn value(tables: &Tables, packed: u32) -> ParameterValue<'_> {
    let number = packed & !(u32::MAX << KIND_SHIFT);
    match packed >> KIND_SHIFT {
        KIND_BOOL => ParameterValue::Bool(number != 0),
        KIND_SINGLE => ParameterValue::Single(tables.string(number)),
        KIND_MULTIPLE => ParameterValue::Multiple(tables.list(number).collect()),
        _ => ParameterValue::Single(""),
    }
}

impl<'c> EdgeRef<'c> {
    fn tables(self) -> &'c Tables {
        &self.catalog.parts.tables
    }

    fn number(self, column: usize) -> u32 {
        self.tables().number(Section::Edges, self.row, column).unwrap_or(NONE)
    }

    /// The dependency, if the catalog has it.
    pub fn node(self) -> Option<NodeRef<'c>> {
        let index = self.number(1);
        let is_there = index & ABSENT == 0 && index < self.tables().rows(Section::Nodes);
        is_there.then_some(NodeRef { catalog: self.catalog, index })
    }

    /// Name of the dependency's package.
    pub fn name(self) -> &'c str {
        self.tables().string(self.number(0))
    }

    /// DAG hash of the dependency.
    pub fn hash(self) -> &'c str {
        match self.node() {
            Some(node) => node.hash(),
            None => self.tables().string(self.number(1) & !ABSENT),
        }
    }

    /// What it is needed for.
    pub fn types(self) -> DependencyTypes {
        DependencyTypes::from_bits((self.number(2) & !(u32::MAX << TYPE_BITS)) as u8)
    }

    /// The virtual packages it provides to this node.
    pub fn virtuals(self) -> impl Iterator<Item = &'c str> {
        self.tables().list(self.number(2) >> TYPE_BITS)
    }
}

impl PartialEq for NodeRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.catalog, other.catalog) && self.index == other.index
    }
}

impl Eq for NodeRef<'_> {}

impl fmt::Debug for NodeRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl fmt::Debug for EdgeRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name(), self.hash())
    }
}
