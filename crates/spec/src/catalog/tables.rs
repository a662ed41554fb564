//! The packed form of a catalog: what it has to do, how it is laid out, and reading it with every access checked.
//!
//! Goals, in this order:
//!
//! - A question touches the tables alone, and of these only what it asks for. The JSON of the nodes, nine tenths of it
//!   all, stays in its file until somebody wants the JSON of one node.
//! - What lies in a file can be taken into memory as it is: nothing is parsed, nothing is built. 100,000 specs are some
//!   20 MB.
//! - Whatever the bytes are, reading them ends, stays within them and does not panic. That they are the bytes that were
//!   written is told by a checksum, of the tables when they are opened and of each node's JSON when it is read; so the file
//!   need not be flushed to disk, and one that a crash of the machine left half empty is found out.
//!
//! All numbers are little-endian and 32 bits wide, and all places are counted from the start of their section.
//!
//! ```text
//! magic        8 bytes, the last one the version of this layout
//! checksum     CRC-32 of the tables after this number
//! counts       of the rows of each section, in the order below, and the bytes of the document
//! nodes        16 numbers each (`node`), in the order of the index
//! edges        name, dependency, types and virtuals; those of a node follow each other
//! names        name, first row in `named`; sorted by name, with a last row that ends the one before
//! named        numbers of nodes, by name
//! by hash      numbers of nodes, sorted by hash
//! virtuals     name, first row in `providers`; sorted by name, with a last row
//! providers    numbers of nodes, by virtual package
//! parameters   lists: first rows of each in the next section, with a last one
//! parameter    name, value
//! lists        of strings: first rows of each in the next section, with a last one
//! items        numbers of strings
//! strings      where each begins in the text, with a last one
//! text         UTF-8: the hashes of all nodes, 32 bytes each, then the strings, each once
//! ```
//!
//! In a file the document follows: the text that holds the JSON of all nodes.

use std::ops::Range;

use crate::dag_hash;

/// The beginning of the form; another layout gets another last byte.
const MAGIC: &[u8; 8] = b"stratac\x01";
/// Stands for a string or a node that is not there.
pub(super) const NONE: u32 = u32::MAX;
/// Numbers before the first section.
const HEADER: usize = MAGIC.len() + 4 * (1 + SECTIONS + 1);
/// How many sections there are.
pub(super) const SECTIONS: usize = 13;
/// The numbers of each row of each section; the text has bytes.
const WIDTHS: [usize; SECTIONS] = [node::WIDTH, 3, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 0];

/// Set in the second number of an edge if what follows is a string, the hash of a dependency that is not in the catalog.
pub(super) const ABSENT: u32 = 1 << 31;
/// The bits of the third number of an edge that hold dependency types; the others are a list of strings.
pub(super) const TYPE_BITS: u32 = 4;
/// What kind of value a parameter has is in the upper two bits of its second number.
pub(super) const KIND_SHIFT: u32 = 30;
/// A boolean.
pub(super) const KIND_BOOL: u32 = 0;
/// A string.
pub(super) const KIND_SINGLE: u32 = 1;
/// A list of strings.
pub(super) const KIND_MULTIPLE: u32 = 2;

/// A section of the form.
#[derive(Clone, Copy)]
pub(super) enum Section {
    Nodes,
    Edges,
    Names,
    Named,
    ByHash,
    Virtuals,
    Providers,
    ParameterLists,
    Parameters,
    Lists,
    Items,
    Strings,
    Text,
}

/// The numbers of a node's row.
pub(super) mod node {
    /// How many there are.
    pub(in super::super) const WIDTH: usize = 16;
    pub(in super::super) const NAME: usize = 0;
    pub(in super::super) const VERSION: usize = 1;
    pub(in super::super) const NAMESPACE: usize = 2;
    pub(in super::super) const PLATFORM: usize = 3;
    pub(in super::super) const OS: usize = 4;
    pub(in super::super) const TARGET: usize = 5;
    pub(in super::super) const BUILD_SPEC: usize = 6;
    pub(in super::super) const COMPILER_NAME: usize = 7;
    pub(in super::super) const COMPILER_VERSION: usize = 8;
    /// [`EXTERNAL`] and [`IN_BUILDCACHE`], and from bit 8 on the original format.
    pub(in super::super) const FLAGS: usize = 9;
    pub(in super::super) const PARAMETERS: usize = 10;
    pub(in super::super) const FIRST_EDGE: usize = 11;
    pub(in super::super) const EDGES: usize = 12;
    /// Where its JSON is in the document, and how long.
    pub(in super::super) const TEXT: usize = 13;
    pub(in super::super) const TEXT_LENGTH: usize = 14;
    pub(in super::super) const TEXT_CHECKSUM: usize = 15;
    pub(in super::super) const EXTERNAL: u32 = 1;
    pub(in super::super) const IN_BUILDCACHE: u32 = 2;
}

