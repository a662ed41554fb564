//! [`Descriptor`]: how one OCI document points at another, or at a layer.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error as _};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::{Digest, RawObject};

/// The key of the annotation that names a manifest's tag in the index of an image layout.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What a blob is, its digest and its size: `{"mediaType", "digest", "size"}`, and `annotations` if there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type of what is pointed at; see [`media_type`](crate::media_type).
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has, as stored (compressed, for a layer).
    pub size: u64,
    /// Annotations, sorted by key; not written when empty.
    pub annotations: BTreeMap<String, String>,
    /// Other people's keys (`platform`, `urls`, `artifactType`, …), kept and written last.
    pub extra: RawObject,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            annotations: BTreeMap::new(),
            extra: RawObject::new(),
        }
    }

    /// The descriptor of `content`.
    pub fn of(media_type: impl Into<String>, content: &[u8]) -> Self {
        Self::new(media_type, Digest::of(content), content.len() as u64)
    }

    /// The tag that an image layout's index gives this manifest.
    pub(crate) fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mediaType", &self.media_type)?;
        map.serialize_entry("digest", &self.digest)?;
        map.serialize_entry("size", &self.size)?;
        if !self.annotations.is_empty() {
            map.serialize_entry("annotations", &self.annotations)?;
        }
        self.extra.serialize_members(&mut map)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = RawObject::deserialize(deserializer)?;
        let missing = |key| D::Error::custom(format!("a descriptor without {key:?}"));
        Ok(Self {
            media_type: object
                .take("mediaType")
                .map_err(D::Error::custom)?
                .ok_or_else(|| missing("mediaType"))?,
            digest: object.take("digest").map_err(D::Error::custom)?.ok_or_else(|| missing("digest"))?,
            size: object.take("size").map_err(D::Error::custom)?.ok_or_else(|| missing("size"))?,
            annotations: object.take("annotations").map_err(D::Error::custom)?.unwrap_or_default(),
            extra: object,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::OCI_LAYER_GZIP;

    #[test]
    fn written_in_the_usual_order_without_empty_annotations() {
        let mut descriptor = Descriptor::of(OCI_LAYER_GZIP, b"");
        let hex = Digest::of(b"").hex();
        assert_eq!(
            serde_json::to_string(&descriptor).unwrap(),
            format!(r#"{{"mediaType":"{OCI_LAYER_GZIP}","digest":"sha256:{hex}","size":0}}"#)
        );
        descriptor.annotations.insert("b".into(), "2".into());
        descriptor.annotations.insert("a".into(), "1".into());
        assert!(
            serde_json::to_string(&descriptor).unwrap().ends_with(r#","annotations":{"a":"1","b":"2"}}"#)
        );
    }

    #[test]
    fn foreign_keys_survive() {
        let text = format!(
            r#"{{"mediaType":"m","digest":"{}","size":3,"platform":{{"os":"linux", "x":1e2}}}}"#,
            Digest::of(b"abc")
        );
        let descriptor: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), text);
    }

    #[test]
    fn what_lacks_a_key_or_has_a_bad_one_is_refused_by_name() {
        let digest = Digest::of(b"");
        for (text, named) in [
            (format!(r#"{{"digest":"{digest}","size":0}}"#), "mediaType"),
            (r#"{"mediaType":"m","size":0}"#.to_string(), "digest"),
            (format!(r#"{{"mediaType":"m","digest":"{digest}"}}"#), "size"),
            (format!(r#"{{"mediaType":"m","digest":"{digest}","size":-1}}"#), "-1"),
            (r#"{"mediaType":"m","digest":"md5:00","size":0}"#.to_string(), "md5"),
        ] {
            let error = serde_json::from_str::<Descriptor>(&text).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
