//! The images that an index is to have: read, checked, and copied to where the index is.

use super::compose::{key, platform_of};
use super::{Addition, is_index};
use crate::error::Error;
use crate::image::ImageError;
use crate::report::{Action, Event, Reporter};
use std::time::Instant;
use strata_oci::media_type::Family;
use strata_oci::{
    Copied, Descriptor, ImageConfig, ImageIndex, Manifest, ManifestRef, Platform, RawManifest, RawObject,
    Repository, copy_image, image_config,
};

/// An image of an index.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its entry in the index, with its platform.
    pub(super) entry: Descriptor,
    /// What the user calls it.
    pub(super) name: String,
    /// Which media types it uses.
    pub(super) family: Family,
}

impl Member {
    /// The image whose manifest is `bytes`.
    ///
    /// # Errors
    /// None in practice: a platform has a JSON form.
    pub(crate) fn new(platform: &Platform, media_type: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut entry = Descriptor::of(media_type, bytes);
        let mut stated = RawObject::new();
        stated.set("architecture", &platform.architecture)?;
        stated.set("os", &platform.os)?;
        if let Some(variant) = &platform.variant {
            stated.set("variant", variant)?;
        }
        entry.extra.set("platform", &stated)?;
        Ok(Self { entry, name: platform.to_string(), family: Family::of_manifest(media_type) })
    }
}

impl Member {
    /// Takes the platform of its entry in another index, if that is about the same processor: it may say more than a config
    /// does, such as the variant.
    fn take_platform(&mut self, entry: &Descriptor) -> Result<(), Error> {
        if let (Some(ours), Some(theirs)) = (key(&self.entry), key(entry))
            && ours.is_refined_by(&theirs)
            && let Some(platform) = platform_of(entry)
        {
            self.entry.extra.set("platform", &platform)?;
        }
        Ok(())
    }
}

/// The images of `additions`, and where each is.
pub(super) fn find(additions: &[Addition]) -> Result<Vec<(Member, &dyn Repository)>, Error> {
    let mut found: Vec<(Member, &dyn Repository)> = Vec::new();
    for addition in additions {
        let source = &*addition.repository;
        let name = addition.reference.to_string();
        let missing = || strata_oci::Error::NoSuchImage { reference: name.clone() };
        let raw = source.manifest(addition.reference.manifest())?.ok_or_else(missing)?;
        if !is_index(&raw) {
            found.push((of_image(source, &raw, &name)?, source));
            continue;
        }
        let index = ImageIndex::parse(&raw.bytes)?;
        let before = found.len();
        for entry in index.manifests.iter().filter(|entry| key(entry).is_some()) {
            let name = format!("{name} ({})", entry.digest);
            let missing = || strata_oci::Error::NoSuchImage { reference: name.clone() };
            let raw = source.manifest(&ManifestRef::Digest(entry.digest))?.ok_or_else(missing)?;
            if is_index(&raw) {
                return Err(Error::Image(ImageError::NestedIndex { image: name }));
            }
            let mut member = of_image(source, &raw, &name)?;
            member.take_platform(entry)?;
            found.push((member, source));
        }
        if found.len() == before {
            return Err(Error::Image(ImageError::NoPlatform { image: name }));
        }
    }
    Ok(found)
}

/// Makes the images available in `repository`.
pub(super) fn copy(
    members: &[Member],
    sources: &[&dyn Repository],
    repository: &dyn Repository,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let elsewhere: Vec<_> =
        members.iter().zip(sources).filter(|(_, source)| source.url() != repository.url()).collect();
    if !elsewhere.is_empty() {
        reporter.event(Event::Expect(Action::Copy, elsewhere.len()));
    }
    for (member, source) in elsewhere {
        reporter.event(Event::Started(Action::Copy, &member.name));
        let since = Instant::now();
        let copied = copy_image(*source, repository, &member.entry)?;
        let sent = copied.blobs.iter().filter(|(_, copied)| *copied == Copied::Sent);
        let bytes = sent.map(|(blob, _)| blob.size).sum();
        let elapsed = since.elapsed();
        reporter.event(Event::Finished {
            action: Action::Copy,
            package: &member.name,
            bytes,
            elapsed,
            detail: "",
        });
    }
    Ok(())
}

/// The config of an image; [`ImageError::NoImage`](crate::image::ImageError::NoImage) with its `name` if that is none of an image, such as that of a chart or of
/// the index of a cache.
pub(crate) fn config_of(
    repository: &dyn Repository,
    manifest: &Manifest,
    name: &str,
) -> Result<ImageConfig, Error> {
    image_config(repository, manifest).map_err(|error| match error {
        strata_oci::Error::Document { cause, .. } => {
            Error::Image(ImageError::NoImage { reference: name.to_owned(), source: cause })
        }
        error => error.into(),
    })
}

/// A single image, with the platform that its config says.
pub(super) fn of_image(repository: &dyn Repository, raw: &RawManifest, name: &str) -> Result<Member, Error> {
    let manifest = raw.parse()?;
    let config = config_of(repository, &manifest, name)?;
    if config.os.is_empty() || config.architecture.is_empty() || config.os == "unknown" {
        return Err(Error::Image(ImageError::NoPlatform { image: name.to_owned() }));
    }
    let text = |key: &str| {
        let value = config.extra.get(key)?;
        serde_json::from_str::<String>(value.get()).ok().filter(|value| !value.is_empty())
    };
    let platform = Platform::of_config(&config);
    let mut member = Member::new(&platform, &manifest.media_type, &raw.bytes)?;
    if let (Some(version), Some(mut stated)) = (text("os.version"), platform_of(&member.entry)) {
        stated.set("os.version", &version)?;
        member.entry.extra.set("platform", &stated)?;
    }
    Ok(Member { name: name.to_owned(), ..member })
}
