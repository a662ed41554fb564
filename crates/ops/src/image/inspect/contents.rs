//! Which packages are in which layer, and which ones that are needed are in none.

use super::neighbours::Neighbours;
use crate::error::Error;
use crate::image::history::{Content, Held, consistent};
use crate::index::spec_of;
use crate::{package_tag, parallel};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap, HashSet};
use strata_oci::{Digest, Image, Manifest, ManifestRef, Repository, TagName, image_manifest};
use strata_spec::{ConcreteSpec, DagHash, closure};

/// What is known of an image's layers.
#[derive(Debug)]
pub(super) struct Identified {
    /// What each layer holds, as far as it is known.
    pub(super) contents: Vec<Option<Content>>,
    /// What the history says of how each was made, if it has as many entries as there are layers.
    pub(super) created_by: Vec<Option<String>>,
    /// The tags of the packages in it.
    pub(super) tags: BTreeSet<TagName>,
    /// What the packages need, if the config says so.
    needed: Option<Vec<Held>>,
}

/// An entry of a history.
#[derive(Default, Deserialize)]
struct HistoryEntry {
    created_by: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

/// Finds out what the layers of an image hold, from what the image itself says and from the tags of the packages that it
/// names.
pub(super) fn identify(repository: &dyn Repository, image: &Image) -> Result<Identified, Error> {
    let (manifest, config) = (&image.manifest, &image.config);
    let history = config.extra.get("history").and_then(|history| consistent(history, manifest.layers.len()));
    let has_history = history.is_some();
    let entries = history.unwrap_or_default().into_iter();
    let entries = entries.map(|entry| serde_json::from_str::<HistoryEntry>(entry.get()).unwrap_or_default());
    let (mut contents, mut created_by) = (Vec::new(), Vec::new());
    for entry in entries.filter(|entry| !entry.empty_layer) {
        let by = entry.created_by.as_deref().unwrap_or_default();
        contents.push(Content::read(by, entry.comment.as_deref()));
        created_by.push(entry.created_by);
    }
    contents.resize(manifest.layers.len(), None);
    // Somebody else's spec is somebody else's business: what cannot be read is not there.
    let spec = config.extra.get("spec").and_then(|spec| ConcreteSpec::parse(spec).ok());
    let mut identified = Identified { contents, created_by, tags: BTreeSet::new(), needed: None };
    if let Some(spec) = spec {
        let needed = needed(&spec)?;
        // Without a base there are no other layers than those of packages, in this order.
        let is_plain = !has_history && needed.len() == manifest.layers.len();
        if is_plain {
            identified.contents =
                needed.iter().map(|held| Some(Content::Packages(vec![held.clone()]))).collect();
        } else {
            identified.look_up(repository, manifest, &needed)?;
        }
        identified.needed = Some(needed);
    }
    let held =
        identified.held().map(|held| package_tag::named(&held.name, &held.version, held.hash.as_str()));
    identified.tags = held.flatten().collect();
    Ok(identified)
}

/// The runtime closure of a package, itself last.
fn needed(spec: &ConcreteSpec) -> Result<Vec<Held>, Error> {
    let mut nodes = closure(spec, &[spec.root()])?;
    nodes.reverse();
    Ok(nodes.into_iter().map(Held::from).collect())
}

impl Identified {
    /// The packages that are known to be in it.
    fn held(&self) -> impl Iterator<Item = &Held> {
        self.contents.iter().flatten().flat_map(|content| match content {
            Content::Packages(packages) => packages.as_slice(),
            Content::View => &[],
        })
    }

    /// Asks the tags of packages for their own layers.
    fn look_up(
        &mut self,
        repository: &dyn Repository,
        manifest: &Manifest,
        needed: &[Held],
    ) -> Result<(), Error> {
        if let (Some(last @ None), Some(own)) = (self.contents.last_mut(), needed.last()) {
            *last = Some(Content::Packages(vec![own.clone()]));
        }
        let known: HashSet<DagHash> = self.held().map(|held| held.hash.clone()).collect();
        let unknown: Vec<&Held> = needed.iter().filter(|held| !known.contains(&held.hash)).collect();
        let layers = parallel::map(&unknown, parallel::REQUESTS, |held| own_layer(repository, held))?;
        let own: HashMap<Digest, &Held> =
            layers.into_iter().zip(unknown).filter_map(|(layer, held)| Some((layer?, held))).collect();
        for (layer, content) in manifest.layers.iter().zip(&mut self.contents) {
            if let (None, Some(held)) = (&content, own.get(&layer.digest)) {
                *content = Some(Content::Packages(vec![(*held).clone()]));
            }
        }
        Ok(())
    }

    /// Takes what other tags know of layers that are not known yet.
    pub(super) fn complete_with(&mut self, manifest: &Manifest, neighbours: &Neighbours) {
        for (layer, content) in manifest.layers.iter().zip(&mut self.contents) {
            if let (None, Some(held)) = (&content, neighbours.package(&layer.digest)) {
                *content = Some(Content::Packages(vec![held.clone()]));
            }
        }
    }

    /// Whether all is there that the packages need, and the labels of what is not. Of an image that does not say what its
    /// packages need, the packages' tags are asked.
    pub(super) fn completeness(
        &self,
        repository: &dyn Repository,
    ) -> Result<(Option<bool>, Vec<String>), Error> {
        let there: HashSet<&DagHash> = self.held().map(|held| &held.hash).collect();
        let absent = |needed: &[Held]| -> Vec<String> {
            needed.iter().filter(|held| !there.contains(&held.hash)).map(Held::label).collect()
        };
        if let Some(needed) = &self.needed {
            let missing = absent(needed);
            return Ok((Some(missing.is_empty()), missing));
        }
        if there.is_empty() {
            return Ok((None, Vec::new()));
        }
        let mut missing = BTreeSet::new();
        let mut covered: HashSet<DagHash> = HashSet::new();
        let mut is_known = true;
        // Dependents come last: whoever is asked first speaks for all that it needs.
        for held in self.held().collect::<Vec<_>>().into_iter().rev() {
            if covered.contains(&held.hash) {
                continue;
            }
            let tag = package_tag::named(&held.name, &held.version, held.hash.as_str())?;
            match spec_of(repository, tag.as_str()) {
                Ok(spec) => {
                    let needed = needed(&spec)?;
                    missing.extend(absent(&needed));
                    covered.extend(needed.into_iter().map(|held| held.hash));
                }
                Err(error) if error.is_about_content() => is_known = false,
                Err(error) => return Err(error),
            }
        }
        let missing: Vec<String> = missing.into_iter().collect();
        let complete = if missing.is_empty() { is_known.then_some(true) } else { Some(false) };
        Ok((complete, missing))
    }
}

/// The own layer of a package, if it is in the repository.
fn own_layer(repository: &dyn Repository, held: &Held) -> Result<Option<Digest>, Error> {
    let tag = package_tag::named(&held.name, &held.version, held.hash.as_str())?;
    let manifest = image_manifest(repository, &ManifestRef::Tag(tag))?;
    Ok(manifest.and_then(|(_, manifest)| Some(manifest.layers.last()?.digest)))
}
