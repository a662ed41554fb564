//! The image config and the manifest of a package: what Spack's `_oci_put_manifest` writes, and what a cache has of it.

use super::environment::Environment;
use crate::error::Error;
use crate::package_tag;
use jiff::Timestamp;
use serde_json::json;
use serde_json::value::RawValue;
use strata_oci::{
    Descriptor, Digest, ImageConfig, Manifest, ManifestRef, Repository, image_config, image_manifest,
    media_type,
};
use strata_spec::{ConcreteSpec, Node, format, target};

/// `buildcache_layout_version`: Spack before 1.0 refuses 3, everything accepts 2.
const LAYOUT_VERSION: u32 = 2;
/// The annotation that tells people what a tag is.
const DESCRIPTION: &str = "org.opencontainers.image.description";

/// A layer that is in the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerInfo {
    /// Digest of the compressed layer.
    pub(super) digest: Digest,
    /// Digest of the uncompressed tar.
    pub(super) diff_id: Digest,
    /// Size of the compressed layer in bytes.
    pub(super) size: u64,
}

/// The config blob of a package: an image config, and beside it the keys of `spec.json`.
///
/// `layers` are those of the image, the package's own last. `created` becomes `archive_timestamp`: Spack stamps
/// the current time; a time that belongs to the package keeps the digest reproducible.
pub(super) fn config(
    spec: &ConcreteSpec,
    layers: &[&LayerInfo],
    environment: &Environment,
    created: Timestamp,
) -> Result<Vec<u8>, Error> {
    let own = layers.last().map(|layer| (layer.digest.hex(), layer.size)).unwrap_or_default();
    let mut config = ImageConfig::new(target::image_architecture(&spec.root().architecture.target), "linux");
    config.root_fs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    config.config.env = environment.to_entries();
    let raw = |value: serde_json::Value| RawValue::from_string(value.to_string());
    let timestamp = created.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    for (key, value) in [
        ("spec", RawValue::from_string(spec.to_json())?),
        ("buildcache_layout_version", raw(json!(LAYOUT_VERSION))?),
        ("binary_cache_checksum", raw(json!({"hash_algorithm": "sha256", "hash": own.0}))?),
        ("archive_size", raw(json!(own.1))?),
        ("archive_timestamp", raw(json!(timestamp))?),
        ("archive_compression", raw(json!("gzip"))?),
    ] {
        config.extra.set_raw(key, value);
    }
    Ok(config.to_bytes()?)
}

/// The manifest that ties config and layers together.
pub(super) fn manifest(node: &Node, config: &[u8], layers: &[&LayerInfo]) -> Manifest {
    let config = Descriptor::new(media_type::OCI_CONFIG, Digest::of(config), config.len() as u64);
    let layers =
        layers.iter().map(|l| Descriptor::new(media_type::OCI_LAYER_GZIP, l.digest, l.size)).collect();
    let mut manifest = Manifest::new(config, layers);
    manifest.annotations.insert(DESCRIPTION.to_owned(), format::canonical(node));
    manifest
}

/// The package layer that the cache has of `node`, from its manifest and config.
pub(super) fn layer_in_cache(repository: &dyn Repository, node: &Node) -> Result<Option<LayerInfo>, Error> {
    let tag = package_tag::of(node)?;
    let Some((_, manifest)) = image_manifest(repository, &ManifestRef::Tag(tag.clone()))? else {
        return Ok(None);
    };
    let config = image_config(repository, &manifest)?;
    match (manifest.layers.last(), config.root_fs.diff_ids.last()) {
        (Some(layer), Some(diff_id)) => {
            Ok(Some(LayerInfo { digest: layer.digest, diff_id: *diff_id, size: layer.size }))
        }
        _ => Err(Error::NotAPackage { tag: tag.to_string(), place: repository.url().to_string() }),
    }
}
