//! [`Builder`]: makes the tables of a catalog, node by node.
//!
//! Strings, lists and hashes are given numbers as they come, the same one each time; `'t` is how long the text lives
//! that they are borrowed from.

use super::tables::{
    self, ABSENT, KIND_BOOL, KIND_MULTIPLE, KIND_SHIFT, KIND_SINGLE, NONE, SECTIONS, TYPE_BITS, node,
};
use crate::dag::DependencyTypes;
use crate::dag_hash;
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;

/// Gives each string a number, the same one each time.
#[derive(Default)]
struct Numbers<'t> {
    by_text: HashMap<Cow<'t, str>, u32, RandomState>,
    texts: Vec<Cow<'t, str>>,
}

impl<'t> Numbers<'t> {
    fn of(&mut self, text: Cow<'t, str>) -> u32 {
        if let Some(number) = self.by_text.get(&*text) {
            return *number;
        }
        let number = count(self.texts.len());
        self.texts.push(text.clone());
        self.by_text.insert(text, number);
        number
    }
}

/// Gives each list of numbers a number, the same one each time.
#[derive(Default)]
struct Lists {
    by_content: HashMap<Vec<u32>, u32, RandomState>,
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    fn of(&mut self, items: Vec<u32>) -> u32 {
        if let Some(number) = self.by_content.get(&items) {
            return *number;
        }
        let number = count(self.starts.len());
        self.starts.push(count(self.items.len()));
        self.items.extend_from_slice(&items);
        self.by_content.insert(items, number);
        number
    }

    fn items_of(&self, list: u32) -> &[u32] {
        let list = list as usize;
        let start = self.starts.get(list).map_or(self.items.len(), |start| *start as usize);
        let end = self.starts.get(list + 1).map_or(self.items.len(), |end| *end as usize);
        &self.items[start..end]
    }
}

/// What a node is, in numbers that the builder gave.
pub(super) struct NewNode {
    pub(super) hash: u32,
    pub(super) name: u32,
    pub(super) version: u32,
    pub(super) namespace: u32,
    pub(super) architecture: [u32; 3],
    pub(super) build_spec: u32,
    pub(super) compiler: [u32; 2],
    pub(super) original_format: u32,
    pub(super) external: bool,
    pub(super) in_buildcache: bool,
    pub(super) parameters: u32,
    /// Place and length of its JSON in the document.
    pub(super) text: (usize, usize),
    pub(super) text_checksum: u32,
}

/// The value of a parameter, in numbers that the builder gave.
pub(super) enum NewValue {
    Bool(bool),
    Single(u32),
    Multiple(u32),
}

/// Tables in the making.
#[derive(Default)]
pub(super) struct Builder<'t> {
    strings: Numbers<'t>,
    hashes: Numbers<'t>,
    lists: Lists,
    parameter_lists: Lists,
    nodes: Vec<[u32; node::WIDTH]>,
    /// The hash of each node.
    node_hashes: Vec<u32>,
    /// As they will be, but with the number of a hash for a dependency.
    edges: Vec<[u32; 3]>,
    /// Edges that belong to nodes; what follows is of one that is not added yet.
    edges_used: usize,
}

impl<'t> Builder<'t> {
    /// The number of a string.
    pub(super) fn string(&mut self, text: impl Into<Cow<'t, str>>) -> u32 {
        self.strings.of(text.into())
    }

    /// The number of a string that may be missing.
    pub(super) fn maybe(&mut self, text: Option<impl Into<Cow<'t, str>>>) -> u32 {
        text.map_or(NONE, |text| self.string(text))
    }

    /// The number of a DAG hash.
    pub(super) fn hash(&mut self, text: impl Into<Cow<'t, str>>) -> u32 {
        self.hashes.of(text.into())
    }

    /// The number of a list of strings.
    pub(super) fn list(&mut self, strings: Vec<u32>) -> u32 {
        self.lists.of(strings)
    }

    /// The number of a list of parameters, each a string and a value.
    pub(super) fn parameters(&mut self, parameters: impl IntoIterator<Item = (u32, NewValue)>) -> u32 {
        let mut items = Vec::new();
        for (name, value) in parameters {
            items.push(name);
            items.push(match value {
                NewValue::Bool(value) => KIND_BOOL << KIND_SHIFT | u32::from(value),
                NewValue::Single(string) => KIND_SINGLE << KIND_SHIFT | string,
                NewValue::Multiple(list) => KIND_MULTIPLE << KIND_SHIFT | list,
            });
        }
        self.parameter_lists.of(items)
    }

    /// Adds an edge to the node that is added next.
    pub(super) fn edge(&mut self, name: u32, hash: u32, types: DependencyTypes, virtuals: u32) {
        self.edges.push([name, hash, virtuals << TYPE_BITS | u32::from(types.bits())]);
    }

    /// Forgets the edges of a node that is not going to be added.
    pub(super) fn forget_edges(&mut self) {
        self.edges.truncate(self.edges_used);
    }

