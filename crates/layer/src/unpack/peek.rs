//! The first entries of a layer, which tell where its package was built, without reading the rest.

use std::io::Read;

use super::archive::{Archive, Kind};
use super::error::UnpackError;
use super::stream::{TarStream, read};
use crate::compression::Decompressor;

/// More directories than any path has, and the most that are looked at.
const MAX_DIRECTORIES: usize = 1024;

/// The names, without a leading `/`, of the directories that a layer starts with, up to its first entry of another
/// kind: the parents of the prefix, the prefix, and perhaps some directories in it. The reader is left where it is.
///
/// # Errors
/// See [`UnpackError`].
pub fn leading_directories(layer: impl Read) -> Result<Vec<String>, UnpackError> {
    let limit = (MAX_DIRECTORIES as u64) << 13;
    let plain = Decompressor::new(layer, 1).map_err(read)?;
    let mut archive = Archive::new(TarStream::new(Box::new(plain), limit));
    let mut directories = Vec::new();
    while directories.len() < MAX_DIRECTORIES {
        match archive.next() {
            Ok(Some(entry)) if matches!(entry.kind, Kind::Directory) => {
                directories.push(entry.name.to_string());
            }
            // The limit is for what is read here; a file may well be larger.
            Ok(_) | Err(UnpackError::TooLarge { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(directories)
}