/// The bytes are not the packed form of a catalog.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTables {
    /// They begin with something else, or are in another version of the layout.
    #[error("not a catalog in the layout of this version")]
    Foreign,
    /// There are more or fewer than their beginning says.
    #[error("{found} bytes where {expected} belong")]
    Length {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// They are not those that were written.
    #[error("the checksum is wrong")]
    Checksum,
    /// They are, and hold text that is none.
    #[error("text that is not UTF-8")]
    Text,
}

/// The number of rows of each section, and the bytes of the document.
pub(super) struct Counts {
    rows: [u32; SECTIONS],
    document: u32,
}

impl Counts {
    /// Reads the first bytes of a form.
    fn read(header: &[u8]) -> Result<Self, InvalidTables> {
        let numbers = header.strip_prefix(MAGIC).ok_or(InvalidTables::Foreign)?;
        let number = |at: usize| word(numbers, at).ok_or(InvalidTables::Foreign);
        let mut rows = [0; SECTIONS];
        for (section, rows) in rows.iter_mut().enumerate() {
            *rows = number(1 + section)?;
        }
        Ok(Self { rows, document: number(1 + SECTIONS)? })
    }

    fn bytes_of(&self, section: usize) -> u64 {
        let rows = u64::from(self.rows[section]);
        if section == Section::Text as usize { rows } else { rows * 4 * WIDTHS[section] as u64 }
    }

    fn tables_length(&self) -> u64 {
        HEADER as u64 + (0..SECTIONS).map(|section| self.bytes_of(section)).sum::<u64>()
    }
}

/// The form of `sections`, which are all but the last one, and the text, for a document of so many bytes.
pub(super) fn packed(sections: &[&[u32]; SECTIONS - 1], text: &str, document: u32) -> Vec<u8> {
    let numbers: usize = sections.iter().map(|section| section.len()).sum();
    let mut bytes = Vec::with_capacity(HEADER + 4 * numbers + text.len());
    let rows = sections.iter().zip(WIDTHS).map(|(section, width)| section.len() / width);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; 4]);
    for rows in rows.chain([text.len()]) {
        bytes.extend_from_slice(&u32::try_from(rows).unwrap_or(NONE).to_le_bytes());
    }
    bytes.extend_from_slice(&document.to_le_bytes());
    for number in sections.iter().copied().flatten() {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(text.as_bytes());
    let (checked, rest) = bytes.split_at_mut(MAGIC.len() + 4);
    checked[MAGIC.len()..].copy_from_slice(&checksum(rest).to_le_bytes());
    bytes
}

/// How many bytes of a file have to be read to know [`lengths`].
pub const HEADER_LENGTH: usize = HEADER;

/// The bytes of the tables and those of the document that follows them, according to the first [`HEADER_LENGTH`] bytes of
/// a file.
///
/// # Errors
/// [`InvalidTables::Foreign`] if it begins with something else.
pub fn lengths(header: &[u8]) -> Result<(u64, u64), InvalidTables> {
    let counts = Counts::read(header)?;
    Ok((counts.tables_length(), u64::from(counts.document)))
}

/// The tables of a catalog, in memory.
pub(super) struct Tables {
    bytes: Vec<u8>,
    /// The bytes of each section.
    sections: [Range<usize>; SECTIONS],
    rows: [u32; SECTIONS],
    text: String,
}

