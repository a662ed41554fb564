//! Bringing `index.spack` up to date.

use super::read::read_usable;
use crate::error::{Error, chain};
use crate::package_tag;
use crate::parallel;
use crate::report::{Event, Reporter};
use serde::Serialize;
use std::collections::HashMap;
use strata_oci::{
    BlobSource, Descriptor, Digest, ImageConfig, Manifest, ManifestRef, Repository, TagName, image_config,
    image_manifest, media_type,
};
use strata_spec::{ConcreteSpec, DagHash, Database, Node, NodeSource, Record};

/// How often the update starts again because tags changed while it was written.
const ATTEMPTS: usize = 3;

/// What an update of the index did.
#[derive(Debug, Default, Serialize)]
pub struct IndexSummary {
    /// Packages in the index now.
    pub packages: usize,
    /// Packages whose config had to be fetched.
    pub added: usize,
    /// Packages that are no longer in the index because their tag is gone.
    pub dropped: usize,
    /// Whether the index was written (it is not when nothing changed).
    pub written: bool,
    /// Tags that look like packages but cannot be read.
    pub bad_tags: Vec<BadTag>,
}

/// A tag that ends in `.spack` but is no package.
#[derive(Clone, Debug, Serialize)]
pub struct BadTag {
    /// The tag.
    pub tag: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// Rebuilds the index from the tags, reusing what the present one knows, and writes it if it changed.
pub fn update(repository: &dyn Repository, reporter: &dyn Reporter) -> Result<IndexSummary, Error> {
    reporter.event(Event::Phase("Updating the index"));
    let mut tags = repository.tags()?;
    let mut summary = IndexSummary::default();
    for attempt in 1.. {
        let present = read_usable(repository, "writing a new one", reporter)?;
        let known = present.as_ref().map(|(database, _)| database);
        let (database, bad_tags) = collect(repository, known, &tags)?;
        let in_cache = |d: &Database| d.records.values().filter(|r| r.in_buildcache).count();
        let kept = known.map_or(0, |known| {
            let still = |hash: &DagHash| database.records.get(hash).is_some_and(|r| r.in_buildcache);
            known.records.iter().filter(|(hash, r)| r.in_buildcache && still(hash)).count()
        });
        summary.packages = in_cache(&database);
        // A second attempt compares with the index that the first one wrote.
        summary.added += summary.packages - kept;
        summary.dropped += known.map_or(0, in_cache) - kept;
        summary.bad_tags = bad_tags;
        let json = database.to_index_json().into_bytes();
        let digest = Digest::of(&json);
        if present.is_some_and(|(_, present)| present == digest) {
            break;
        }
        write(repository, json, digest)?;
        summary.written = true;
        // Another writer may have tagged packages, or written an index of its own, in the meantime.
        let now = repository.tags()?;
        if without_index(&now) == without_index(&tags) || attempt == ATTEMPTS {
            break;
        }
        tags = now;
    }
    for bad in &summary.bad_tags {
        reporter.event(Event::Warning(&format!("tag {} is not in the index: {}", bad.tag, bad.reason)));
    }
    Ok(summary)
}

fn without_index(tags: &[String]) -> Vec<&String> {
    tags.iter().filter(|tag| *tag != package_tag::INDEX).collect()
}

/// Uploads the JSON as Spack does: raw, though labelled as a compressed tar, with `{}` for a config.
fn write(repository: &dyn Repository, json: Vec<u8>, digest: Digest) -> Result<(), Error> {
    let size = json.len() as u64;
    let config = BlobSource::bytes(b"{}".to_vec());
    let config_descriptor = config.descriptor(media_type::OCI_CONFIG);
    let _ = repository.put_blob(&BlobSource::bytes(json))?;
    let _ = repository.put_blob(&config)?;
    let layers = vec![Descriptor::new(media_type::OCI_LAYER_GZIP, digest, size)];
    let manifest = Manifest::new(config_descriptor, layers);
    repository.put_manifest(&package_tag::index()?, &manifest.media_type, &manifest.to_bytes()?)?;
    Ok(())
}

/// Every node there is to take: from the present index, or from configs that were fetched.
struct Nodes<'n> {
    known: Option<&'n Database>,
    fetched: HashMap<DagHash, Node>,
}

