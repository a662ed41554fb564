//! The blob cache: blobs of registries kept on disk, by digest.
//!
//! ```text
//! DIRECTORY/blobs/sha256/ab/ab12…   complete blobs; the time of modification is that of the last use
//! DIRECTORY/partial/ab12…           blobs on their way, each locked (flock) by whoever writes it
//! DIRECTORY/index/cd34…             what others made of the indexes of caches, by the digest of a cache's URL; they
//!                                   make and read them, and the cache only counts and removes them
//! ```
//!
//! Processes of one user share it without talking to each other. A blob is verified each time before it is handed
//! out, so that nothing has to be trusted but its digest: not who wrote it, not the disk, and not that the machine was
//! up until it was written. What is wrong is removed, and downloaded again.

mod entry;
mod inventory;
mod partial;
mod prune;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

pub(crate) use self::entry::Found;
pub(crate) use self::partial::Partial;
use crate::Digest;

/// How the names begin of files in `index` that are being written, each locked (flock) by whoever does.
pub const INDEX_DRAFT: &str = ".draft-";

/// How long another's download may stand still before it is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Blobs that were downloaded, complete and in part, in a directory that the processes of a user share.
#[derive(Debug, Clone)]
pub struct BlobCache {
    directory: PathBuf,
    patience: Duration,
    /// Whether nothing can be written, as was found out before.
    unusable: Arc<AtomicBool>,
}

/// What is in a [`BlobCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CacheInfo {
    /// Complete blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were begun.
    pub partial: u64,
    /// What there is of them, in bytes.
    pub partial_bytes: u64,
    /// Indexes of caches in another form.
    pub indexes: u64,
    /// Their bytes.
    pub index_bytes: u64,
    /// When the complete blob that has not been used for longest was last used, in seconds since 1970.
    pub oldest: Option<u64>,
}

/// What [`BlobCache::prune`] removes. Each rule removes on its own; by default, nothing is but what was begun more
/// than a day ago and never finished.
#[derive(Debug, Clone, Copy, Default)]
pub struct PruneOptions {
    /// What has not been used for longest, until no more than this many bytes are left.
    pub max_bytes: Option<u64>,
    /// What has not been used for so long.
    pub unused_for: Option<Duration>,
    /// All of it.
    pub everything: bool,
}

/// What [`BlobCache::prune`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pruned {
    /// Blobs that were removed, begun ones and indexes in another form included.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that are left, begun ones and indexes in another form included.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

impl BlobCache {
    /// The cache in `directory`, which is made when something is first kept.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), patience: PATIENCE, unusable: Arc::default() }
    }

    /// As this one, but another's download of the same blob is waited for only while it does not stand still for
    /// `patience` (30 s by default); then the blob is downloaded without the cache.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where indexes of caches are kept in another form.
    pub fn indexes(&self) -> PathBuf {
        self.directory.join("index")
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a blob is kept, whether it is there or not.
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.blobs().join(&hex[..2]).join(hex)
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether something may be written to it, as far as known.
    pub(crate) fn is_usable(&self) -> bool {
        !self.unusable.load(Ordering::Relaxed)
    }

    /// Notes that nothing can be written; true the first time.
    pub(crate) fn give_up(&self) -> bool {
        !self.unusable.swap(true, Ordering::Relaxed)
    }

    fn blobs(&self) -> PathBuf {
        self.directory.join("blobs/sha256")
    }

    fn partials(&self) -> PathBuf {
        self.directory.join("partial")
    }
}
