//! `image inspect`: what an image is made of, layer by layer, whoever made it; what of it other tags have too; and whether
//! it has all that its packages need.
//!
//! Which packages a layer holds is said by the history that strata writes (`super::history`), else by the order of layers
//! in the image of a package, else by the tags of packages whose own layer it is. No layer is read.

mod contents;
mod neighbours;

use crate::error::{Error, chain};
use crate::image::assemble::{BASE_DIGEST, BASE_NAME, DESCRIPTION};
use crate::image::history::Content;
use crate::image::index::{config_of, is_image_entry, is_index};
use crate::parallel;
use crate::report::{Event, Reporter};
use contents::{Identified, identify};
use neighbours::Neighbours;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use strata_oci::{
    Descriptor, Digest, Image, ImageIndex, ImageReference, Manifest, ManifestRef, Platform, RawManifest,
    Repository, TagName, image_for,
};

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct InspectRequest<'r> {
    /// The image.
    pub reference: &'r ImageReference,
    /// Only what is for this platform.
    pub platform: Option<&'r Platform>,
    /// Whether to look which layers other tags of the repository have.
    pub shared: bool,
}

/// What there is under a reference.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The reference.
    pub reference: String,
    /// What it leads to.
    pub kind: Kind,
    /// Digest of the manifest or index.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// The image, or those of an index.
    pub images: Vec<ImageReport>,
    /// Entries of an index that are no images, such as attestations.
    pub others: usize,
    /// How many other tags of the repository were compared with; none if that was not asked for, or not to be had.
    pub compared_with: Option<Compared>,
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An index of images.
    Index,
    /// An image.
    Image,
    /// A package: an image that Spack and strata install from.
    Package,
}

/// How many tags were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Tags that were looked at.
    pub tags: usize,
    /// Other tags that the repository has.
    pub of: usize,
}

