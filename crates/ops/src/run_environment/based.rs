//! Whether the image of a package that is in a cache has a base: then its environment has the base's variables among its own.
//! Spack does not say so, but keeps what the base's config has.

use super::Cached;
use crate::image::assemble::{BASE_DIGEST, BASE_NAME};
use crate::image::history::{consistent, is_ours};
use std::collections::BTreeMap;
use strata_oci::media_type::Family;
use strata_oci::{ImageConfig, Manifest};

/// Keys of image configs that have nothing to do with packages.
pub(crate) const OF_IMAGES: [&str; 12] = [
    "author",
    "comment",
    "container",
    "container_config",
    "created",
    "docker_version",
    "history",
    "id",
    "os.features",
    "os.version",
    "parent",
    "variant",
];

/// The key of a package's config under which labels of packages are whose recipes say more than the environment has: nobody
/// could tell what. Spack passes over it.
pub(crate) const UNCLEAR: &str = "environment_unclear";

impl Cached {
    /// Whether there is nothing in it beyond what follows from prefixes.
    pub(crate) fn says_nothing(&self) -> bool {
        self.env.is_empty() && self.unclear.is_empty()
    }

    /// What a package's image says. `closure`: how many packages are in it, if that is known.
    pub(crate) fn of(manifest: &Manifest, config: &ImageConfig, closure: Option<usize>) -> Self {
        let unclear = config.extra.get(UNCLEAR).and_then(|labels| serde_json::from_str(labels.get()).ok());
        Self {
            env: config.config.env.clone(),
            has_base: has_base(manifest, config, closure),
            unclear: unclear.unwrap_or_default(),
        }
    }
}

fn has_base(manifest: &Manifest, config: &ImageConfig, closure: Option<usize>) -> bool {
    let labels: BTreeMap<String, String> = config.config.labels().unwrap_or_default();
    let named = |key: &&str| manifest.annotations.contains_key(*key) || labels.contains_key(*key);
    if [BASE_DIGEST, BASE_NAME].iter().any(named) {
        return true;
    }
    // We write a history without a base, too, where packages share layers; that of a base tells of other layers.
    if let Some(ours) = is_all_ours(config, manifest.layers.len()) {
        return !ours;
    }
    Family::of_manifest(&manifest.media_type) == Family::Docker
        || !config.config.extra.is_empty()
        || config.extra.iter().any(|(key, _)| OF_IMAGES.contains(&key))
        || closure.is_some_and(|packages| manifest.layers.len() > packages)
}

/// Whether a history tells of layers of packages alone; none if there is no history of these layers.
fn is_all_ours(config: &ImageConfig, layers: usize) -> Option<bool> {
    let history = config.extra.get("history")?;
    consistent(history, layers).map(|_| is_ours(history))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strata_oci::Digest;

    fn is_based(media_type: &str, layers: usize, more: &serde_json::Value, closure: Option<usize>) -> bool {
        let digest = Digest::of(b"x");
        let layer =
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 1});
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 1},
            "layers": vec![layer; layers]});
        let mut config = json!({"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"]},
            "rootfs": {"type": "layers", "diff_ids": vec![digest; layers]}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let manifest = Manifest::parse(media_type, manifest.to_string().as_bytes()).unwrap();
        let config = ImageConfig::parse(config.to_string().as_bytes()).unwrap();
        Cached::of(&manifest, &config, closure).has_base
    }

    #[test]
    fn what_a_base_leaves_behind_gives_it_away() {
        const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
        const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
        let hash = "6mhn66ae67iweh46tg4uhwn247xusqdu";
        let ours = json!({"created_by": "strata: 2 packages", "comment": format!("a@1/{hash}, b@2/{hash}")});
        let theirs = json!({"created_by": "COPY . /"});
        let none = json!({});
        for (media_type, layers, more, closure, expected) in [
            (OCI, 2, &none, Some(2), false),
            (OCI, 2, &none, None, false),
            (OCI, 3, &none, Some(2), true),
            (DOCKER, 2, &none, Some(2), true),
            (OCI, 2, &json!({"created": "2024-01-01T00:00:00Z"}), Some(2), true),
            (OCI, 2, &json!({"config": {"Cmd": ["sh"]}}), Some(2), true),
            (
                OCI,
                2,
                &json!({"config": {"Labels": {BASE_NAME: "debian"}}, "history": [ours, ours]}),
                Some(2),
                true,
            ),
            // Packages that share layers.
            (OCI, 2, &json!({"history": [ours, ours]}), Some(3), false),
            (OCI, 2, &json!({"history": [theirs, ours]}), Some(3), true),
            (OCI, 2, &json!({"history": [ours]}), Some(3), true),
        ] {
            assert_eq!(is_based(media_type, layers, more, closure), expected, "{media_type} {layers} {more}");
        }
    }
}
