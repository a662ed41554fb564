//! The index that a cache has: its manifest under the tag `index.spack`, and its JSON. What the JSON says is left to others.

use crate::error::{Error, chain};
use crate::package_tag;
use crate::report::{Event, Reporter};
use strata_oci::{Descriptor, Digest, ManifestRef, Repository, blob_bytes, image_manifest};

/// An index of more bytes than this is refused: the largest public ones have some 200 MB.
const LARGEST: u64 = (4 << 30) - 1;

/// What the manifest of an index says.
pub(super) struct Published {
    /// The blob that has the JSON.
    pub(super) layer: Descriptor,
    /// The digest of the config.
    pub(super) config: Digest,
}

/// What is under the tag of the index; none if there is no such tag.
pub(super) fn published(repository: &dyn Repository) -> Result<Option<Published>, Error> {
    let index = ManifestRef::Tag(package_tag::index()?);
    let Some((_, manifest)) = image_manifest(repository, &index)? else { return Ok(None) };
    let config = manifest.config.digest;
    match manifest.layers.into_iter().next() {
        Some(layer) => Ok(Some(Published { layer, config })),
        None => Err(invalid(repository, &"its manifest has no layer")),
    }
}

impl Published {
    /// Fetches the JSON.
    pub(super) fn json(&self, repository: &dyn Repository) -> Result<String, Error> {
        let json = blob_bytes(repository, &self.layer, LARGEST)?;
        String::from_utf8(json).map_err(|error| invalid(repository, &error))
    }
}

/// What was read of an index, or none if it cannot be used: that is reported, with what is done `instead`.
///
/// # Errors
/// If the cache cannot be asked.
pub(super) fn usable<T>(
    read: Result<Option<T>, Error>,
    instead: &str,
    reporter: &dyn Reporter,
) -> Result<Option<T>, Error> {
    match read {
        Err(error) if error.is_about_content() => {
            reporter.event(Event::Warning(&format!("{}; {instead}", chain(&error))));
            Ok(None)
        }
        read => read,
    }
}

pub(super) fn invalid(repository: &dyn Repository, reason: &dyn std::fmt::Display) -> Error {
    Error::InvalidIndex { place: repository.url().to_string(), reason: reason.to_string() }
}