impl Tables {
    /// Takes tables as they were written.
    pub(super) fn open(mut bytes: Vec<u8>) -> Result<Self, InvalidTables> {
        let counts = Counts::read(&bytes)?;
        let expected = counts.tables_length();
        let found = bytes.len() as u64;
        if expected != found {
            return Err(InvalidTables::Length { expected, found });
        }
        let (checked, rest) = bytes.split_at(MAGIC.len() + 4);
        if word(&checked[MAGIC.len()..], 0) != Some(checksum(rest)) {
            return Err(InvalidTables::Checksum);
        }
        let mut end = HEADER;
        let sections = std::array::from_fn(|section| {
            // No overflow: all of it is in memory.
            let range = end..end + counts.bytes_of(section) as usize;
            end = range.end;
            range
        });
        let text_from = sections[Section::Text as usize].start;
        let text = String::from_utf8(bytes.split_off(text_from)).map_err(|_| InvalidTables::Text)?;
        Ok(Self { bytes, sections, rows: counts.rows, text })
    }

    /// Takes tables that were just made.
    pub(super) fn built(bytes: Vec<u8>) -> Self {
        Self::open(bytes).expect("tables are made as they are read")
    }

    /// The bytes that [`Tables::open`] takes, in two pieces.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        [&self.bytes, self.text.as_bytes()]
    }

    pub(super) fn rows(&self, section: Section) -> u32 {
        self.rows[section as usize]
    }

    /// A number of a row; nothing where there is no such row.
    pub(super) fn number(&self, section: Section, row: u32, column: usize) -> Option<u32> {
        let at = (row as usize).checked_mul(WIDTHS[section as usize])?.checked_add(column)?;
        word(self.bytes.get(self.sections[section as usize].clone())?, at)
    }

    /// A string by its number; empty where there is none.
    pub(super) fn string(&self, number: u32) -> &str {
        self.known_string(number).unwrap_or_default()
    }

    pub(super) fn known_string(&self, number: u32) -> Option<&str> {
        let from = self.number(Section::Strings, number, 0)?;
        let to = self.number(Section::Strings, number.checked_add(1)?, 0)?;
        self.text.get(from as usize..to as usize)
    }

    /// The hash of a node.
    pub(super) fn hash(&self, node: u32) -> &str {
        let from = node as usize * dag_hash::LENGTH;
        if node >= self.rows(Section::Nodes) {
            return "";
        }
        self.text.get(from..from + dag_hash::LENGTH).unwrap_or_default()
    }

    pub(super) fn node(&self, node: u32, column: usize) -> u32 {
        self.number(Section::Nodes, node, column).unwrap_or(NONE)
    }

    /// The rows `first..` of `section` that belong to row `row` of `index`: its first is there, and the next one's ends it.
    pub(super) fn range(&self, index: Section, row: u32, section: Section) -> Range<u32> {
        let column = WIDTHS[index as usize] - 1;
        let first = self.number(index, row, column);
        let end = row.checked_add(1).and_then(|next| self.number(index, next, column));
        match (first, end) {
            (Some(first), Some(end)) => first..end.min(self.rows(section)).max(first),
            _ => 0..0,
        }
    }

    /// The rows of a node's edges.
    pub(super) fn edges(&self, node: u32) -> Range<u32> {
        let first = self.node(node, node::FIRST_EDGE);
        let end = first.saturating_add(self.node(node, node::EDGES)).min(self.rows(Section::Edges));
        first.min(end)..end
    }

    /// The strings of a list.
    pub(super) fn list(&self, list: u32) -> impl Iterator<Item = &str> + use<'_> {
        let items = self.range(Section::Lists, list, Section::Items);
        items.map(|item| self.string(self.number(Section::Items, item, 0).unwrap_or(NONE)))
    }

    /// The row of `name` in a table whose rows begin with a string, are sorted by it and end with one of no name.
    pub(super) fn row_of(&self, index: Section, name: &str) -> Option<u32> {
        let rows = self.rows(index).saturating_sub(1);
        let of = |row| self.string(self.number(index, row, 0).unwrap_or(NONE));
        let row = partition_point(rows, |row| of(row) < name);
        (row < rows && of(row) == name).then_some(row)
    }

    /// The first row of the table of hashes whose hash is not less than `prefix`.
    pub(super) fn first_by_hash(&self, prefix: &str) -> u32 {
        let of = |row| self.hash(self.number(Section::ByHash, row, 0).unwrap_or(NONE));
        partition_point(self.rows(Section::ByHash), |row| of(row) < prefix)
    }
}

/// The first of `0..rows` for which `is_before` does not hold.
fn partition_point(rows: u32, is_before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let from = at.checked_mul(4)?;
    let bytes = bytes.get(from..from.checked_add(4)?)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
