//! `buildcache download`: packages of caches → an image layout on disk, which is a cache of its own.
//!
//! What is fetched is verified, and what was fetched in part goes on where it ended (the blob cache has it). A package gets its
//! tag once all it consists of is there.

use crate::error::{Error, chain};
use crate::index::{self, IndexSummary};
use crate::packages::Package;
use crate::parallel;
use crate::push::{Failure, Only};
use crate::report::{Event, Reporter};
use crate::resolve::{Mirror, Resolved};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use strata_oci::{
    BlobSource, Descriptor, Digest, Manifest, ManifestRef, RawManifest, Repository, image_config,
};
use strata_spec::dag::closure;
use strata_spec::{DagHash, Node, NodeSource};

/// Blobs that are copied at the same time.
const COPIES: usize = 4;

/// What a download did.
#[derive(Debug, Default, Serialize)]
pub struct DownloadSummary {
    /// Packages that the directory has now.
    pub downloaded: Vec<Downloaded>,
    /// Packages that failed, or that no mirror has.
    pub failed: Vec<Failure>,
    /// Bytes that were copied; what the directory had already is not among them.
    pub bytes: u64,
    /// The index of the directory; none if it could not be written.
    pub index: Option<IndexSummary>,
    /// What keeps the index from having all that was copied.
    #[serde(skip)]
    pub trouble: Option<Error>,
}

/// A package that was copied.
#[derive(Debug, Serialize)]
pub struct Downloaded {
    /// The package.
    #[serde(flatten)]
    pub package: Package,
    /// Where it came from.
    pub mirror: String,
}

/// A package with all that it consists of.
struct Found<'m> {
    package: Package,
    mirror: &'m Mirror,
    raw: RawManifest,
    manifest: Manifest,
}

/// Copies what was resolved, and what that needs at run time, to `destination`.
///
/// # Errors
/// If `destination` cannot be written. Single packages that fail are part of the summary; of one that was asked for and
/// cannot be had, what it needs is not copied either.
pub fn download(
    resolved: &Resolved,
    only: Only,
    mirrors: &[Mirror],
    destination: &dyn Repository,
    reporter: &dyn Reporter,
) -> Result<DownloadSummary, Error> {
    reporter.event(Event::Phase("Locating packages"));
    let find = |node: &Node| {
        let package = Package::new(&node.name, &node.version, &node.hash)?;
        Ok::<_, Error>(
            find(&package, mirrors, resolved, reporter).map_err(|e| Failure::new(package.label, e)),
        )
    };
    let (mut found, mut summary) = (Vec::new(), DownloadSummary::default());
    let mut seen: HashSet<&DagHash> = HashSet::new();
    for root in resolved.roots.iter().filter_map(|hash| resolved.node(hash)) {
        if only != Only::Dependencies && seen.insert(&root.hash) {
            match find(root)? {
                Ok(package) => found.push(package),
                Err(failure) => {
                    summary.failed.push(failure);
                    continue;
                }
            }
        }
        if only != Only::Package {
            let mut needed = closure(resolved, &[root])?;
            needed.retain(|node| node.hash != root.hash && seen.insert(&node.hash));
            for answer in parallel::map(&needed, parallel::REQUESTS, |node| find(node))? {
                match answer {
                    Ok(package) => found.push(package),
                    Err(failure) => summary.failed.push(failure),
                }
            }
        }
    }
    copy(found, destination, &mut summary, reporter)?;
    // The packages are there whatever becomes of the index.
    match index::update(destination, reporter) {
        Ok(mut index) => {
            summary.trouble = index.trouble.take();
            summary.index = Some(index);
        }
        Err(error) => summary.trouble = Some(error),
    }
    Ok(summary)
}

/// The package in the first mirror that has it; those whose index says so are asked first.
fn find<'m>(
    package: &Package,
    mirrors: &'m [Mirror],
    resolved: &Resolved,
    reporter: &dyn Reporter,
) -> Result<Found<'m>, Error> {
    let mut failures = Vec::new();
    let known = resolved.mirrors_with(&package.hash);
    let others = (0..mirrors.len()).filter(|at| !known.contains(at));
    for mirror in known.iter().copied().chain(others).map(|at| &mirrors[at]) {
        let question = || find_in(mirror, package);
        if let Some(found) = mirror.ask(mirrors.len() > 1, &mut failures, reporter, question)? {
            return Ok(found);
        }
    }
    if !failures.is_empty() {
        return Err(Error::Unasked { spec: package.label.clone(), failures });
    }
    let place = mirrors.iter().map(|mirror| &*mirror.name).collect::<Vec<_>>().join(", ");
    Err(Error::NotCached { package: package.label.clone(), place })
}

