//! Images copied through strata's transport, as a process that can be timed: no packing, no unpacking.

use super::Outcome;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use strata_oci::{
    BlobCache, BlobSource, Descriptor, Manifest, ManifestRef, Repository, RepositoryUrl, TagName, Transport,
    TransportOptions, image_manifest, open,
};

/// Threads that move blobs; as many as strata's own operations use for requests.
const THREADS: usize = 16;

/// Puts images of an image layout into a repository, one after the other.
pub(crate) fn push(layout: &str, url: &str, tags: &[&str]) -> Outcome<()> {
    let transport = Transport::default();
    let source = open(&RepositoryUrl::from_directory(layout)?, &transport, None)?;
    let target = open(&url.parse()?, &transport, None)?;
    for tag in tags {
        let tag: TagName = tag.parse()?;
        let manifest = manifest(&*source, &tag)?;
        each_blob(&manifest, |blob| {
            let path = Path::new(layout).join("blobs/sha256").join(blob.digest.hex());
            let _ = target.put_blob(&BlobSource::file(path, blob.digest, blob.size))?;
            Ok(())
        })?;
        target.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes()?)?;
    }
    Ok(())
}

/// Reads all blobs of images by way of a blob cache in `directory`, one image after the other.
pub(crate) fn pull(url: &str, directory: &str, tags: &[&str]) -> Outcome<()> {
    let options =
        TransportOptions { blob_cache: Some(BlobCache::new(directory)), ..TransportOptions::default() };
    let source = open(&url.parse()?, &Transport::new(options), None)?;
    for tag in tags {
        each_blob(&manifest(&*source, &tag.parse()?)?, |blob| {
            io::copy(&mut source.blob(blob)?, &mut io::sink())?;
            Ok(())
        })?;
    }
    Ok(())
}

fn manifest(repository: &dyn Repository, tag: &TagName) -> Outcome<Manifest> {
    let found = image_manifest(repository, &ManifestRef::Tag(tag.clone()))?;
    Ok(found.ok_or_else(|| format!("{} has no tag {tag}", repository.url()))?.1)
}

/// Does `work` for the config and every layer, several at a time.
fn each_blob(manifest: &Manifest, work: impl Fn(&Descriptor) -> Outcome<()> + Sync) -> Outcome<()> {
    let blobs = Mutex::new(std::iter::once(&manifest.config).chain(&manifest.layers));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let next = blobs.lock().map_err(|_| "another thread failed")?.next();
                        match next {
                            Some(blob) => work(blob)?,
                            None => return Outcome::Ok(()),
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })
}
