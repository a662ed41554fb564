//! [`Manifest`]: an image manifest, of OCI's or Docker's family, written with its keys in Spack's order.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{Descriptor, RawObject, media_type};

/// A manifest: one config and the layers of an image, base first.
///
/// Written as compact JSON with the keys `mediaType`, `schemaVersion`, `config`, `layers`, `annotations`, then any
/// others: a manifest that Spack wrote is written back byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The type of the manifest itself: OCI's or Docker's.
    pub media_type: String,
    /// Where the image config is.
    pub config: Descriptor,
    /// The layers, in the order in which they are unpacked.
    pub layers: Vec<Descriptor>,
    /// Annotations, sorted by key; not written when empty.
    pub annotations: BTreeMap<String, String>,
    /// Other keys (`subject`, `artifactType`, …), kept and written last.
    pub extra: RawObject,
}

/// Why a document is not what was expected of a manifest, an index or a config.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or a key has a value of the wrong shape.
    #[error("not a valid {what}: {cause}")]
    Malformed {
        /// What it should have been: "image manifest", "image index", "image config".
        what: &'static str,
        /// Where and why the JSON does not fit.
        cause: serde_json::Error,
    },
    /// A key that must be there is not.
    #[error("not a valid {what}: no {key:?}")]
    Missing {
        /// What it should have been.
        what: &'static str,
        /// The key.
        key: &'static str,
    },
    /// An index of several images, where one image was expected.
    #[error("an image index (of {manifests} manifests, {media_type}) where an image manifest was expected")]
    IsIndex {
        /// Its media type.
        media_type: String,
        /// How many manifests it lists.
        manifests: usize,
    },
    /// Docker's schema 1, or some later schema.
    #[error("a manifest of schema version {version}; only version 2 is understood")]
    Schema {
        /// The `schemaVersion` found.
        version: i64,
    },
    /// A media type which is no manifest's.
    #[error("media type {0:?} is not that of an image manifest")]
    MediaType(String),
    /// Indexes in indexes in indexes, of which no more are read.
    #[error("image indexes within image indexes, too many or too deep")]
    TooDeep,
    /// The document says one type, and who delivered it another; reading either way could be wrong.
    #[error("delivered as {delivered:?}, but says it is {stated:?}")]
    Contradiction {
        /// The type in the `Content-Type` header or the layout's index.
        delivered: String,
        /// The document's own `mediaType`, or what its keys make of it.
        stated: String,
    },
}

impl Manifest {
    /// An OCI manifest without annotations.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            media_type: media_type::OCI_MANIFEST.to_string(),
            config,
            layers,
            annotations: BTreeMap::new(),
            extra: RawObject::new(),
        }
    }

    /// Reads a manifest that was delivered as `delivered` (a media type; empty or a general one such as
    /// `application/json` if nobody said).
    ///
    /// # Errors
    /// [`ManifestError::IsIndex`] for an index; the other variants for what is neither.
    pub fn parse(delivered: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        const WHAT: &str = "image manifest";
        let malformed = |cause| ManifestError::Malformed { what: WHAT, cause };
        let missing = |key| ManifestError::Missing { what: WHAT, key };

        let mut object: RawObject = serde_json::from_slice(bytes).map_err(malformed)?;
        let version: i64 =
            object.take("schemaVersion").map_err(malformed)?.ok_or_else(|| missing("schemaVersion"))?;
        if version != 2 {
            return Err(ManifestError::Schema { version });
        }
        let stated: Option<String> = object.take("mediaType").map_err(malformed)?;
        let media_type = agreed_media_type(delivered, stated, &object)?;
        if media_type::is_index(&media_type) {
            let manifests = object.take::<Vec<Descriptor>>("manifests").ok().flatten().unwrap_or_default();
            return Err(ManifestError::IsIndex { media_type, manifests: manifests.len() });
        }
        if !media_type::is_manifest(&media_type) {
            return Err(ManifestError::MediaType(media_type));
        }
        Ok(Self {
            media_type,
            config: object.take("config").map_err(malformed)?.ok_or_else(|| missing("config"))?,
            layers: object.take("layers").map_err(malformed)?.ok_or_else(|| missing("layers"))?,
            annotations: object.take("annotations").map_err(malformed)?.unwrap_or_default(),
            extra: object,
        })
    }

    /// The manifest as compact JSON: the bytes to put, of which the digest is taken.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(|cause| ManifestError::Malformed { what: "image manifest", cause })
    }
}

