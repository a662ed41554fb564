//! [`AuthFile`]: what a credential file says, Docker's `config.json` or podman's `auth.json`, which are one format.
//!
//! `auths` has credentials, or an empty entry for those that a helper keeps; `credHelpers` has the helpers of single
//! hosts, and `credsStore` that of all others. Everything else in the file is other people's.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{CredentialError, Identity, key};
use crate::Secret;

/// The user that helpers name when the secret is a refresh token.
const REFRESH_TOKEN_USER: &str = "<token>";

/// Hand-made entries lack the padding at times.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a credential file says.
pub(super) struct AuthFile {
    path: PathBuf,
    document: Document,
}

#[derive(Deserialize, Default)]
struct Document {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Entry {
    /// `USER:PASSWORD` in base64.
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

/// Who has the credentials for something, by a file.
pub(super) enum Found {
    /// The file itself.
    Identity(Identity),
    /// The helper of this name, perhaps.
    Helper(String),
}

impl AuthFile {
    /// Reads a file. One that does not exist says nothing.
    pub(super) fn read(path: &Path) -> Result<Self, CredentialError> {
        let document = match read_text(path)? {
            Some(text) => serde_json::from_str(&text).map_err(|error| malformed(path, &error))?,
            None => Document::default(),
        };
        Ok(Self { path: path.to_path_buf(), document })
    }

    /// Who has the credentials for `repository` of `host`, in the order in which to ask: what is for just this
    /// repository or those beside it goes before what is for the whole host.
    pub(super) fn candidates(&self, host: &str, repository: &str) -> Result<Vec<Found>, CredentialError> {
        let mut found = Vec::new();
        for wanted in key::path_scoped(host, repository) {
            found.extend(self.identity(&wanted)?.map(Found::Identity));
        }
        let helper_of_host = self.helper_of_host(host);
        let is_in_store = helper_of_host.is_none();
        found.extend(helper_of_host.map(Found::Helper));
        found.extend(self.identity(host)?.map(Found::Identity));
        // A host that has a helper of its own is none of the store's, as Docker has it.
        found.extend(self.helper(host).filter(|_| is_in_store).map(Found::Helper));
        Ok(found)
    }

    /// The helper that keeps the credentials for `host`, if one does.
    pub(super) fn helper(&self, host: &str) -> Option<String> {
        self.helper_of_host(host).or_else(|| self.document.store.clone()).filter(|name| !name.is_empty())
    }

    fn helper_of_host(&self, host: &str) -> Option<String> {
        let mut helpers = self.document.helpers.iter().flatten();
        let (_, name) = helpers.find(|(key, name)| !name.is_empty() && key::same_host(key, host))?;
        Some(name.clone())
    }

    /// The credentials under a key, in whatever spelling; the very spelling goes first.
    fn identity(&self, wanted: &str) -> Result<Option<Identity>, CredentialError> {
        let entries = || {
            let entries = self.document.auths.iter().flatten();
            entries.filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
        };
        let exact = entries().filter(|(key, _)| *key == wanted);
        let others = entries().filter(|(key, _)| *key != wanted && key::same_host(key, wanted));
        for (key, entry) in exact.chain(others) {
            let bad = |problem| CredentialError::file(&self.path, format!("auths, {key}: {problem}"));
            if let Some(identity) = entry.identity().map_err(bad)? {
                return Ok(Some(identity));
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// The credentials, unless there are none: a helper has them then.
    fn identity(&self) -> Result<Option<Identity>, &'static str> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.expose().is_empty());
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Identity::RegistryToken(token)));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Identity::RefreshToken(token)));
        }
        if let Some(auth) = given(&self.auth) {
            return decoded(&auth).map(|(username, password)| Some(identity(username, password)));
        }
        let username = self.username.clone().filter(|username| !username.is_empty());
        Ok(username.zip(given(&self.password)).map(|(username, password)| identity(username, password)))
    }
}

/// Who a user and a secret are.
pub(super) fn identity(username: String, secret: Secret) -> Identity {
    if username == REFRESH_TOKEN_USER {
        Identity::RefreshToken(secret)
    } else {
        Identity::Password { username, password: secret }
    }
}

/// The value of `auth` for a user and a password.
pub(super) fn encoded(username: &str, password: &Secret) -> Secret {
    Secret::new(BASE64.encode(Zeroizing::new(format!("{username}:{}", password.expose())).as_bytes()))
}

fn decoded(auth: &Secret) -> Result<(String, Secret), &'static str> {
    let bytes = BASE64.decode(auth.expose().trim()).map(Zeroizing::new).map_err(|_| "auth is not base64")?;
    let pair = std::str::from_utf8(&bytes).map_err(|_| "auth is not the base64 of a text")?;
    let (username, password) = pair.split_once(':').ok_or("auth is not the base64 of USER:PASSWORD")?;
    // Old versions of Docker padded it.
    Ok((username.to_string(), Secret::new(password.trim_end_matches('\0'))))
}

/// The text of a file; `None` if it does not exist or is empty.
pub(super) fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, CredentialError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text)).filter(|text| !text.trim().is_empty())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(CredentialError::io(path, "read")(error)),
    }
}

