//! The JSON of nodes: where it lies, and each node's as it is asked for.

use super::tables::checksum;
use crate::minify::minify;
use std::io::{self, Write};
use std::sync::OnceLock;

/// How much of a document is copied at once.
const PIECE: u64 = 1 << 20;

/// The text that holds the JSON of all nodes of a catalog: in memory, or in a file.
pub trait Document: Send + Sync {
    /// The bytes `from..from + length`, all of them.
    ///
    /// # Errors
    /// If they cannot be read, or there are not as many.
    fn read(&self, from: u64, length: usize) -> io::Result<Vec<u8>>;
}

impl Document for String {
    fn read(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let from = usize::try_from(from).ok();
        let range = from.and_then(|from| Some(from..from.checked_add(length)?));
        let bytes = range.and_then(|range| self.as_bytes().get(range));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The JSON of each node that was asked for.
pub(super) struct NodeTexts {
    document: Box<dyn Document>,
    read: OnceLock<Box<[OnceLock<Box<str>>]>>,
}

/// Where the JSON of a node is said to be.
pub(super) struct Place {
    pub(super) from: u32,
    pub(super) length: u32,
    pub(super) checksum: u32,
}

impl NodeTexts {
    pub(super) fn of(document: Box<dyn Document>) -> Self {
        Self { document, read: OnceLock::new() }
    }

    /// The JSON of node `number` of `count`, minified; empty if it is not what was written.
    pub(super) fn of_node(&self, number: u32, count: u32, place: &Place) -> &str {
        let all = self.read.get_or_init(|| (0..count).map(|_| OnceLock::new()).collect());
        let Some(one) = all.get(number as usize) else { return "" };
        one.get_or_init(|| self.fetch(place).unwrap_or_default())
    }

    /// Writes the first `length` bytes of the document.
    pub(super) fn write(&self, length: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut from = 0;
        while from < length {
            let piece = self.document.read(from, PIECE.min(length - from) as usize)?;
            out.write_all(&piece)?;
            from += piece.len() as u64;
        }
        Ok(())
    }

    fn fetch(&self, place: &Place) -> Option<Box<str>> {
        let bytes = self.document.read(u64::from(place.from), place.length as usize).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        (checksum(text.as_bytes()) == place.checksum).then(|| minify(&text).into_boxed_str())
    }
}