/// The one media type that the deliverer, the document and its keys agree on. A document that can be read as two
/// things is refused, for two readers would see two images (CVE-2021-41190).
fn agreed_media_type(
    delivered: &str,
    stated: Option<String>,
    object: &RawObject,
) -> Result<String, ManifestError> {
    let delivered = media_type::essence(delivered);
    let delivered = media_type::ALL_MANIFESTS.contains(&delivered.as_str()).then_some(delivered);
    let has_manifests = object.get("manifests").is_some();
    let by_keys = if has_manifests { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
    match (delivered, stated) {
        (Some(delivered), Some(stated)) if delivered != stated => {
            Err(ManifestError::Contradiction { delivered, stated })
        }
        (Some(said), _) | (None, Some(said)) => {
            let contradicted = (media_type::is_manifest(&said) && has_manifests)
                || (media_type::is_index(&said) && object.get("layers").is_some());
            if contradicted {
                return Err(ManifestError::Contradiction { delivered: said, stated: by_keys.to_string() });
            }
            Ok(said)
        }
        (None, None) => Ok(by_keys.to_string()),
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mediaType", &self.media_type)?;
        map.serialize_entry("schemaVersion", &2)?;
        map.serialize_entry("config", &self.config)?;
        map.serialize_entry("layers", &self.layers)?;
        if !self.annotations.is_empty() {
            map.serialize_entry("annotations", &self.annotations)?;
        }
        self.extra.serialize_members(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media_type::{DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};

    fn sample() -> Manifest {
        Manifest::new(Descriptor::of(OCI_CONFIG, b"{}"), vec![Descriptor::of(OCI_LAYER_GZIP, b"layer")])
    }

    /// The sample's JSON with one textual change.
    fn changed(from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(sample().to_bytes().unwrap()).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn survives_writing_and_reading() {
        let mut manifest = sample();
        manifest.annotations.insert("k".into(), "é\"".into());
        assert_eq!(Manifest::parse(OCI_MANIFEST, &manifest.to_bytes().unwrap()).unwrap(), manifest);
    }

    #[test]
    fn keys_it_does_not_know_are_kept() {
        let bytes = changed(r#""layers""#, r#""subject":{"a" : 1},"layers""#);
        let manifest = Manifest::parse("", &bytes).unwrap();
        assert_eq!(manifest.extra.get("subject").unwrap().get(), r#"{"a" : 1}"#);
        let written = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
        assert!(written.ends_with(r#","subject":{"a" : 1}}"#), "{written}");
    }

    #[test]
    fn the_deliverer_decides_when_the_document_is_silent() {
        let silent = changed(&format!(r#""mediaType":"{OCI_MANIFEST}","#), "");
        assert_eq!(Manifest::parse(DOCKER_MANIFEST, &silent).unwrap().media_type, DOCKER_MANIFEST);
        assert_eq!(Manifest::parse("application/json", &silent).unwrap().media_type, OCI_MANIFEST);
    }

    #[test]
    fn an_index_is_recognised_however_it_is_labelled() {
        let descriptor = serde_json::to_string(&Descriptor::of(OCI_MANIFEST, b"")).unwrap();
        let unlabelled = format!(r#"{{"schemaVersion":2,"manifests":[{descriptor},{descriptor}]}}"#);
        for delivered in ["", OCI_INDEX] {
            let error = Manifest::parse(delivered, unlabelled.as_bytes()).unwrap_err();
            assert!(matches!(error, ManifestError::IsIndex { manifests: 2, .. }), "{error}");
            assert!(error.to_string().contains("image index"), "{error}");
        }
    }

    #[test]
    fn a_document_that_can_be_read_as_two_things_is_refused() {
        let both = changed(r#""layers""#, r#""manifests":[],"layers""#);
        let oci = sample().to_bytes().unwrap();
        for (delivered, bytes) in [(OCI_MANIFEST, &both), (OCI_INDEX, &oci), (DOCKER_MANIFEST, &oci)] {
            let error = Manifest::parse(delivered, bytes).unwrap_err();
            assert!(matches!(error, ManifestError::Contradiction { .. }), "{delivered}: {error}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_reason() {
        let expect = |bytes: &[u8], words: &str| {
            let error = Manifest::parse("", bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        expect(b"<html>", "not a valid image manifest");
        expect(b"{}", "schemaVersion");
        expect(br#"{"schemaVersion":1,"fsLayers":[]}"#, "schema version 1");
        expect(&changed(r#""config""#, r#""konfig""#), "config");
        expect(&changed(r#""layers""#, r#""lairs""#), "layers");
        expect(&changed(OCI_MANIFEST, "application/x"), "application/x");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Manifest::parse(OCI_MANIFEST, &bytes);
        }
    }
}