/// What is wrong with a file's JSON. What the parser says of values that it did not expect quotes them.
pub(super) fn malformed(path: &Path, error: &serde_json::Error) -> CredentialError {
    if error.is_data() {
        let (line, column) = (error.line(), error.column());
        let problem = format!("line {line}, column {column}: not what Docker and podman keep there");
        return CredentialError::file(path, problem);
    }
    CredentialError::file(path, format!("not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(json: &str) -> Result<AuthFile, CredentialError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        AuthFile::read(&path)
    }

    /// Each candidate as a text.
    fn candidates(json: &str, host: &str, repository: &str) -> Vec<String> {
        let found = file(json).unwrap().candidates(host, repository).unwrap();
        let text = |found| match found {
            Found::Helper(name) => format!("helper {name}"),
            Found::Identity(Identity::Password { username, password }) => {
                format!("{username}/{}", password.expose())
            }
            Found::Identity(Identity::RefreshToken(token)) => format!("refresh {}", token.expose()),
            Found::Identity(Identity::RegistryToken(token)) => format!("registry {}", token.expose()),
        };
        found.into_iter().map(text).collect()
    }

    fn entry(username: &str) -> String {
        format!(r#"{{"auth":"{}","email":"x@y"}}"#, encoded(username, &Secret::new("p:w")).expose())
    }

    #[test]
    fn the_longest_path_goes_first_then_the_hosts_helper_then_the_host_then_the_store_of_all() {
        let json = format!(
            r#"{{"auths":{{"quay.io":{},"quay.io/org":{},"quay.io/org/cache":{},"quay.io/o":{},"other":{}}},
               "credHelpers":{{"QUAY.io":"for-quay","other":"x"}},"credsStore":"for-all","HttpHeaders":{{}}}}"#,
            entry("host"),
            entry("namespace"),
            entry("repository"),
            entry("part-of-a-word"),
            entry("other"),
        );
        assert_eq!(
            candidates(&json, "quay.io", "org/cache"),
            ["repository/p:w", "namespace/p:w", "helper for-quay", "host/p:w"]
        );
        assert_eq!(candidates(&json, "ghcr.io", "org/cache"), ["helper for-all"]);
        let json = format!(r#"{{"auths":{{"quay.io":{}}},"credsStore":"for-all"}}"#, entry("host"));
        assert_eq!(candidates(&json, "quay.io", "org/cache"), ["host/p:w", "helper for-all"]);
    }

    #[test]
    fn docker_hub_has_a_key_of_its_own() {
        let json = format!(r#"{{"auths":{{"https://index.docker.io/v1/":{}}}}}"#, entry("hub"));
        for host in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(candidates(&json, host, "library/a"), ["hub/p:w"]);
        }
    }

    #[test]
    fn every_kind_of_entry_is_understood() {
        for (entry, expected) in [
            (r#"{"auth":"dXNlcjpwYXNz"}"#, Some("user/pass")),
            (r#"{"auth":"dXNlcjpw"}"#, Some("user/p")),
            (r#"{"auth":"dTpw"}"#, Some("u/p")),
            (r#"{"auth":"dTpwdw"}"#, Some("u/pw")),
            (r#"{"auth":"dTpwAAA="}"#, Some("u/p")),
            (r#"{"username":"u","password":"p"}"#, Some("u/p")),
            (r#"{"auth":"","identitytoken":"i"}"#, Some("refresh i")),
            (r#"{"auth":"dXNlcjpwYXNz","identitytoken":"i"}"#, Some("refresh i")),
            (r#"{"auth":"PHRva2VuPjpp"}"#, Some("refresh i")),
            (r#"{"registrytoken":"r"}"#, Some("registry r")),
            ("{}", None),
            (r#"{"auth":""}"#, None),
            (r#"{"email":"x@y"}"#, None),
            ("null", None),
        ] {
            let found = candidates(&format!(r#"{{"auths":{{"h":{entry}}}}}"#), "h", "a");
            assert_eq!(found.first().map(String::as_str), expected, "{entry}");
        }
        let json = format!(r#"{{"auths":{{"h":{{}},"https://h/v1/":{}}}}}"#, entry("legacy"));
        assert_eq!(candidates(&json, "h", "a"), ["legacy/p:w"], "the first that has some");
    }

    #[test]
    fn files_that_say_nothing() {
        for json in ["", " \n", "{}", r#"{"auths":null,"credsStore":"","credHelpers":{"h":""}}"#] {
            assert!(candidates(json, "h", "a").is_empty(), "{json}");
        }
        assert!(AuthFile::read(Path::new("/nonexistent/config.json")).is_ok());
    }

    #[test]
    fn a_malformed_file_is_named_and_not_quoted() {
        for (json, problem) in [
            (r#"{"auths":{"h":{"auth":"hunter2"#, "not JSON"),
            (r#"{"auths":{"h":"hunter2"}}"#, "line 1, column"),
            (r#"{"auths":{"h":{"auth":["hunter2"]}}}"#, "line 1, column"),
            (r#"["hunter2"]"#, "line 1, column"),
        ] {
            let error = file(json).err().unwrap().to_string();
            assert!(error.contains("/config.json: ") && error.contains(problem), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for auth in ["hunter2!", "aHVudGVyMg==", "/w=="] {
            let json = format!(r#"{{"auths":{{"h":{{"auth":"{auth}"}}}}}}"#);
            let error = file(&json).unwrap().candidates("h", "a").err().unwrap().to_string();
            assert!(error.contains("/config.json: auths, h: auth is not"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
            assert!(file(&json).unwrap().candidates("other", "a").is_ok(), "nobody else is troubled");
        }
    }
}
