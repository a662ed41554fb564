//! The spec that a package's tag leads to.

use crate::error::Error;
use strata_oci::{ImageConfig, ManifestRef, Repository, TagName, image_config, image_manifest};
use strata_spec::ConcreteSpec;

/// The spec in the config of a package's tag.
pub(crate) fn spec_of(repository: &dyn Repository, tag: &str) -> Result<ConcreteSpec, Error> {
    let not_a_package = || Error::NotAPackage { tag: tag.to_owned(), place: repository.url().to_string() };
    let name: TagName = tag.parse()?;
    let (_, manifest) = image_manifest(repository, &ManifestRef::Tag(name))?.ok_or_else(not_a_package)?;
    if manifest.layers.is_empty() {
        return Err(not_a_package());
    }
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
