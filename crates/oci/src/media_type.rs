//! The media types that name what a manifest, a config or a layer is.
//!
//! There are two families, OCI's and Docker's schema 2. One manifest uses one family throughout: Apptainer, skopeo
//! and podman refuse mixtures.

use crate::Descriptor;

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index: a list of manifests, one per platform.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A gzip-compressed tar as a layer of an OCI image.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A Docker schema 2 image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list: what an image index is in the other family.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A gzip-compressed tar as a layer of a Docker image.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A zstd-compressed tar as a layer of an OCI image. Docker has no type of its own for it.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// A tar, not compressed, as a layer of an OCI image.
pub const OCI_LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// A tar, not compressed, as a layer of a Docker image.
pub const DOCKER_LAYER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// One of the two families of media types: a manifest and all it points at are of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// OCI's.
    #[default]
    Oci,
    /// Docker's, schema 2.
    Docker,
}

impl Family {
    /// That of a manifest of this type.
    pub fn of_manifest(media_type: &str) -> Self {
        if media_type == DOCKER_MANIFEST || media_type == DOCKER_INDEX { Self::Docker } else { Self::Oci }
    }

    /// The type of a manifest.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    /// The type of an index or manifest list.
    pub fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_INDEX,
        }
    }

    /// The type of an image config.
    pub fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    /// The type of a gzip-compressed layer.
    pub fn layer(self) -> &'static str {
        match self {
            Self::Oci => OCI_LAYER_GZIP,
            Self::Docker => DOCKER_LAYER_GZIP,
        }
    }
}

/// The four types a manifest request asks for. A registry that holds a type which is not asked for answers that
/// there is no such manifest.
pub const ALL_MANIFESTS: [&str; 4] = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX];

/// Whether `media_type` names an image manifest, of either family.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether `media_type` names an image index or manifest list.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// Whether `descriptor` is a foreign layer: one that its maker does not want to be distributed (those of Windows), and that
/// is to be had where its `urls` lead.
pub fn is_foreign(descriptor: &Descriptor) -> bool {
    let has_urls = || {
        let urls = descriptor.extra.parse::<Vec<serde::de::IgnoredAny>>("urls");
        urls.map_or(true, |urls| urls.is_some_and(|urls| !urls.is_empty()))
    };
    descriptor.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || descriptor.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
        || has_urls()
}

/// A `Content-Type` header's media type: without parameters such as `; charset=utf-8`, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether `content_type` is that of a page for people, where a registry's answer was due.
pub fn is_html(content_type: &str) -> bool {
    matches!(essence(content_type).as_str(), "text/html" | "application/xhtml+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert_eq!(essence("Application/VND.oci.image.manifest.v1+json; charset=utf-8"), OCI_MANIFEST);
        assert!(is_html("text/HTML; charset=UTF-8"));
        assert!(!is_html(OCI_MANIFEST));
        assert_eq!(essence(""), "");
    }

    #[test]
    fn layers_that_are_to_be_had_elsewhere() {
        let mut layer = Descriptor::of(OCI_LAYER_GZIP, b"");
        assert!(!is_foreign(&layer));
        for (urls, foreign) in [("null", false), ("[]", false), (r#"["https://x"]"#, true), ("7", true)] {
            layer.extra.set_raw("urls", serde_json::value::RawValue::from_string(urls.into()).unwrap());
            assert_eq!(is_foreign(&layer), foreign, "{urls}");
        }
        assert!(is_foreign(&Descriptor::of(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            b""
        )));
        assert!(is_foreign(&Descriptor::of(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            b""
        )));
    }

    #[test]
    fn each_type_is_a_manifest_or_an_index() {
        for media_type in ALL_MANIFESTS {
            assert!(is_manifest(media_type) != is_index(media_type), "{media_type}");
        }
        assert!(!is_manifest(OCI_CONFIG) && !is_index(OCI_CONFIG));
    }
}
