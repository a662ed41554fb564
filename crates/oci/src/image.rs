//! [`image_for`]: the image of an index, of indexes in indexes, or of no index, that is for a platform.

use std::collections::HashSet;

use crate::platform::Platform;
use crate::repository::{image_config, manifest_as};
use crate::{
    Descriptor, Digest, Error, ImageConfig, ImageIndex, ImageReference, Manifest, ManifestError, ManifestRef,
    RawManifest, Repository, media_type,
};

/// How deep indexes may be in indexes. Two is the most that is known to be used.
const DEEPEST: usize = 8;
/// How many indexes are read for one image.
const MOST_INDEXES: usize = 64;

/// How many configs are read to learn what images are for.
const MOST_CONFIGS: usize = 16;

/// An image, read: its manifest and its config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Of the manifest.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// The config.
    pub config: ImageConfig,
}

/// The image that `reference` names in `repository`, for `platform` if given. An index, of either family and nested to a
/// sensible depth, is gone through; entries that are attestations, or of no platform, are not images. Where no entry says
/// a platform, their configs are asked. Without `platform`, an index must have one image only.
///
/// Of several variants of a processor, the one that is asked for is taken, else the next below; if none is asked for,
/// the image that says none, else that of the usual variant (v7 of arm, v8 of arm64), else the lowest.
///
/// # Errors
/// [`Error::NoSuchImage`] if there is nothing of that name, [`Error::NoSuchPlatform`] if it is for other platforms only
/// (a single image is checked by its config), [`Error::ManyPlatforms`] if none was asked for and it is for several,
/// [`Error::NoSuchMember`] if an index lists what is not there, and what reading gives.
pub fn image_for(
    repository: &dyn Repository,
    reference: &ImageReference,
    platform: Option<&Platform>,
) -> Result<Image, Error> {
    let Some(raw) = repository.manifest(reference.manifest())? else {
        return Err(Error::NoSuchImage { reference: reference.to_string() });
    };
    let search = Search { repository, reference };
    let manifest = match raw.parse() {
        Ok(manifest) => manifest,
        Err(ManifestError::IsIndex { .. }) => {
            let entry = search.choose(search.images(&raw)?, platform)?;
            return search.image(&search.member(&entry)?);
        }
        Err(cause) => return Err(Error::document(reference.to_string())(cause)),
    };
    let config = image_config(repository, &manifest)?;
    let has = Platform::of_config(&config);
    match platform {
        Some(platform) if platform.suited_by(&has).is_none() => Err(Error::NoSuchPlatform {
            reference: reference.to_string(),
            wanted: platform.to_string(),
            has: vec![has.to_string()],
        }),
        _ => Ok(Image { digest: raw.digest, manifest, config }),
    }
}

/// Looking for an image in an index.
struct Search<'a> {
    repository: &'a dyn Repository,
    reference: &'a ImageReference,
}

impl Search<'_> {
    /// All images of an index and of the indexes in it, in their order, with their platforms.
    fn images(&self, raw: &RawManifest) -> Result<Vec<(Platform, Descriptor)>, Error> {
        let mut images = Vec::new();
        let mut silent = Vec::new();
        let mut seen = HashSet::from([raw.digest]);
        // The next one last.
        let mut waiting: Vec<(usize, Descriptor)> = Vec::new();
        let queue = |depth: usize, raw: &RawManifest, waiting: &mut Vec<_>| -> Result<(), Error> {
            let index = ImageIndex::parse(&raw.bytes).map_err(self.document(&raw.digest))?;
            waiting.extend(index.manifests.into_iter().rev().map(|entry| (depth, entry)));
            Ok(())
        };
        queue(1, raw, &mut waiting)?;
        while let Some((depth, entry)) = waiting.pop() {
            if media_type::is_index(&entry.media_type) {
                if !seen.insert(entry.digest) {
                    continue;
                }
                if depth >= DEEPEST || seen.len() > MOST_INDEXES {
                    return Err(self.document(&entry.digest)(ManifestError::TooDeep));
                }
                queue(depth + 1, &self.member(&entry)?, &mut waiting)?;
            } else if media_type::is_manifest(&entry.media_type) {
                match Platform::of_entry(&entry) {
                    Some(platform) => images.push((platform, entry)),
                    None if Platform::is_left_to_config(&entry) => silent.push(entry),
                    None => {}
                }
            }
        }
        if images.is_empty() {
            silent.truncate(MOST_CONFIGS);
            for entry in silent {
                match self.image(&self.member(&entry)?) {
                    Ok(image) => images.push((Platform::of_config(&image.config), entry)),
                    // Something else than an image may be listed, too.
                    Err(Error::Document { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(images)
    }

    /// The one that suits best; of equals, the first.
    fn choose(
        &self,
        images: Vec<(Platform, Descriptor)>,
        platform: Option<&Platform>,
    ) -> Result<Descriptor, Error> {
        let mut has: Vec<String> = Vec::new();
        for (platform, _) in &images {
            let platform = platform.to_string();
            if !has.contains(&platform) {
                has.push(platform);
            }
        }
        let reference = self.reference.to_string();
        let Some(wanted) = platform else {
            let mut entries = images.into_iter().map(|(_, entry)| entry);
            return match (entries.next(), entries.next()) {
                (Some(entry), None) => Ok(entry),
                (Some(_), Some(_)) => Err(Error::ManyPlatforms { reference, has }),
                (None, _) => {
                    Err(Error::NoSuchPlatform { reference, wanted: "any platform".to_string(), has })
                }
            };
        };
        images
            .into_iter()
            .filter_map(|(platform, entry)| Some((wanted.suited_by(&platform)?, entry)))
            .min_by_key(|(suitability, _)| *suitability)
            .map(|(_, entry)| entry)
            .ok_or_else(|| Error::NoSuchPlatform { reference, wanted: wanted.to_string(), has })
    }

    /// What an entry of an index points at.
    fn member(&self, entry: &Descriptor) -> Result<RawManifest, Error> {
        manifest_as(self.repository, entry)?.ok_or_else(|| Error::NoSuchMember {
            reference: self.reference.to_string(),
            digest: entry.digest,
            platform: Platform::of_entry(entry).map(|platform| platform.to_string()),
        })
    }

    fn image(&self, raw: &RawManifest) -> Result<Image, Error> {
        let manifest = raw.parse().map_err(self.document(&raw.digest))?;
        let config = image_config(self.repository, &manifest)?;
        Ok(Image { digest: raw.digest, manifest, config })
    }

    fn document(&self, digest: &Digest) -> impl FnOnce(ManifestError) -> Error {
        Error::document(format!("{} {}", self.repository.url(), ManifestRef::Digest(*digest)))
    }
}
