//! `buildcache check`: whether caches have packages, whole and readable.

use crate::error::Error;
use crate::index;
use crate::packages;
pub use crate::packages::Package;
use crate::parallel;
use crate::report::{Event, Reporter};
use crate::resolve::{Mirror, Stock};
use crate::select::Selection;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;
use strata_oci::{Manifest, ManifestRef, Repository, image_config, image_manifest};
use strata_spec::{AbstractSpec, Database};

/// What was found out of one package in one mirror.
#[derive(Debug)]
pub struct Checked {
    /// Name of the mirror.
    pub mirror: String,
    /// URL of the mirror.
    pub url: String,
    /// The package.
    pub package: Package,
    /// What is wrong with it; none if it is there and whole.
    pub error: Option<Error>,
}

/// Checks in every mirror what `specs` mean in the store; without specs, what was asked for in the store. Of a spec that the
/// store knows nothing of, all that any of the mirrors has. Every mirror has to have everything, as for Spack.
///
/// # Errors
/// If it cannot be said what a spec means: it means several packages of the store, or nobody knows of it.
pub fn check(
    specs: &[AbstractSpec],
    database: &Database,
    mirrors: &[Mirror],
    kept: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Vec<Checked>, Error> {
    reporter.event(Event::Phase("Checking what the cache has"));
    let mut wanted = if specs.is_empty() { packages::explicit(database)? } else { Vec::new() };
    let selection = Selection::new(database);
    let mut unknown = Vec::new();
    for spec in specs {
        match packages::in_store(&selection, spec)? {
            Some(package) => wanted.push(package),
            None => unknown.push(spec.clone()),
        }
    }
    if !unknown.is_empty() {
        let nothing = Database::default();
        let mut stock = Stock::gather(&unknown, None, mirrors, &nothing, kept, reporter)?;
        for spec in &unknown {
            wanted.extend(packages::in_mirrors(&mut stock, spec)?);
        }
    }
    let mut seen = HashSet::new();
    wanted.retain(|package| seen.insert(package.hash.clone()));
    let questions: Vec<(&Mirror, Package)> = mirrors
        .iter()
        .flat_map(|mirror| wanted.iter().map(move |package| (mirror, package.clone())))
        .collect();
    parallel::map(&questions, parallel::REQUESTS, |(mirror, package)| {
        Ok(Checked {
            mirror: mirror.name.clone(),
            url: mirror.repository.url().to_string(),
            package: package.clone(),
            error: whole(&*mirror.repository, package).err(),
        })
    })
}

/// Makes sure that a cache has a package, that its parts fit together, and that its layer is there.
///
/// # Errors
/// [`Error::NotCached`] if there is no such tag, [`Error::NotWhole`] if something is missing; whatever keeps it from being
/// read.
pub fn whole(repository: &dyn Repository, package: &Package) -> Result<(), Error> {
    let place = repository.url().to_string();
    let reference = ManifestRef::Tag(package.tag.clone());
    let Some((_, manifest)) = image_manifest(repository, &reference)? else {
        return Err(Error::NotCached { package: package.label.clone(), place });
    };
    consistent(repository, &manifest, package)?;
    match manifest.layers.last() {
        Some(layer) => present(repository, &package.label, layer),
        None => Ok(()),
    }
}

/// The part of `binary_cache_checksum` that says which layer a config is about.
#[derive(Deserialize)]
struct Checksum {
    hash: String,
}

/// Makes sure that a manifest's config is that of this package and of its layers.
pub(crate) fn consistent(
    repository: &dyn Repository,
    manifest: &Manifest,
    package: &Package,
) -> Result<(), Error> {
    let place = repository.url().to_string();
    let not_whole = |reason: &str| Error::NotWhole {
        package: package.label.clone(),
        place: place.clone(),
        reason: reason.to_owned(),
    };
    let config = image_config(repository, manifest)?;
    let spec = index::spec_in(&config, repository, package.tag.as_str())?;
    if spec.root().hash != package.hash {
        let (tag, found) = (package.tag.to_string(), spec.root().label());
        return Err(Error::WrongPackage { tag, place, found });
    }
    let layer = manifest.layers.last().ok_or_else(|| not_whole("its manifest has no layer"))?;
    if config.root_fs.diff_ids.len() != manifest.layers.len() {
        return Err(not_whole("its manifest and its config have different numbers of layers"));
    }
    let checksum = config.extra.get("binary_cache_checksum").map(|json| serde_json::from_str(json.get()));
    match checksum {
        Some(Ok(Checksum { hash })) if hash != layer.digest.hex() => {
            Err(not_whole("its config is about another layer than its manifest has"))
        }
        _ => Ok(()),
    }
}

/// Makes sure that a blob is there, with the size it should have.
pub(crate) fn present(
    repository: &dyn Repository,
    package: &str,
    blob: &strata_oci::Descriptor,
) -> Result<(), Error> {
    let reason = match repository.blob_size(&blob.digest)? {
        Some(size) if size == blob.size => return Ok(()),
        Some(size) => format!("its blob {} has {size} bytes, not {}", blob.digest, blob.size),
        None => format!("its blob {} is missing", blob.digest),
    };
    Err(Error::NotWhole { package: package.to_owned(), place: repository.url().to_string(), reason })
}
