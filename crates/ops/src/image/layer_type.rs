//! How a layer is compressed, as manifests say it.

use strata_layer::compression::Compression;
use strata_oci::media_type::{
    DOCKER_LAYER_GZIP, DOCKER_LAYER_TAR, Family, OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD,
};

/// Docker has no type of its own for a layer compressed with zstd, but containerd writes this one.
const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// The media type of a layer in manifests of `family`; none if it has none.
pub(crate) fn media_type(compression: Compression, family: Family) -> Option<&'static str> {
    match (compression, family) {
        (Compression::None, Family::Oci) => Some(OCI_LAYER_TAR),
        (Compression::Gzip, Family::Oci) => Some(OCI_LAYER_GZIP),
        (Compression::Zstd, Family::Oci) => Some(OCI_LAYER_ZSTD),
        (Compression::None, Family::Docker) => Some(DOCKER_LAYER_TAR),
        (Compression::Gzip, Family::Docker) => Some(DOCKER_LAYER_GZIP),
        (Compression::Zstd, Family::Docker) => None,
    }
}

/// How a layer of this media type is compressed; none if it is no layer's, or that of one which nobody else may have.
pub(crate) fn compression(media_type: &str) -> Option<Compression> {
    match media_type {
        OCI_LAYER_TAR | DOCKER_LAYER_TAR => Some(Compression::None),
        OCI_LAYER_GZIP | DOCKER_LAYER_GZIP => Some(Compression::Gzip),
        OCI_LAYER_ZSTD | DOCKER_LAYER_ZSTD => Some(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_how_a_layer_is_compressed() {
        for how in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for family in [Family::Oci, Family::Docker] {
                let named = media_type(how, family);
                assert_eq!(named.is_none(), (how, family) == (Compression::Zstd, Family::Docker));
                assert_eq!(named.and_then(compression), named.map(|_| how));
            }
        }
        assert_eq!(compression(DOCKER_LAYER_ZSTD), Some(Compression::Zstd));
        assert_eq!(compression("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), None);
    }
}
