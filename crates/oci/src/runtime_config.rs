//! [`RuntimeConfig`]: how a container of an image is started.
//!
//! Only the environment is read along with the rest of the config. The other keys stay as they were written until they
//! are set, so that what nobody changes keeps its bytes and its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::image_config::{malformed, set};
use crate::{ManifestError, RawObject};

const ENTRYPOINT: &str = "Entrypoint";
const CMD: &str = "Cmd";
const WORKING_DIR: &str = "WorkingDir";
const USER: &str = "User";
const LABELS: &str = "Labels";

/// The `config` of an image config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// The environment, as `NAME=value`.
    pub env: Vec<String>,
    /// All other keys (`Cmd`, `Entrypoint`, `WorkingDir`, …) as they were written.
    pub extra: RawObject,
}

/// A command line: in images of old, one text is a list of that text alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    List(Vec<String>),
    Text(String),
}

impl RuntimeConfig {
    /// `Entrypoint`: the program that is always run, and its first arguments.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] if it is no list of texts; so with the others.
    pub fn entrypoint(&self) -> Result<Option<Vec<String>>, ManifestError> {
        self.words(ENTRYPOINT)
    }

    /// Sets `Entrypoint`, or removes it. `Cmd`, which makes its other arguments, is left alone.
    ///
    /// # Errors
    /// None in practice: texts have a JSON form; so with the others.
    pub fn set_entrypoint(&mut self, words: Option<&[String]>) -> Result<(), ManifestError> {
        set(&mut self.extra, ENTRYPOINT, words)
    }

    /// `Cmd`: what is run if nobody says otherwise, or the arguments of the entry point.
    ///
    /// # Errors
    /// As for [`entrypoint`](Self::entrypoint).
    pub fn cmd(&self) -> Result<Option<Vec<String>>, ManifestError> {
        self.words(CMD)
    }

    /// Sets `Cmd`, or removes it.
    ///
    /// # Errors
    /// As for [`set_entrypoint`](Self::set_entrypoint).
    pub fn set_cmd(&mut self, words: Option<&[String]>) -> Result<(), ManifestError> {
        set(&mut self.extra, CMD, words)
    }

    /// `WorkingDir`.
    ///
    /// # Errors
    /// As for [`entrypoint`](Self::entrypoint).
    pub fn working_dir(&self) -> Result<Option<String>, ManifestError> {
        self.value(WORKING_DIR)
    }

    /// Sets `WorkingDir`, or removes it.
    ///
    /// # Errors
    /// As for [`set_entrypoint`](Self::set_entrypoint).
    pub fn set_working_dir(&mut self, directory: Option<&str>) -> Result<(), ManifestError> {
        set(&mut self.extra, WORKING_DIR, directory)
    }

    /// `User`.
    ///
    /// # Errors
    /// As for [`entrypoint`](Self::entrypoint).
    pub fn user(&self) -> Result<Option<String>, ManifestError> {
        self.value(USER)
    }

    /// Sets `User`, or removes it.
    ///
    /// # Errors
    /// As for [`set_entrypoint`](Self::set_entrypoint).
    pub fn set_user(&mut self, user: Option<&str>) -> Result<(), ManifestError> {
        set(&mut self.extra, USER, user)
    }

    /// `Labels`; none is empty.
    ///
    /// # Errors
    /// As for [`entrypoint`](Self::entrypoint).
    pub fn labels(&self) -> Result<BTreeMap<String, String>, ManifestError> {
        Ok(self.value(LABELS)?.unwrap_or_default())
    }

    /// Sets `Labels`, sorted, or removes them if there are none.
    ///
    /// # Errors
    /// As for [`set_entrypoint`](Self::set_entrypoint).
    pub fn set_labels(&mut self, labels: &BTreeMap<String, String>) -> Result<(), ManifestError> {
        set(&mut self.extra, LABELS, (!labels.is_empty()).then_some(labels))
    }

    fn words(&self, key: &str) -> Result<Option<Vec<String>>, ManifestError> {
        Ok(self.value(key)?.map(|words| match words {
            Words::List(words) => words,
            Words::Text(word) => vec![word],
        }))
    }

    fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ManifestError> {
        self.extra.parse(key).map_err(malformed)
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
    use super::*;
    use crate::ImageConfig;

    fn config(runtime: &str) -> ImageConfig {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"config":{runtime}}}"#
        );
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    fn written(config: &ImageConfig) -> String {
        let text = String::from_utf8(config.to_bytes().unwrap()).unwrap();
        text.split_once(r#""config":"#).unwrap().1.strip_suffix('}').unwrap().to_owned()
    }

    #[test]
    fn what_is_not_set_keeps_bytes_and_place() {
        let text =
            r#"{"Env":["A=b"],"Zeta":[ 1.0],"Cmd":["a" , "b"],"Labels":{"z":"1","a":"2"},"User":"","X":{}}"#;
        let mut config = config(text);
        assert_eq!(written(&config), text);
        let runtime = &mut config.config;
        assert_eq!(runtime.cmd().unwrap().unwrap(), ["a", "b"]);
        assert_eq!(runtime.user().unwrap().unwrap(), "");
        assert_eq!(runtime.entrypoint().unwrap(), None);
        assert_eq!(runtime.working_dir().unwrap(), None);
        assert_eq!(runtime.labels().unwrap().into_keys().collect::<Vec<_>>(), ["a", "z"]);
        runtime.set_cmd(None).unwrap();
        runtime.set_user(Some("me")).unwrap();
        runtime.set_entrypoint(Some(&["/x".to_string()])).unwrap();
        runtime.set_working_dir(Some("/w")).unwrap();
        runtime.set_working_dir(Some("/w2")).unwrap();
        assert_eq!(
            written(&config),
            r#"{"Env":["A=b"],"Zeta":[ 1.0],"Labels":{"z":"1","a":"2"},"User":"me","X":{},"Entrypoint":["/x"],"WorkingDir":"/w2"}"#
        );
        config.config.set_labels(&BTreeMap::new()).unwrap();
        config.config.set_entrypoint(None).unwrap();
        assert_eq!(
            written(&config),
            r#"{"Env":["A=b"],"Zeta":[ 1.0],"User":"me","X":{},"WorkingDir":"/w2"}"#
        );
    }

    #[test]
    fn what_bases_have_been_seen_to_hold() {
        let none =
            config(r#"{"Cmd":null,"Entrypoint":null,"Labels":null,"User":null,"WorkingDir":null}"#).config;
        assert_eq!((none.cmd().unwrap(), none.entrypoint().unwrap()), (None, None));
        assert_eq!((none.user().unwrap(), none.working_dir().unwrap()), (None, None));
        assert!(none.labels().unwrap().is_empty());
        assert_eq!(
            config(r#"{"Entrypoint":"/bin/sh -c"}"#).config.entrypoint().unwrap().unwrap(),
            ["/bin/sh -c"]
        );
        let wrong = config(r#"{"Cmd":{},"Labels":[],"User":7}"#).config;
        assert!(wrong.cmd().is_err() && wrong.labels().is_err() && wrong.user().is_err());
    }
}
