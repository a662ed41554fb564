//! [`ImageConfig`]: what an image runs as, with whatever else its writer put beside that.
//!
//! Spack keeps a package's spec in such extra top-level keys. They are passed on byte for byte, because hashes are
//! taken of the text.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::runtime_config::RuntimeConfig;
use crate::{Digest, HistoryEntry, ManifestError, RawObject};

const WHAT: &str = "image config";
const CREATED: &str = "created";
const VARIANT: &str = "variant";
const HISTORY: &str = "history";

/// An image config. Written as compact JSON with the keys `architecture`, `os`, `rootfs`, `config`, then the extra
/// ones in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// The processor architecture as Go names it: `amd64`, `arm64`, …
    pub architecture: String,
    /// The operating system: `linux`.
    pub os: String,
    /// What the layers unpack to.
    pub root_fs: RootFs,
    /// How a container of the image is started.
    pub config: RuntimeConfig,
    /// All other top-level keys in order, values as they were written.
    pub extra: RawObject,
}

/// The `rootfs` of an image config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFs {
    /// The digests of the uncompressed layers, in the order of the manifest's layers.
    pub diff_ids: Vec<Digest>,
    /// Keys other than `type` (always `layers`) and `diff_ids`.
    pub extra: RawObject,
}

impl ImageConfig {
    /// A config without layers, environment or extra keys.
    pub fn new(architecture: impl Into<String>, os: impl Into<String>) -> Self {
        Self {
            architecture: architecture.into(),
            os: os.into(),
            root_fs: RootFs { diff_ids: Vec::new(), extra: RawObject::new() },
            config: RuntimeConfig::default(),
            extra: RawObject::new(),
        }
    }

    /// Reads a config. A missing or null `config` or `Env` is empty, as in images built from scratch.
    ///
    /// # Errors
    /// [`ManifestError`] if it is not JSON, or lacks `architecture`, `os` or `rootfs`, as the config of something
    /// that is no image does.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let missing = |key| ManifestError::Missing { what: WHAT, key };

        let mut object: RawObject = serde_json::from_slice(bytes).map_err(malformed)?;
        let architecture =
            object.take("architecture").map_err(malformed)?.ok_or_else(|| missing("architecture"))?;
        let os = object.take("os").map_err(malformed)?.ok_or_else(|| missing("os"))?;
        let mut root_fs: RawObject =
            object.take("rootfs").map_err(malformed)?.ok_or_else(|| missing("rootfs"))?;
        let mut config: RawObject = object.take("config").map_err(malformed)?.unwrap_or_default();
        root_fs.take::<String>("type").map_err(malformed)?;
        Ok(Self {
            architecture,
            os,
            root_fs: RootFs {
                diff_ids: root_fs.take("diff_ids").map_err(malformed)?.unwrap_or_default(),
                extra: root_fs,
            },
            config: RuntimeConfig {
                env: config.take("Env").map_err(malformed)?.unwrap_or_default(),
                extra: config,
            },
            extra: object,
        })
    }

    /// The config as compact JSON: the bytes to put as a blob.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(malformed)
    }

    /// When it was made, as RFC 3339 writes it.
    pub fn created(&self) -> Option<String> {
        self.extra.parse(CREATED).ok().flatten()
    }

    /// Sets when it was made, or removes it.
    ///
    /// # Errors
    /// None in practice: texts have a JSON form; so with the others.
    pub fn set_created(&mut self, created: Option<&str>) -> Result<(), ManifestError> {
        set(&mut self.extra, CREATED, created)
    }

    /// The variant of the processor: `v8`, …
    pub fn variant(&self) -> Option<String> {
        self.extra.parse(VARIANT).ok().flatten()
    }

    /// Sets the variant of the processor, or removes it.
    ///
    /// # Errors
    /// As for [`set_created`](Self::set_created).
    pub fn set_variant(&mut self, variant: Option<&str>) -> Result<(), ManifestError> {
        set(&mut self.extra, VARIANT, variant)
    }

    /// The steps of its making; none if they are not told.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] if it is no list of steps.
    pub fn history(&self) -> Result<Vec<HistoryEntry>, ManifestError> {
        Ok(self.extra.parse(HISTORY).map_err(malformed)?.unwrap_or_default())
    }

    /// Replaces the steps of its making.
    ///
    /// # Errors
    /// As for [`set_created`](Self::set_created).
    pub fn set_history(&mut self, history: &[HistoryEntry]) -> Result<(), ManifestError> {
        set(&mut self.extra, HISTORY, Some(history))
    }

    /// Adds steps to those that are told, which keep their bytes.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] if what is there is no list.
    pub fn append_history(&mut self, steps: &[HistoryEntry]) -> Result<(), ManifestError> {
        let mut history: Vec<Box<RawValue>> =
            self.extra.parse(HISTORY).map_err(malformed)?.unwrap_or_default();
        for step in steps {
            history.push(serde_json::value::to_raw_value(step).map_err(malformed)?);
        }
        set(&mut self.extra, HISTORY, Some(&history))
    }
}

