//! [`ImageIndex`]: a list of manifests, which is both a multi-platform image and the `index.json` of a layout.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{Descriptor, ManifestError, RawObject, media_type};

const WHAT: &str = "image index";

/// An image index: descriptors of manifests, with whatever else other people wrote into it.
///
/// Written as compact JSON with the keys `schemaVersion`, `mediaType`, `manifests`, then any others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageIndex {
    /// The type of the index itself.
    pub media_type: String,
    /// The manifests (or further indexes) that it lists.
    pub manifests: Vec<Descriptor>,
    /// Other keys (`annotations`, …), kept and written last.
    pub extra: RawObject,
}

impl Default for ImageIndex {
    fn default() -> Self {
        Self { media_type: media_type::OCI_INDEX.to_string(), manifests: Vec::new(), extra: RawObject::new() }
    }
}

impl ImageIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// [`ManifestError`] if it is not JSON, lacks `manifests`, or has the media type of something else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let malformed = |cause| ManifestError::Malformed { what: WHAT, cause };
        let mut object: RawObject = serde_json::from_slice(bytes).map_err(malformed)?;
        let version: i64 = object
            .take("schemaVersion")
            .map_err(malformed)?
            .ok_or(ManifestError::Missing { what: WHAT, key: "schemaVersion" })?;
        if version != 2 {
            return Err(ManifestError::Schema { version });
        }
        let media_type = object
            .take::<String>("mediaType")
            .map_err(malformed)?
            .unwrap_or_else(|| media_type::OCI_INDEX.to_string());
        if !media_type::is_index(&media_type) {
            return Err(ManifestError::MediaType(media_type));
        }
        let manifests = object
            .take("manifests")
            .map_err(malformed)?
            .ok_or(ManifestError::Missing { what: WHAT, key: "manifests" })?;
        Ok(Self { media_type, manifests, extra: object })
    }

    /// The index as compact JSON.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(|cause| ManifestError::Malformed { what: WHAT, cause })
    }
}

impl Serialize for ImageIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schemaVersion", &2)?;
        map.serialize_entry("mediaType", &self.media_type)?;
        map.serialize_entry("manifests", &self.manifests)?;
        self.extra.serialize_members(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_writing_and_reading_with_foreign_keys() {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}],"annotations":{{"a" :"b"}}}}"#,
            media_type::OCI_INDEX,
            serde_json::to_string(&Descriptor::of(media_type::OCI_MANIFEST, b"")).unwrap(),
        );
        let index = ImageIndex::parse(text.as_bytes()).unwrap();
        assert_eq!(index.manifests.len(), 1);
        assert_eq!(String::from_utf8(index.to_bytes().unwrap()).unwrap(), text);
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for (text, words) in [
            ("[]", "not a valid image index"),
            ("{}", "schemaVersion"),
            (r#"{"schemaVersion":3}"#, "version 3"),
            (r#"{"schemaVersion":2}"#, "manifests"),
            (r#"{"schemaVersion":2,"mediaType":"text/plain","manifests":[]}"#, "text/plain"),
        ] {
            let error = ImageIndex::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
