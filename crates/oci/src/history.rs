//! [`HistoryEntry`]: what one step of an image's making was, as its config tells it.

use serde::de::{Deserializer, Error as _};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::RawObject;

/// One step of an image's making. There is one for each layer, in the order of the layers, and others between them that
/// made none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, as RFC 3339 writes it.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// What else there is to say.
    pub comment: Option<String>,
    /// Whether it made no layer. Not written if it did.
    pub empty_layer: bool,
    /// Other keys (`author`, …), kept and written last.
    pub extra: RawObject,
}

impl Serialize for HistoryEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in
            [("created", &self.created), ("created_by", &self.created_by), ("comment", &self.comment)]
        {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        if self.empty_layer {
            map.serialize_entry("empty_layer", &true)?;
        }
        self.extra.serialize_members(&mut map)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for HistoryEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = RawObject::deserialize(deserializer)?;
        let mut text = |key| object.take::<String>(key).map_err(D::Error::custom);
        let (created, created_by, comment) = (text("created")?, text("created_by")?, text("comment")?);
        let empty_layer = object.take("empty_layer").map_err(D::Error::custom)?.unwrap_or_default();
        Ok(Self { created, created_by, comment, empty_layer, extra: object })
    }
}
