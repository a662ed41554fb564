//! What of an index's JSON a catalog is made of, borrowed from it; lists of parameters and the like stay text.

use crate::dag::DependencyTypes;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

#[derive(Deserialize)]
pub(super) struct WireFile<'t> {
    #[serde(borrow)]
    pub(super) database: WireDatabase<'t>,
}

#[derive(Deserialize)]
pub(super) struct WireDatabase<'t> {
    pub(super) version: Value,
    #[serde(borrow)]
    pub(super) installs: WireRecords<'t>,
}

pub(super) struct WireRecords<'t>(pub(super) Vec<(Cow<'t, str>, WireRecord<'t>)>);

/// The parts of a record that matter to a catalog, or something that is no record at all.
pub(super) enum WireRecord<'t> {
    Object { spec: Option<&'t RawValue>, in_buildcache: Option<&'t RawValue> },
    Other,
}

/// A string, borrowed unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'t>(#[serde(borrow)] pub(super) Cow<'t, str>);

#[derive(Deserialize)]
pub(super) struct WireNode<'t> {
    #[serde(borrow)]
    pub(super) name: Text<'t>,
    pub(super) version: Text<'t>,
    pub(super) arch: &'t RawValue,
    #[serde(default)]
    pub(super) namespace: Option<Text<'t>>,
    #[serde(default)]
    pub(super) parameters: Option<&'t RawValue>,
    #[serde(default)]
    pub(super) external: Option<WireExternal<'t>>,
    #[serde(default)]
    pub(super) dependencies: Option<Vec<WireEdge<'t>>>,
    #[serde(default)]
    pub(super) build_spec: Option<WireBuildSpec<'t>>,
    #[serde(default)]
    pub(super) compiler: Option<WireCompiler<'t>>,
    #[serde(default)]
    pub(super) annotations: Option<&'t RawValue>,
}

#[derive(Deserialize)]
pub(super) struct WireBuildSpec<'t> {
    #[serde(default, borrow)]
    pub(super) hash: Option<Text<'t>>,
}

#[derive(Deserialize)]
pub(super) struct WireCompiler<'t> {
    #[serde(borrow)]
    pub(super) name: Text<'t>,
    pub(super) version: Text<'t>,
}

#[derive(Deserialize)]
pub(super) struct WireExternal<'t> {
    #[serde(default, borrow)]
    pub(super) path: Option<Text<'t>>,
    #[serde(default)]
    pub(super) module: Option<&'t RawValue>,
}

impl WireExternal<'_> {
    /// Whether there is a prefix or a module: else it is none, whatever else it says.
    pub(super) fn is_somewhere(&self) -> bool {
        let modules = |json: &RawValue| {
            let several = serde_json::from_str::<Vec<String>>(json.get());
            json.get().starts_with('"') || several.is_ok_and(|names| !names.is_empty())
        };
        self.path.as_ref().is_some_and(|path| !path.0.is_empty()) || self.module.is_some_and(modules)
    }
}

#[derive(Deserialize)]
pub(super) struct WireAnnotations<'t> {
    pub(super) original_specfile_version: u32,
    #[serde(default, borrow)]
    pub(super) compiler: Option<Text<'t>>,
}

/// An edge; before version 4 of the format its types were not among parameters.
#[derive(Deserialize)]
pub(super) struct WireEdge<'t> {
    #[serde(borrow)]
    pub(super) name: Text<'t>,
    pub(super) hash: Text<'t>,
    #[serde(default)]
    pub(super) parameters: Option<&'t RawValue>,
    #[serde(default, rename = "type")]
    pub(super) types: Option<&'t RawValue>,
}

#[derive(Deserialize)]
pub(super) struct WireEdgeParameters {
    #[serde(default)]
    pub(super) deptypes: DependencyTypes,
    #[serde(default)]
    pub(super) virtuals: Vec<String>,
}

impl<'de: 't, 't> Deserialize<'de> for WireRecords<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Records;
        impl<'de> Visitor<'de> for Records {
            type Value = WireRecords<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("records by hash")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut records = Vec::new();
                while let Some((key, record)) = map.next_entry::<Text<'de>, WireRecord<'de>>()? {
                    records.push((key.0, record));
                }
                Ok(WireRecords(records))
            }
        }
        deserializer.deserialize_map(Records)
    }
}

impl<'de: 't, 't> Deserialize<'de> for WireRecord<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RecordVisitor)
    }
}

/// Takes any JSON: what is no object is a record that is left out, not the end of the index.
struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = WireRecord<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut spec, mut in_buildcache) = (None, None);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "spec" => spec = Some(map.next_value()?),
                "in_buildcache" => in_buildcache = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(WireRecord::Object { spec, in_buildcache })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(WireRecord::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(WireRecord::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(WireRecord::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(WireRecord::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(WireRecord::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(WireRecord::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(WireRecord::Other)
    }
}
