//! What is in the cache.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{BlobCache, CacheInfo, INDEX_DRAFT};
use crate::Error;

/// A file of the cache.
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) used: SystemTime,
    pub(super) kind: Kind,
}

/// What a file of the cache is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A complete blob.
    Blob,
    /// Something begun, locked by whoever writes it.
    Partial,
    /// An index in another form.
    Index,
}

impl BlobCache {
    /// How much is in it. A directory that does not exist is an empty cache.
    ///
    /// # Errors
    /// [`Error::Io`] for a directory that cannot be read.
    pub fn info(&self) -> Result<CacheInfo, Error> {
        let mut info = CacheInfo::default();
        for kept in self.inventory()? {
            match kept.kind {
                Kind::Blob => {
                    info.blobs += 1;
                    info.bytes += kept.size;
                    let used =
                        kept.used.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs());
                    info.oldest = Some(info.oldest.map_or(used, |oldest| oldest.min(used)));
                }
                Kind::Partial => {
                    info.partial += 1;
                    info.partial_bytes += kept.size;
                }
                Kind::Index => {
                    info.indexes += 1;
                    info.index_bytes += kept.size;
                }
            }
        }
        Ok(info)
    }

    /// All files of the cache. What others put beside them is none of ours.
    pub(super) fn inventory(&self) -> Result<Vec<Kept>, Error> {
        let mut all = Vec::new();
        for_each(&self.partials(), |entry, metadata| all.extend(kept(entry, metadata, Kind::Partial)))?;
        for_each(&self.indexes(), |entry, metadata| all.extend(kept(entry, metadata, Kind::Index)))?;
        let mut shelves = Vec::new();
        for_each(&self.blobs(), |entry, metadata| {
            if metadata.is_dir() {
                shelves.push(entry.path());
            }
        })?;
        for shelf in shelves {
            for_each(&shelf, |entry, metadata| all.extend(kept(entry, metadata, Kind::Blob)))?;
        }
        Ok(all)
    }
}

fn for_each(directory: &Path, mut visit: impl FnMut(&DirEntry, &Metadata)) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome.map_err(Error::io("read", directory))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", directory))?;
        // Others may remove things meanwhile.
        if let Ok(metadata) = entry.metadata() {
            visit(&entry, &metadata);
        }
    }
    Ok(())
}

fn kept(entry: &DirEntry, metadata: &Metadata, kind: Kind) -> Option<Kept> {
    let name = entry.file_name();
    let name = name.to_str()?;
    let is_draft = kind == Kind::Index && name.starts_with(INDEX_DRAFT);
    let is_digest = name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let kind = if is_draft { Kind::Partial } else { kind };
    let is_ours = metadata.is_file() && (is_draft || is_digest);
    is_ours.then(|| Kept { path: entry.path(), size: metadata.len(), used, kind })
}
