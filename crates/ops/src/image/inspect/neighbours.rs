//! The other tags of a repository: which layers they have, and which of those are the own layers of packages.

use super::Compared;
use crate::error::Error;
use crate::image::history::Held;
use crate::image::index::{is_image_entry, is_index};
use crate::report::{Event, Reporter};
use crate::{package_tag, parallel};
use std::collections::{BTreeSet, HashMap};
use strata_oci::{Digest, ImageIndex, Manifest, ManifestRef, RawManifest, Repository, TagName};
use strata_spec::DagHash;

/// How many tags are looked at: a second or two at a registry that is far away.
const LIMIT: usize = 1000;

/// What other tags have.
#[derive(Debug)]
pub(super) struct Neighbours {
    layers: HashMap<Digest, BTreeSet<String>>,
    packages: HashMap<Digest, Held>,
    pub(super) compared: Compared,
}

/// A tag's layers, and the package whose image it is.
struct Neighbour {
    tag: TagName,
    layers: Vec<Digest>,
    package: Option<Held>,
}

impl Neighbours {
    /// Asks for the manifests of all tags but `own`, of those that are in `first` before all others. A tag that cannot be
    /// read is left out.
    ///
    /// # Errors
    /// If the registry does not list its tags, or answers no more: some count how much is asked of them.
    pub(super) fn gather(
        repository: &dyn Repository,
        own: &ManifestRef,
        first: &BTreeSet<TagName>,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        let is_other = |tag: &TagName| {
            tag.as_str() != package_tag::INDEX && !matches!(own, ManifestRef::Tag(own) if own == tag)
        };
        let listed: Vec<TagName> =
            repository.tags()?.iter().filter_map(|tag| tag.parse().ok()).filter(is_other).collect();
        let (mut wanted, others): (Vec<TagName>, Vec<TagName>) =
            listed.into_iter().partition(|tag| first.contains(tag));
        wanted.extend(others);
        let of = wanted.len();
        wanted.truncate(LIMIT);
        if wanted.len() < of {
            reporter.event(Event::Warning(&format!(
                "{} has {of} other tags, and only {LIMIT} were looked at: more of the layers may be shared",
                repository.url()
            )));
        }
        let found = parallel::map(&wanted, parallel::REQUESTS, |tag| {
            let neighbour = neighbour(repository, tag);
            match neighbour {
                Ok(neighbour) => Ok(Some(neighbour)),
                Err(error) if error.is_about_content() => {
                    let text = format!("tag {tag} is left out: {}", crate::error::chain(&error));
                    reporter.event(Event::Detail(&text));
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        })?;
        let mut neighbours = Self {
            layers: HashMap::new(),
            packages: HashMap::new(),
            compared: Compared { tags: found.iter().flatten().count(), of },
        };
        for Neighbour { tag, layers, package } in found.into_iter().flatten() {
            if let (Some(own), Some(package)) = (layers.last(), package) {
                neighbours.packages.insert(*own, package);
            }
            for layer in layers {
                neighbours.layers.entry(layer).or_default().insert(tag.to_string());
            }
        }
        Ok(neighbours)
    }

    /// The tags that have a layer.
    pub(super) fn with(&self, layer: &Digest) -> Vec<String> {
        self.layers.get(layer).into_iter().flatten().cloned().collect()
    }

    /// The package whose own layer it is.
    pub(super) fn package(&self, layer: &Digest) -> Option<&Held> {
        self.packages.get(layer)
    }
}

fn neighbour(repository: &dyn Repository, tag: &TagName) -> Result<Neighbour, Error> {
    let empty = || Neighbour { tag: tag.clone(), layers: Vec::new(), package: None };
    let Some(raw) = repository.manifest(&ManifestRef::Tag(tag.clone()))? else { return Ok(empty()) };
    if !is_index(&raw) {
        let manifest = raw.parse()?;
        let layers = manifest.layers.iter().map(|layer| layer.digest).collect();
        return Ok(Neighbour { tag: tag.clone(), layers, package: package(tag, &manifest) });
    }
    let mut neighbour = empty();
    for entry in ImageIndex::parse(&raw.bytes)?.manifests.iter().filter(|entry| is_image_entry(entry)) {
        let image = repository.manifest(&ManifestRef::Digest(entry.digest))?;
        let manifest = image.as_ref().map(RawManifest::parse).transpose()?;
        neighbour.layers.extend(manifest.iter().flat_map(|m| &m.layers).map(|layer| layer.digest));
    }
    Ok(neighbour)
}

/// The package of a tag. Where its name ends and its version begins is not for the tag to say, but for the manifest's
/// description.
fn package(tag: &TagName, manifest: &Manifest) -> Option<Held> {
    let hash: DagHash = package_tag::hash(tag.as_str())?;
    let described = manifest.annotations.get(super::DESCRIPTION).and_then(|text| {
        let (name, rest) = text.split_once('@')?;
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let version = rest.split([' ', '+', '~', '/', '%', '^']).next()?;
        let same = package_tag::named(name, version, hash.as_str()).is_ok_and(|named| named == *tag);
        same.then(|| (name.to_owned(), version.to_owned()))
    });
    let (name, version) = described.or_else(|| {
        let rest = tag.as_str().strip_suffix(".spack")?.strip_suffix(hash.as_str())?.strip_suffix('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        Some((name.to_owned(), version.to_owned()))
    })?;
    Some(Held { name, version, hash })
}