/// For `map_err` on what is read from an image config, or written to one.
pub(crate) fn malformed(cause: serde_json::Error) -> ManifestError {
    ManifestError::Malformed { what: WHAT, cause }
}

/// Sets a key in its place or at the end, or removes it.
pub(crate) fn set<T: Serialize + ?Sized>(
    object: &mut RawObject,
    key: &str,
    value: Option<&T>,
) -> Result<(), ManifestError> {
    match value {
        Some(value) => object.set(key, value).map_err(malformed),
        None => {
            object.remove(key);
            Ok(())
        }
    }
}

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("architecture", &self.architecture)?;
        map.serialize_entry("os", &self.os)?;
        map.serialize_entry("rootfs", &self.root_fs)?;
        map.serialize_entry("config", &self.config)?;
        self.extra.serialize_members(&mut map)?;
        map.end()
    }
}

impl Serialize for RootFs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "layers")?;
        map.serialize_entry("diff_ids", &self.diff_ids)?;
        self.extra.serialize_members(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_come_in_spacks_order_with_the_extra_ones_as_given() {
        let mut config = ImageConfig::new("amd64", "linux");
        config.config.env.push("PATH=/bin".into());
        config.root_fs.diff_ids.push(Digest::of(b""));
        config.extra.set("zeta", &1).unwrap();
        config.extra.set_raw("spec", serde_json::from_str(r#"{ "x":1.0 }"#).unwrap());
        let text = String::from_utf8(config.to_bytes().unwrap()).unwrap();
        let diff_id = Digest::of(b"");
        assert_eq!(
            text,
            format!(
                r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},"#
            ) + r#""config":{"Env":["PATH=/bin"]},"zeta":1,"spec":{ "x":1.0 }}"#
        );
        assert_eq!(ImageConfig::parse(text.as_bytes()).unwrap(), config);
    }

    #[test]
    fn configs_from_scratch_may_lack_a_runtime_config() {
        for config in ["", r#","config":null"#, r#","config":{}"#, r#","config":{"Env":null,"Cmd":["/x"]}"#] {
            let text =
                format!(r#"{{"architecture":"arm64","os":"linux","rootfs":{{"type":"layers"}}{config}}}"#);
            assert!(ImageConfig::parse(text.as_bytes()).unwrap().config.env.is_empty(), "{text}");
        }
    }

    #[test]
    fn history_created_and_variant() {
        let old = r#"[{"created" :"2024-01-01T00:00:00Z","created_by":"x","empty_layer":true, "comment":"c","author":"a"}]"#;
        let text = |history: &str| {
            format!(
                r#"{{"architecture":"arm64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"config":{{"Env":[]}},{history}"variant":"v8","z":1}}"#
            )
        };
        let with = |history: &str| text(&format!(r#""history":{history},"created":"then","#));
        let parse = |text: &str| ImageConfig::parse(text.as_bytes()).unwrap();
        let write = |config: &ImageConfig| String::from_utf8(config.to_bytes().unwrap()).unwrap();
        let step = HistoryEntry { created_by: Some("strata".into()), ..HistoryEntry::default() };

        let mut config = parse(&with(old));
        assert_eq!(write(&config), with(old));
        assert_eq!((config.variant().as_deref(), config.created().as_deref()), (Some("v8"), Some("then")));
        let history = config.history().unwrap();
        assert_eq!(history.len(), 1);
        assert!(history[0].empty_layer);
        assert_eq!(history[0].comment.as_deref(), Some("c"));
        assert_eq!(history[0].extra.get("author").unwrap().get(), "\"a\"");
        config.append_history(std::slice::from_ref(&step)).unwrap();
        let appended = format!(r#"{},{{"created_by":"strata"}}]"#, old.strip_suffix(']').unwrap());
        assert_eq!(write(&config), with(&appended));

        for history in ["", r#""history":null,"#] {
            let mut config = parse(&text(history));
            assert_eq!(config.history().unwrap(), []);
            assert_eq!(config.created(), None);
            config.append_history(std::slice::from_ref(&step)).unwrap();
            config.set_created(Some("now")).unwrap();
            config.set_variant(None).unwrap();
            assert_eq!(config.history().unwrap(), std::slice::from_ref(&step));
            assert_eq!((config.variant(), config.created().as_deref()), (None, Some("now")));
        }
        let mut wrong = parse(&text(r#""history":7,"#));
        assert!(wrong.history().is_err() && wrong.append_history(&[]).is_err());
        wrong.set_history(&[]).unwrap();
        assert_eq!(wrong.history().unwrap(), []);
    }

    #[test]
    fn what_is_no_config_is_refused_by_the_key_it_lacks() {
        for (text, words) in [
            ("", "not a valid image config"),
            ("{}", "architecture"),
            (r#"{"architecture":"a"}"#, "os"),
            (r#"{"architecture":"a","os":"l"}"#, "rootfs"),
            (r#"{"architecture":"a","os":"l","rootfs":{"diff_ids":["x"]}}"#, "not a digest"),
        ] {
            let error = ImageConfig::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = ImageConfig::parse(&bytes);
        }
    }
}