/// An image.
#[derive(Debug, Serialize)]
pub struct ImageReport {
    /// What it runs on.
    pub platform: String,
    /// Whether it is the image of a package.
    pub kind: Kind,
    /// Digest of its manifest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// What its annotation says it is.
    pub description: Option<String>,
    /// When it was made, as its config says.
    pub created: Option<String>,
    /// What is below.
    pub base: Option<BaseReport>,
    /// Its layers, in the order in which they are unpacked.
    pub layers: Vec<LayerReport>,
    /// How many packages are known to be in it.
    pub packages: usize,
    /// Size of all layers in bytes, compressed.
    pub size: u64,
    /// Size of the layers that no other tag of the repository has, as far as was looked.
    pub unshared: Option<u64>,
    /// Whether everything is there that its packages need at run time; none if that cannot be told.
    pub complete: Option<bool>,
    /// Labels of packages that are not.
    pub missing: Vec<String>,
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `WorkingDir`.
    pub workdir: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Env`: `NAME=value`, in order.
    pub env: Vec<String>,
    /// `Labels`.
    pub labels: BTreeMap<String, String>,
}

/// The base of an image.
#[derive(Debug, Serialize)]
pub struct BaseReport {
    /// What it was called when the image was made.
    pub name: Option<String>,
    /// Digest of its manifest.
    pub digest: Option<String>,
    /// How many of the layers are its.
    pub layers: usize,
}

/// A layer.
#[derive(Debug, Serialize)]
pub struct LayerReport {
    /// Digest of the blob.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// What it holds.
    pub holds: Holds,
    /// Labels of the packages in it.
    pub packages: Vec<String>,
    /// What the history says of how it was made.
    pub created_by: Option<String>,
    /// Other tags of the repository that have it; none if that was not looked at.
    pub shared_with: Option<Vec<String>>,
}

/// What a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Part of the base.
    Base,
    /// Packages.
    Packages,
    /// The links of a view.
    View,
    /// That is not known.
    Unknown,
}

/// Looks at an image of anybody's.
///
/// # Errors
/// If there is no such image, or none for the platform, and what the repository has to say.
pub fn inspect(
    repository: &dyn Repository,
    request: &InspectRequest<'_>,
    reporter: &dyn Reporter,
) -> Result<Inspection, Error> {
    let reference = request.reference;
    let no_image = || strata_oci::Error::NoSuchImage { reference: reference.to_string() };
    let raw = repository.manifest(reference.manifest())?.ok_or_else(no_image)?;
    let (images, others, is_an_index) = images(repository, request, &raw)?;
    let identified = parallel::map(&images, parallel::REQUESTS, |image| identify(repository, image))?;
    let neighbours = match request.shared {
        true => {
            reporter.event(Event::Phase("Comparing with other tags"));
            let first = identified.iter().flat_map(|identified| identified.tags.iter().cloned()).collect();
            gather(repository, reference.manifest(), &first, reporter)
        }
        false => None,
    };
    let mut reports = Vec::with_capacity(images.len());
    for (image, identified) in images.iter().zip(identified) {
        reports.push(report(repository, image, identified, neighbours.as_ref())?);
    }
    let kind = match (is_an_index, reports.first()) {
        (true, _) => Kind::Index,
        (false, first) => first.map_or(Kind::Image, |image| image.kind),
    };
    Ok(Inspection {
        reference: reference.to_string(),
        kind,
        digest: raw.digest.to_string(),
        media_type: raw.media_type,
        images: reports,
        others,
        compared_with: neighbours.map(|neighbours| neighbours.compared),
    })
}

/// What other tags have; nothing if the registry does not tell. What an image is made of is known without it.
fn gather(
    repository: &dyn Repository,
    own: &ManifestRef,
    first: &BTreeSet<TagName>,
    reporter: &dyn Reporter,
) -> Option<Neighbours> {
    let gathered = Neighbours::gather(repository, own, first, reporter);
    if let Err(error) = &gathered {
        let text = format!("not comparing with other tags: {}", chain(error));
        reporter.event(Event::Warning(&text));
    }
    gathered.ok()
}

/// The images under the reference, how many other entries an index has, and whether it is one.
fn images(
    repository: &dyn Repository,
    request: &InspectRequest<'_>,
    raw: &RawManifest,
) -> Result<(Vec<Image>, usize, bool), Error> {
    let is_an_index = is_index(raw);
    if let Some(platform) = request.platform {
        let image = image_for(repository, request.reference, Some(platform))?;
        return Ok((vec![image], 0, is_an_index));
    }
    let place = format!("{} {}", repository.url(), raw.digest);
    if !is_an_index {
        return Ok((vec![image_of(repository, raw)?], 0, false));
    }
    let index = ImageIndex::parse(&raw.bytes).map_err(|source| document(&place, source))?;
    let (entries, others): (Vec<&Descriptor>, Vec<_>) =
        index.manifests.iter().partition(|entry| is_image_entry(entry));
    let images = parallel::map(&entries, parallel::REQUESTS, |entry| {
        let reference = || ImageReference::new(repository.url().clone(), entry.digest).to_string();
        let no_image = || strata_oci::Error::NoSuchImage { reference: reference() };
        let raw = repository.manifest(&ManifestRef::Digest(entry.digest))?.ok_or_else(no_image)?;
        image_of(repository, &raw)
    })?;
    Ok((images, others.len(), true))
}

fn image_of(repository: &dyn Repository, raw: &RawManifest) -> Result<Image, Error> {
    let place = format!("{} {}", repository.url(), raw.digest);
    let manifest = raw.parse().map_err(|source| document(&place, source))?;
    let config = config_of(repository, &manifest, &place)?;
    Ok(Image { digest: raw.digest, manifest, config })
}

fn document(place: &str, source: strata_oci::ManifestError) -> Error {
    strata_oci::Error::Document { location: place.to_owned(), cause: source }.into()
}

fn report(
    repository: &dyn Repository,
    image: &Image,
    mut identified: Identified,
    neighbours: Option<&Neighbours>,
) -> Result<ImageReport, Error> {
    let Image { digest, manifest, config } = image;
    if let Some(neighbours) = neighbours {
        identified.complete_with(manifest, neighbours);
    }
    let (complete, missing) = identified.completeness(repository)?;
    let labels: BTreeMap<String, String> = config.config.labels().unwrap_or_default();
    let said = |key: &str| manifest.annotations.get(key).or_else(|| labels.get(key)).cloned();
    let (name, base_digest) = (said(BASE_NAME), said(BASE_DIGEST));
    let leading = identified.contents.iter().take_while(|content| content.is_none()).count();
    let has_base =
        name.is_some() || base_digest.is_some() || (leading > 0 && leading < manifest.layers.len());
    let base = has_base.then_some(BaseReport { name, digest: base_digest, layers: leading });
    let made = identified.created_by.iter().map(Some).chain(std::iter::repeat(None));
    let layers: Vec<LayerReport> = manifest
        .layers
        .iter()
        .zip(&identified.contents)
        .zip(made)
        .enumerate()
        .map(|(at, ((layer, content), made))| LayerReport {
            digest: layer.digest.to_string(),
            size: layer.size,
            media_type: layer.media_type.clone(),
            holds: match content {
                Some(Content::Packages(_)) => Holds::Packages,
                Some(Content::View) => Holds::View,
                None if base.is_some() && at < leading => Holds::Base,
                None => Holds::Unknown,
            },
            packages: match content {
                Some(Content::Packages(packages)) => packages.iter().map(|held| held.label()).collect(),
                _ => Vec::new(),
            },
            created_by: made.cloned().flatten(),
            shared_with: neighbours.map(|neighbours| neighbours.with(&layer.digest)),
        })
        .collect();
    let unshared = neighbours.map(|_| {
        let own = layers.iter().filter(|layer| layer.shared_with.as_ref().is_some_and(Vec::is_empty));
        // As in the size of all, each counts once.
        own.map(|layer| (&layer.digest, layer.size)).collect::<BTreeMap<_, _>>().values().sum()
    });
    Ok(ImageReport {
        platform: Platform::of_config(config).to_string(),
        kind: if config.extra.get("spec").is_some() { Kind::Package } else { Kind::Image },
        digest: digest.to_string(),
        media_type: manifest.media_type.clone(),
        description: manifest.annotations.get(DESCRIPTION).cloned(),
        created: config.created(),
        base,
        packages: layers.iter().map(|layer| layer.packages.len()).sum(),
        size: distinct_size(manifest),
        unshared,
        complete,
        missing,
        entrypoint: config.config.entrypoint().ok().flatten().unwrap_or_default(),
        cmd: config.config.cmd().ok().flatten().unwrap_or_default(),
        workdir: config.config.working_dir().ok().flatten().filter(|text| !text.is_empty()),
        user: config.config.user().ok().flatten().filter(|text| !text.is_empty()),
        env: config.config.env.clone(),
        labels,
        layers,
    })
}

/// What layers that occur twice take is taken once.
fn distinct_size(manifest: &Manifest) -> u64 {
    let sizes: BTreeMap<Digest, u64> =
        manifest.layers.iter().map(|layer| (layer.digest, layer.size)).collect();
    sizes.values().sum()
}
