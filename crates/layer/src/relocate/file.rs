//! One open file: small ones as a whole, large ones in windows.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::RelocateError;
use super::binary::{BinaryError, relocate_binary};
use super::large::{WINDOW, relocate_large_binary, relocate_large_text};
use super::prefix_map::PrefixMap;
use super::text::replace_text_within;

/// Files larger than this, in bytes, are not read into memory.
pub(super) const LARGE: u64 = 16 << 20;

/// The most bytes that a text may be longer after relocation than before. Real ones grow by some thousand.
const MAX_TEXT_GROWTH: usize = 256 << 20;

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileEdit {
    pub(super) changed: bool,
    /// Whether it is an ELF file that became longer.
    pub(super) grown: bool,
}

/// Why a file could not be relocated. It may be changed in part.
#[derive(Debug)]
pub(super) enum FileError {
    Read(io::Error),
    Write(io::Error),
    Binary(BinaryError),
    TextGrows,
}

impl FileError {
    /// The error, with the name of the file.
    pub(super) fn of(self, path: &Path) -> RelocateError {
        let path = path.to_owned();
        match self {
            FileError::Read(source) => RelocateError::Io { action: "read", path, source },
            FileError::Write(source) => RelocateError::Io { action: "write", path, source },
            FileError::Binary(source) => RelocateError::Binary { path, source },
            FileError::TextGrows => RelocateError::TextGrows { path, limit: MAX_TEXT_GROWTH },
        }
    }
}

/// Relocates a text, open for reading and writing, of `size` bytes; `content` is room to work in, and has afterwards what
/// the file has, unless that is [`LARGE`].
pub(super) fn relocate_text_file(
    map: &PrefixMap,
    mut file: &File,
    size: u64,
    content: &mut Vec<u8>,
) -> Result<FileEdit, FileError> {
    let unchanged = FileEdit { changed: false, grown: false };
    if size > LARGE {
        let changed = relocate_large_text(map, file, MAX_TEXT_GROWTH as u64, WINDOW, content)?;
        return Ok(FileEdit { changed, ..unchanged });
    }
    content.clear();
    file.read_to_end(content).map_err(FileError::Read)?;
    let replaced = replace_text_within(map, content, MAX_TEXT_GROWTH).map_err(|_| FileError::TextGrows)?;
    let Some(replaced) = replaced else { return Ok(unchanged) };
    write_text(file, content, &replaced).map_err(FileError::Write)?;
    *content = replaced;
    Ok(FileEdit { changed: true, ..unchanged })
}

/// Relocates a file of any binary format, open for reading and writing, of `size` bytes; `content` is room to work in, and
/// has afterwards what the file has, unless that is [`LARGE`].
pub(super) fn relocate_binary_file(
    map: &PrefixMap,
    mut file: &File,
    size: u64,
    content: &mut Vec<u8>,
) -> Result<FileEdit, FileError> {
    if size > LARGE {
        return relocate_large_binary(map, file, WINDOW, content);
    }
    content.clear();
    file.read_to_end(content).map_err(FileError::Read)?;
    let edit = relocate_binary(map, content).map_err(FileError::Binary)?;
    for range in &edit.changed {
        file.write_all_at(&content[range.clone()], range.start as u64).map_err(FileError::Write)?;
    }
    Ok(FileEdit { changed: !edit.changed.is_empty(), grown: edit.grown })
}

/// Writes `new` over `old`, from the first byte that differs.
fn write_text(file: &File, old: &[u8], new: &[u8]) -> io::Result<()> {
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    file.write_all_at(&new[same..], same as u64)?;
    if new.len() < old.len() {
        file.set_len(new.len() as u64)?;
    }
    Ok(())
}
