//! Making blobs and images of one repository available in another: mounted where the registry can, else copied.

mod one_at_a_time;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use self::one_at_a_time::OneAtATime;
use crate::layout::blob_path;
use crate::repository::manifest_as;
use crate::{
    BlobSource, Descriptor, Error, Location, Manifest, Repository, Uploaded, blob_bytes, media_type,
};

/// Blobs of at most so many bytes are copied through memory, and not through a file.
const SMALL: u64 = 1 << 20;
/// How much of a blob is read at once.
const CHUNK: usize = 256 << 10;
/// How many blobs of an image are copied at the same time.
const AT_ONCE: usize = 8;

/// How a blob came to be where it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Copied {
    /// It was there.
    Existed,
    /// The registry took it from its other repository, or had it there before; nothing was sent.
    Mounted,
    /// It was downloaded, verified and uploaded.
    Sent,
}

/// What copying an image came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct CopiedImage {
    /// What points at its manifest.
    pub manifest: Descriptor,
    /// Its config and its layers, in their order, each once.
    pub blobs: Vec<(Descriptor, Copied)>,
}

/// Makes the blob `descriptor` of `from` available in `to`.
///
/// Within a registry it is mounted ([`Repository::mount_blob`]), without asking before whether it is there: that is one
/// request in either case. Between registries it goes through a file in `to`'s scratch directory, or in a temporary one,
/// verified on the way; nothing is left behind on failure. From a repository to itself nothing is done or asked. A blob
/// with `urls` (a foreign layer) is refused by name. Of several threads that copy the same blob, one does it, and the
/// others wait.
///
/// # Errors
/// [`Error::ForeignLayer`]; what reading and putting give.
pub fn copy_blob(
    from: &dyn Repository,
    to: &dyn Repository,
    descriptor: &Descriptor,
) -> Result<Copied, Error> {
    if media_type::is_foreign(descriptor) {
        return Err(Error::ForeignLayer {
            location: from.url().to_string(),
            digest: descriptor.digest,
            media_type: descriptor.media_type.clone(),
        });
    }
    if from.url() == to.url() {
        return Ok(Copied::Existed);
    }
    let _turn = OneAtATime::wait(to.url(), &descriptor.digest);
    if are_neighbours(from, to) && to.mount_blob(descriptor, from.url())? {
        return Ok(Copied::Mounted);
    }
    if to.blob_size(&descriptor.digest)? == Some(descriptor.size) {
        return Ok(Copied::Existed);
    }
    let uploaded = if let Location::Layout { directory } = from.url().location() {
        // It is a file already; whoever takes it verifies it.
        let path = blob_path(directory, &descriptor.digest);
        if !path.exists() {
            return Err(Error::NoSuchBlob { location: from.url().to_string(), digest: descriptor.digest });
        }
        to.put_blob(&BlobSource::file(path, descriptor.digest, descriptor.size))?
    } else if descriptor.size <= SMALL {
        to.put_blob(&BlobSource::bytes(blob_bytes(from, descriptor, SMALL)?))?
    } else {
        through_file(from, to, descriptor)?
    };
    Ok(if uploaded.existed { Copied::Existed } else { Copied::Sent })
}

/// Copies an image: its config and layers, several at a time, and then its manifest, by its digest alone and byte for
/// byte. `to` may keep it under a tag, or list it in an index, afterwards.
///
/// # Errors
/// [`Error::NoSuchImage`] if there is no such manifest in `from`, [`Error::Document`] if it is not that of an image; those
/// of [`copy_blob`], of which the first ends it.
pub fn copy_image(
    from: &dyn Repository,
    to: &dyn Repository,
    descriptor: &Descriptor,
) -> Result<CopiedImage, Error> {
    let location = || format!("{} {}", from.url(), descriptor.digest);
    let Some(raw) = manifest_as(from, descriptor)? else {
        return Err(Error::NoSuchImage { reference: format!("{}@{}", from.url(), descriptor.digest) });
    };
    let Manifest { media_type, config, layers, .. } = raw.parse().map_err(Error::document(location()))?;
    let mut blobs: Vec<Descriptor> = Vec::with_capacity(layers.len() + 1);
    for blob in std::iter::once(config).chain(layers) {
        // An empty layer may be there often.
        if !blobs.iter().any(|known| known.digest == blob.digest) {
            blobs.push(blob);
        }
    }
    let copied = all(&blobs, |blob| copy_blob(from, to, blob))?;
    if from.url() != to.url() {
        to.put_manifest_untagged(&media_type, &raw.bytes)?;
    }
    Ok(CopiedImage {
        manifest: Descriptor::new(media_type, raw.digest, raw.bytes.len() as u64),
        blobs: blobs.into_iter().zip(copied).collect(),
    })
}

/// Whether `to` may take blobs of `from` by itself: of the same registry, spoken to in the same way, or both directories.
fn are_neighbours(from: &dyn Repository, to: &dyn Repository) -> bool {
    match (from.url().location(), to.url().location()) {
        (
            Location::Registry { https, host, .. },
            Location::Registry { https: to_https, host: to_host, .. },
        ) => https == to_https && host == to_host,
        (Location::Layout { .. }, Location::Layout { .. }) => true,
        _ => false,
    }
}

/// Copies by way of a file, which is gone afterwards.
fn through_file(
    from: &dyn Repository,
    to: &dyn Repository,
    descriptor: &Descriptor,
) -> Result<Uploaded, Error> {
    let mut spool = tempfile::Builder::new();
    let spool = spool.prefix("copy-");
    let (mut file, path) = match to.scratch_dir() {
        Some(directory) => {
            spool.tempfile_in(&directory).map_err(Error::io("create a file in", &directory))?.into_parts()
        }
        None => {
            let nowhere = || Path::new("the directory for temporary files");
            spool.tempfile().map_err(Error::io("create a file in", nowhere()))?.into_parts()
        }
    };
    let location = || format!("{} {}", from.url(), descriptor.digest);
    download(&mut *from.blob(descriptor)?, &location(), &mut file, &path)?;
    to.put_blob(&BlobSource::file(&path, descriptor.digest, descriptor.size))
}

fn download(reader: &mut dyn Read, location: &str, file: &mut File, path: &Path) -> Result<(), Error> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => file.write_all(&chunk[..count]).map_err(Error::io("write", path))?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::from_read(error, location)),
        }
    }
}

/// Applies `work` to every blob, several at a time; the first error ends it.
fn all(
    blobs: &[Descriptor],
    work: impl Fn(&Descriptor) -> Result<Copied, Error> + Sync,
) -> Result<Vec<Copied>, Error> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(blobs.len()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(blobs.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(blob) = blobs.get(at) else { return };
                    let result = work(blob);
                    if result.is_err() {
                        next.store(blobs.len(), Ordering::Relaxed);
                    }
                    results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