impl NodeSource for Nodes<'_> {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.fetched.get(hash).or_else(|| self.known.and_then(|database| database.node(hash)))
    }
}

/// The index of what `tags` name, and the tags that cannot be used. Packages that `known` has are not fetched.
pub(super) fn collect(
    repository: &dyn Repository,
    known: Option<&Database>,
    tags: &[String],
) -> Result<(Database, Vec<BadTag>), Error> {
    // An index of an older version holds nodes of another format: it is rebuilt, not mixed.
    let known = known.filter(|database| database.version == strata_spec::database::CURRENT_VERSION);
    let in_index =
        |hash: &DagHash| known.is_some_and(|d| d.records.get(hash).is_some_and(|r| r.in_buildcache));
    let packages: Vec<&String> =
        tags.iter().filter(|tag| tag.ends_with(".spack") && *tag != package_tag::INDEX).collect();
    let new: Vec<&String> = packages
        .iter()
        .copied()
        .filter(|tag| !package_tag::hash(tag).is_some_and(|hash| in_index(&hash)))
        .collect();
    let fetched = parallel::map(&new, parallel::REQUESTS, |tag| match spec_of(repository, tag) {
        Ok(spec) => Ok(Ok(spec)),
        // One bad tag must not keep the others out of the index; a cache that cannot be reached must.
        Err(error) if error.is_about_content() => Ok(Err(chain(&error))),
        Err(error) => Err(error),
    })?;

    let mut nodes = Nodes { known, fetched: HashMap::new() };
    let mut roots: HashMap<&String, DagHash> = HashMap::new();
    let mut bad_tags = Vec::new();
    for (tag, spec) in new.into_iter().zip(fetched) {
        match spec {
            Ok(spec) => {
                roots.insert(tag, spec.root().hash.clone());
                nodes.fetched.extend(spec.nodes().map(|n| (n.hash.clone(), n.clone())));
            }
            Err(reason) => bad_tags.push(BadTag { tag: tag.clone(), reason }),
        }
    }
    let mut database = Database::default();
    for tag in packages {
        let hash = match roots.get(tag) {
            Some(hash) => hash.clone(),
            None => match package_tag::hash(tag).filter(&in_index) {
                Some(hash) => hash,
                None => continue,
            },
        };
        match database.add_with_dependencies(&nodes, &hash, &|node| Record::new(node.clone())) {
            Ok(()) => {
                if let Some(record) = database.records.get_mut(&hash) {
                    record.in_buildcache = true;
                }
            }
            Err(missing) => bad_tags.push(BadTag { tag: tag.clone(), reason: missing.to_string() }),
        }
    }
    Ok((database, bad_tags))
}

/// The spec in the config of a package's tag.
pub(crate) fn spec_of(repository: &dyn Repository, tag: &str) -> Result<ConcreteSpec, Error> {
    let not_a_package = || Error::NotAPackage { tag: tag.to_owned(), place: repository.url().to_string() };
    let name: TagName = tag.parse().map_err(|_| not_a_package())?;
    let (_, manifest) = image_manifest(repository, &ManifestRef::Tag(name))?.ok_or_else(not_a_package)?;
    let config = image_config(repository, &manifest)?;
    spec_in(&config, repository, tag)
}

/// The `spec` key in the config of a package's tag.
pub(crate) fn spec_in(
    config: &ImageConfig,
    repository: &dyn Repository,
    tag: &str,
) -> Result<ConcreteSpec, Error> {
    let (tag, place) = (tag.to_owned(), repository.url().to_string());
    match config.extra.get("spec").map(ConcreteSpec::parse) {
        None => Err(Error::NotAPackage { tag, place }),
        Some(spec) => spec.map_err(|source| Error::InvalidSpec { tag, place, source }),
    }
}
