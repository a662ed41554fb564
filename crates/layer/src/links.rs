//! A layer of directories and symbolic links alone: a view.

use std::io::{self, Write};

use crate::gzip::writer::{CompressorPool, Finished, MemberWriter};
use crate::pack::TarWriter;

/// A directory or a symbolic link of a layer of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEntry {
    /// A directory, named without `/` at either end. Parents come before what is in them.
    Directory(Vec<u8>),
    /// A symbolic link.
    Link {
        /// Its name, without a leading `/`.
        name: Vec<u8>,
        /// Where it points.
        target: Vec<u8>,
    },
}

/// Writes a layer of links. Same entries, same bytes.
///
/// # Errors
/// Those of `output`.
pub fn write_links<W: Write + Send>(
    entries: &[LinkEntry],
    pool: &CompressorPool,
    output: W,
) -> io::Result<Finished<W>> {
    let mut tar = TarWriter::new(MemberWriter::new(pool, output));
    for entry in entries {
        match entry {
            LinkEntry::Directory(name) => tar.directory(name)?,
            LinkEntry::Link { name, target } => tar.symlink(name, target)?,
        }
    }
    tar.finish()?.finish()
}
