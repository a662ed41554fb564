//! Images as files, for machines that reach no registry: what `skopeo copy`, `podman load`, `docker load` and
//! `apptainer build` read.
//!
//! An archive is a tar, and the same image gives the same bytes. Everything is verified on its way into it.

mod docker;
mod oci;
mod tar_file;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::image::ImageError;
use strata_oci::{BlobError, Descriptor, Digest, media_type};

pub use docker::write_docker_archive;
pub use oci::write_oci_archive;

use crate::error::Error;

/// How many links are followed from one to the next, as by Linux.
const MOST_LINKS: usize = 40;

/// Bytes that are copied at once.
const CHUNK: usize = 256 << 10;

/// Why an image could not be written to an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The image, or something that it consists of, cannot be read.
    #[error(transparent)]
    Repository(#[from] Box<strata_oci::Error>),
    /// The image does not fit together, or has something that cannot be in an archive.
    #[error("image {image}: {reason}")]
    Image {
        /// Its digest.
        image: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer cannot be decompressed.
    #[error("layer {layer} cannot be decompressed")]
    Layer {
        /// Its digest.
        layer: Digest,
        /// Why not.
        source: io::Error,
    },
    /// A layer is not what the config says.
    #[error("layer {layer} unpacks to {found}, and the image's config says {expected}")]
    DiffId {
        /// Its digest.
        layer: Digest,
        /// What the config says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Docker would not take an image of that name.
    #[error("{name} is no name of an image: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

impl From<strata_oci::Error> for ArchiveError {
    fn from(error: strata_oci::Error) -> Self {
        Self::Repository(Box::new(error))
    }
}

/// Makes the file at `path` by `write`, or replaces it; a file that is there stays as it is until the new one is whole,
/// and on failure for good.
///
/// # Errors
/// [`Error::Io`] and [`ImageError::Archive`] with the path; those of the repository as they are.
pub fn write_archive_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), ArchiveError>,
) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;

    let failed = |source: io::Error| Error::io(path, source);
    let place = place(path).map_err(failed)?;
    let directory = directory(&place);
    let permissions = std::fs::Permissions::from_mode(0o666);
    let temporary = tempfile::Builder::new()
        .prefix(".strata-archive-")
        .permissions(permissions)
        .tempfile_in(directory)
        .map_err(failed)?;
    let (file, temporary) = temporary.into_parts();
    let mut buffered = BufWriter::with_capacity(CHUNK, file);
    // A disk that is full may say so only when what was written has to be there: over the network, for one.
    let finish =
        |buffered: &mut BufWriter<File>| buffered.flush().and_then(|()| buffered.get_ref().sync_all());
    write(&mut buffered).and_then(|()| finish(&mut buffered).map_err(ArchiveError::Write)).map_err(
        |error| match error {
            ArchiveError::Write(source) => failed(source),
            ArchiveError::Repository(error) => Error::Repository(error),
            source => Error::Image(ImageError::Archive { path: path.to_owned(), source: Box::new(source) }),
        },
    )?;
    temporary.persist(&place).map_err(|error| failed(error.error))
}

/// Whether an archive can be made at `path`, and Docker takes an image called `name`, as far as that can be told before
/// there is one.
pub(crate) fn check(path: &Path, name: Option<&str>) -> Result<(), Error> {
    if let Some(name) = name {
        docker::tagged(name).map_err(|error| {
            Error::Image(ImageError::Archive { path: path.to_owned(), source: Box::new(error) })
        })?;
    }
    let place = place(path).map_err(|source| Error::io(path, source))?;
    let directory = directory(&place);
    // A file without a name tells whether there can be one with a name.
    tempfile::tempfile_in(directory).map(drop).map_err(|source| Error::io(directory, source))
}

/// The directory that a file is in.
fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where the file at `path` is, or will be: links are followed, as by whoever opens it to write. Only a file can be
/// replaced.
fn place(path: &Path) -> io::Result<PathBuf> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => std::fs::canonicalize(path),
        Ok(found) if found.is_dir() => Err(rustix::io::Errno::ISDIR.into()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => end_of_links(path),
        Err(error) => Err(error),
    }
}

/// Where links lead that end in a file which is not there.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&place) {
            Ok(target) => place = place.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(place),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "too many symbolic links"))
}

/// Copies all of `reader` to `write`; gives how many bytes that were. The outer errors are those of writing.
fn copy(
    mut reader: impl Read,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Result<u64, io::Error>> {
    let mut buffer = vec![0; CHUNK];
    let mut copied = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Ok(copied)),
            Ok(length) => {
                write(&buffer[..length])?;
                copied += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// An error while the blob `digest` was read: the repository's own, if it is one.
fn unreadable(digest: Digest, error: io::Error) -> ArchiveError {
    match BlobError::of(&error) {
        Some(blob) => strata_oci::Error::Blob(blob.clone()).into(),
        None => ArchiveError::Layer { layer: digest, source: error },
    }
}

/// Why a blob cannot be put into an archive, if so: it is kept elsewhere than in the registry.
fn not_to_be_had(blob: &Descriptor) -> Option<String> {
    media_type::is_foreign(blob)
        .then(|| format!("its layer {} is to be fetched from elsewhere ({})", blob.digest, blob.media_type))
}