    /// Adds a node, with the edges that were added since the one before.
    pub(super) fn node(&mut self, new: NewNode) {
        let mut row = [NONE; node::WIDTH];
        row[node::NAME] = new.name;
        row[node::VERSION] = new.version;
        row[node::NAMESPACE] = new.namespace;
        [row[node::PLATFORM], row[node::OS], row[node::TARGET]] = new.architecture;
        row[node::BUILD_SPEC] = new.build_spec;
        [row[node::COMPILER_NAME], row[node::COMPILER_VERSION]] = new.compiler;
        let external = if new.external { node::EXTERNAL } else { 0 };
        let in_buildcache = if new.in_buildcache { node::IN_BUILDCACHE } else { 0 };
        row[node::FLAGS] = new.original_format << 8 | external | in_buildcache;
        row[node::PARAMETERS] = new.parameters;
        row[node::FIRST_EDGE] = count(self.edges_used);
        row[node::EDGES] = count(self.edges.len() - self.edges_used);
        row[node::TEXT] = count(new.text.0);
        row[node::TEXT_LENGTH] = count(new.text.1);
        row[node::TEXT_CHECKSUM] = new.text_checksum;
        self.edges_used = self.edges.len();
        self.nodes.push(row);
        self.node_hashes.push(new.hash);
    }

    /// The tables of all nodes that were added, for a document of so many bytes. Of two with one hash the later one counts.
    pub(super) fn finish(mut self, document: usize) -> Vec<u8> {
        let node_of_hash = self.number_nodes();
        for edge in &mut self.edges {
            edge[1] = match node_of_hash[edge[1] as usize] {
                NONE => ABSENT | self.strings.of(self.hashes.texts[edge[1] as usize].clone()),
                node => node,
            };
        }
        let mut provided = Vec::new();
        for row in &self.nodes {
            let first = row[node::FIRST_EDGE] as usize;
            for edge in &self.edges[first..first + row[node::EDGES] as usize] {
                if edge[1] & ABSENT == 0 {
                    let virtuals = self.lists.items_of(edge[2] >> TYPE_BITS);
                    provided.extend(virtuals.iter().map(|name| (*name, edge[1])));
                }
            }
        }
        let named = self.nodes.iter().zip(0..).map(|(row, number)| (row[node::NAME], number)).collect();
        let (names, named) = self.grouped(named);
        let (virtuals, providers) = self.grouped(provided);
        let mut text: String =
            self.node_hashes.iter().map(|hash| &*self.hashes.texts[*hash as usize]).collect();
        let by_hash = sorted_by_hash(&text);
        let mut strings = Vec::with_capacity(self.strings.texts.len() + 1);
        for string in &self.strings.texts {
            strings.push(count(text.len()));
            text.push_str(string);
        }
        strings.push(count(text.len()));
        self.lists.starts.push(count(self.lists.items.len()));
        let parameters = &self.parameter_lists.items;
        let mut parameter_lists: Vec<u32> =
            self.parameter_lists.starts.iter().map(|start| start / 2).collect();
        parameter_lists.push(count(parameters.len() / 2));
        let sections: [&[u32]; SECTIONS - 1] = [
            self.nodes.as_flattened(),
            self.edges.as_flattened(),
            &names,
            &named,
            &by_hash,
            &virtuals,
            &providers,
            &parameter_lists,
            parameters,
            &self.lists.starts,
            &self.lists.items,
            &strings,
        ];
        tables::packed(&sections, &text, count(document))
    }

    /// The number of the node of each hash, after the first of two nodes with the same hash is gone.
    fn number_nodes(&mut self) -> Vec<u32> {
        let mut node_of_hash = vec![NONE; self.hashes.texts.len()];
        let mut number = |node_hashes: &[u32]| {
            for (hash, node) in node_hashes.iter().zip(0..) {
                node_of_hash[*hash as usize] = node;
            }
            node_of_hash.clone()
        };
        let last = number(&self.node_hashes);
        let hashes = std::mem::take(&mut self.node_hashes);
        let is_last = |at: usize| last[hashes[at] as usize] as usize == at;
        let mut at = 0..;
        self.nodes.retain(|_| at.next().is_some_and(is_last));
        self.node_hashes = (0..hashes.len()).filter(|at| is_last(*at)).map(|at| hashes[at]).collect();
        number(&self.node_hashes)
    }

    /// Pairs of a string and a node as a table of names, sorted by name, and the nodes in its order.
    fn grouped(&self, mut pairs: Vec<(u32, u32)>) -> (Vec<u32>, Vec<u32>) {
        pairs.sort_unstable();
        pairs.dedup();
        let mut groups: Vec<&[(u32, u32)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
        groups.sort_unstable_by_key(|group| &*self.strings.texts[group[0].0 as usize]);
        let (mut names, mut nodes) = (Vec::new(), Vec::with_capacity(pairs.len()));
        for group in groups {
            names.extend([group[0].0, count(nodes.len())]);
            nodes.extend(group.iter().map(|(_, node)| *node));
        }
        names.extend([NONE, count(nodes.len())]);
        (names, nodes)
    }
}

/// The numbers of hashes, which follow each other in `text`, in their order.
fn sorted_by_hash(text: &str) -> Vec<u32> {
    let mut hashes: Vec<(&[u8], u32)> = text.as_bytes().chunks(dag_hash::LENGTH).zip(0..).collect();
    // The first eight bytes decide all but always, and are compared at once.
    let first = |hash: &[u8]| hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    hashes.sort_by_cached_key(|(hash, _)| (first(hash), *hash));
    hashes.into_iter().map(|(_, number)| number).collect()
}

/// There are less than 2^32 of anything in a document of less than 2^32 bytes.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}