fn find_in<'m>(mirror: &'m Mirror, package: &Package) -> Result<Option<Found<'m>>, Error> {
    let repository = &*mirror.repository;
    let Some(raw) = repository.manifest(&ManifestRef::Tag(package.tag.clone()))? else { return Ok(None) };
    let (tag, place): (String, String) = (package.tag.to_string(), repository.url().to_string());
    let manifest = raw.parse()?;
    let spec = index::spec_in(&image_config(repository, &manifest)?, repository, &tag)?;
    if spec.root().hash != package.hash {
        return Err(Error::WrongPackage { tag, place, found: spec.root().label() });
    }
    Ok(Some(Found { package: package.clone(), mirror, raw, manifest }))
}

/// Copies blobs, each once, and then tags the packages whose blobs are all there.
fn copy(
    found: Vec<Found<'_>>,
    destination: &dyn Repository,
    summary: &mut DownloadSummary,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    reporter.event(Event::Phase("Copying packages"));
    let mut blobs: BTreeMap<Digest, (&Mirror, &Descriptor)> = BTreeMap::new();
    for package in &found {
        for blob in package.manifest.layers.iter().chain([&package.manifest.config]) {
            blobs.entry(blob.digest).or_insert((package.mirror, blob));
        }
    }
    let blobs: Vec<(&Mirror, &Descriptor)> = blobs.into_values().collect();
    let copied = parallel::map(&blobs, COPIES, |(mirror, blob)| copy_blob(mirror, blob, destination))?;
    let mut lost: BTreeMap<Digest, Lost> = BTreeMap::new();
    for ((mirror, blob), copied) in blobs.iter().zip(copied) {
        match copied {
            Ok(bytes) => summary.bytes += bytes,
            Err(error) => drop(lost.insert(blob.digest, Lost::new(mirror, error))),
        }
    }
    for Found { package, mirror, raw, manifest } in &found {
        let mut parts = manifest.layers.iter().chain([&manifest.config]).map(|blob| blob.digest);
        if let Some(lost) = parts.find(|digest| lost.contains_key(digest)).and_then(|d| lost.get_mut(&d)) {
            summary.failed.push(Failure::new(package.label.clone(), lost.error_of(package)));
            continue;
        }
        destination.put_manifest(&package.tag, &raw.media_type, &raw.bytes)?;
        summary.downloaded.push(Downloaded { package: package.clone(), mirror: mirror.name.clone() });
    }
    Ok(())
}

/// A blob that could not be fetched, which several packages may need.
struct Lost {
    mirror: String,
    place: String,
    reason: String,
    /// Goes to the first package that needs the blob.
    error: Option<Error>,
    is_about_content: bool,
}

impl Lost {
    fn new(mirror: &Mirror, error: Error) -> Self {
        Self {
            mirror: mirror.name.clone(),
            place: mirror.repository.url().to_string(),
            reason: chain(&error),
            is_about_content: error.is_about_content(),
            error: Some(error),
        }
    }

    fn error_of(&mut self, package: &Package) -> Error {
        self.error.take().unwrap_or_else(|| match self.is_about_content {
            true => Error::NotWhole {
                package: package.label.clone(),
                place: self.place.clone(),
                reason: self.reason.clone(),
            },
            false => Error::Unasked {
                spec: package.label.clone(),
                failures: vec![(self.mirror.clone(), self.reason.clone())],
            },
        })
    }
}

/// Copies a blob unless it is there already; how many bytes that were, or why it could not be fetched.
///
/// # Errors
/// If it cannot be written.
fn copy_blob(from: &Mirror, blob: &Descriptor, to: &dyn Repository) -> Result<Result<u64, Error>, Error> {
    let from = &*from.repository;
    if to.blob_size(&blob.digest)? == Some(blob.size) {
        return Ok(Ok(0));
    }
    let directory = to.scratch_dir();
    let file = match &directory {
        Some(directory) => tempfile::NamedTempFile::new_in(directory),
        None => tempfile::NamedTempFile::new(),
    };
    let temporary = directory.is_none();
    let spool = directory.unwrap_or_else(std::env::temp_dir);
    let failed = |source| Error::Spool { path: spool.clone(), temporary, source };
    let file = file.map_err(failed)?;
    let mut reader = match from.blob(blob) {
        Ok(reader) => reader,
        Err(error) => return Ok(Err(error.into())),
    };
    match pour(&mut *reader, file.as_file()) {
        Ok(()) => {}
        Err(Poured::Read(error)) => {
            let location = format!("{} {}", from.url(), blob.digest);
            return Ok(Err(strata_oci::Error::from_read(error, location).into()));
        }
        Err(Poured::Written(error)) => return Err(failed(error)),
    }
    let _ = to.put_blob(&BlobSource::file(file.path(), blob.digest, blob.size))?;
    Ok(Ok(blob.size))
}

/// Which side of a copy failed.
enum Poured {
    Read(std::io::Error),
    Written(std::io::Error),
}

fn pour(from: &mut dyn std::io::Read, mut to: &File) -> Result<(), Poured> {
    use std::io::Write;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count]).map_err(Poured::Written)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Poured::Read(error)),
        }
    }
}
