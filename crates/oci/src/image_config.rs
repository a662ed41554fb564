//! [`ImageConfig`]: what an image runs as, with whatever else its writer put beside that.
//!
//! Spack keeps a package's spec in such extra top-level keys. They are passed on byte for byte, because hashes are
//! taken of the text.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{Digest, ManifestError, RawObject};

const WHAT: &str = "image config";

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

/// The `config` of an image config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// The environment, as `NAME=value`.
    pub env: Vec<String>,
    /// All other keys (`Cmd`, `Entrypoint`, `WorkingDir`, …) as they were written.
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
        let malformed = |cause| ManifestError::Malformed { what: WHAT, cause };
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
        serde_json::to_vec(self).map_err(|cause| ManifestError::Malformed { what: WHAT, cause })
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

impl Serialize for RuntimeConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("Env", &self.env)?;
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
