//! What is put into a repository as a blob, and small blobs read whole.

use std::io::Read;
use std::path::PathBuf;

use crate::{Descriptor, Digest, Error, Repository};

/// A blob to be put: its digest and size, known beforehand, and where its bytes are.
#[derive(Debug, Clone)]
pub struct BlobSource {
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// Where they are.
    pub kind: BlobKind,
    /// Another repository of the same registry, by its name there, that has the blob: it may then be mounted, and
    /// nothing needs to be sent. With the name of the repository itself, it is not asked for the blob before.
    pub mount_from: Option<String>,
}

/// Where the bytes of a [`BlobSource`] are.
#[derive(Debug, Clone)]
pub enum BlobKind {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file. If it lies below the repository's [`scratch_dir`](Repository::scratch_dir), it is renamed into
    /// place and gone afterwards; anywhere else it is only read.
    File(PathBuf),
}

impl BlobSource {
    /// A blob of these bytes.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            kind: BlobKind::Bytes(bytes),
            mount_from: None,
        }
    }

    /// The blob in the file `path`, whose digest and size were computed when it was written.
    pub fn file(path: impl Into<PathBuf>, digest: Digest, size: u64) -> Self {
        Self { digest, size, kind: BlobKind::File(path.into()), mount_from: None }
    }

    /// What points at this blob once it is put.
    pub fn descriptor(&self, media_type: impl Into<String>) -> Descriptor {
        Descriptor::new(media_type, self.digest, self.size)
    }
}

/// What putting a blob came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Uploaded {
    /// Whether the repository had it already, so that nothing was sent.
    pub existed: bool,
    /// Whether it was mounted from another repository of the registry, so that nothing was sent.
    pub mounted: bool,
}

/// Reads a whole blob into memory, verified; for configs and indexes, not for layers.
///
/// # Errors
/// [`Error::TooLarge`] if the descriptor says it has more than `limit` bytes; what [`Repository::blob`] and its
/// reader give.
pub fn blob_bytes(
    repository: &dyn Repository,
    descriptor: &Descriptor,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let location = || format!("{} {}", repository.url(), descriptor.digest);
    if descriptor.size > limit {
        return Err(Error::TooLarge { location: location(), size: descriptor.size, limit });
    }
    // The size is somebody's claim: let the buffer grow with what really comes.
    let mut bytes = Vec::new();
    repository
        .blob(descriptor)?
        .read_to_end(&mut bytes)
        .map_err(|error| Error::from_read(error, location()))?;
    // It may have grown to twice of what came, which for an index is a lot.
    bytes.shrink_to_fit();
    Ok(bytes)
}
