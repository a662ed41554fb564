//! [`Document`]: what the registry itself reads of a manifest or an index.
//!
//! Whether the rest is well formed is for the layout to judge.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use strata_oci::media_type;

use crate::failure::{Code, Failure};

/// The keys of a manifest or an index that are about other manifests (image specification 1.1, "Image Manifest" and
/// "Image Index").
#[derive(Debug, Default)]
pub(crate) struct Document {
    media_type: Option<String>,
    is_index: bool,
    /// The digest of the manifest that this one is about, in whatever algorithm.
    pub(crate) subject: Option<String>,
    /// What kind of artifact it is: stated, or else the type of its config.
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    media_type: Option<String>,
    artifact_type: Option<String>,
    subject: Option<Subject>,
    config: Option<Config>,
    manifests: Option<IgnoredAny>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Subject {
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: Option<String>,
}

impl Document {
    /// # Errors
    /// `MANIFEST_INVALID` if it is not JSON, or one of the keys is malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let keys: Keys = serde_json::from_slice(bytes)
            .map_err(|error| Failure::new(Code::ManifestInvalid, format!("not a manifest: {error}")))?;
        let stated = keys.artifact_type.filter(|stated| !stated.is_empty());
        Ok(Self {
            media_type: keys.media_type,
            is_index: keys.manifests.is_some(),
            subject: keys.subject.map(|subject| subject.digest),
            artifact_type: stated.or(keys.config.and_then(|config| config.media_type)),
            annotations: keys.annotations.unwrap_or_default(),
        })
    }

    /// Its media type as it says itself, or as its keys show.
    pub(crate) fn media_type(&self) -> &str {
        match &self.media_type {
            Some(stated) => stated,
            None if self.is_index => media_type::OCI_INDEX,
            None => media_type::OCI_MANIFEST,
        }
    }
}
