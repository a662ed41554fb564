//! What the config of a package says beside being an image config, and what a cache has of a package.

use crate::error::Error;
use crate::image::assemble::LayerInfo;
use crate::package_tag;
use crate::run_environment::{Cached, OF_IMAGES};
use jiff::Timestamp;
use serde_json::json;
use serde_json::value::RawValue;
use strata_oci::{ImageConfig, ManifestRef, RawObject, Repository, image_config, image_manifest};
use strata_spec::{ConcreteSpec, Node};

/// `buildcache_layout_version`: Spack before 1.0 refuses 3, everything accepts 2.
const LAYOUT_VERSION: u32 = 2;

/// The first of the keys that a package's config has beside an image config. All that Spack adds comes after it.
const FIRST: &str = "spec";
/// The keys beside the image config: those of `spec.json`, and what Spack says of the layer.
///
/// `created` becomes `archive_timestamp`: Spack stamps the current time; a time that belongs to the package keeps the
/// digest reproducible.
pub(super) fn keys(spec: &ConcreteSpec, own: &LayerInfo, created: Timestamp) -> Result<RawObject, Error> {
    let raw = |value: serde_json::Value| RawValue::from_string(value.to_string());
    let timestamp = created.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    let mut keys = RawObject::new();
    for (key, value) in [
        (FIRST, RawValue::from_string(spec.to_json())?),
        ("buildcache_layout_version", raw(json!(LAYOUT_VERSION))?),
        ("binary_cache_checksum", raw(json!({"hash_algorithm": "sha256", "hash": own.digest.hex()}))?),
        ("archive_size", raw(json!(own.size))?),
        ("archive_timestamp", raw(json!(timestamp))?),
        ("archive_compression", raw(json!(own.compression.name()))?),
    ] {
        keys.set_raw(key, value);
    }
    Ok(keys)
}

/// What a cache has of a package.
#[derive(Clone, Debug)]
pub(super) struct InCache {
    /// Its layer.
    pub(super) layer: LayerInfo,
    /// The keys beside the image config, as they are; none if the config is no package's.
    pub(super) keys: RawObject,
    /// The environment of its image.
    pub(super) environment: Cached,
}

/// What the cache has of `node`, from its manifest and config.
pub(super) fn in_cache(repository: &dyn Repository, node: &Node) -> Result<Option<InCache>, Error> {
    let tag = package_tag::of(node)?;
    let Some((_, manifest)) = image_manifest(repository, &ManifestRef::Tag(tag.clone()))? else {
        return Ok(None);
    };
    let config = image_config(repository, &manifest)?;
    match (manifest.layers.last(), config.root_fs.diff_ids.last()) {
        (Some(layer), Some(diff_id)) => Ok(Some(InCache {
            layer: LayerInfo::of(layer, *diff_id),
            keys: keys_of(&config),
            environment: Cached::of(&manifest, &config, None),
        })),
        _ => Err(Error::NotAPackage { tag: tag.to_string(), place: repository.url().to_string() }),
    }
}

fn keys_of(config: &ImageConfig) -> RawObject {
    let mut keys = RawObject::new();
    // A base may bring its own in any order.
    let from_first = config.extra.iter().skip_while(|(key, _)| *key != FIRST);
    for (key, value) in from_first.filter(|(key, _)| !OF_IMAGES.contains(key)) {
        keys.set_raw(key, value.to_owned());
    }
    keys
}
