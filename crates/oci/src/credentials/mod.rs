//! Who to be for a registry: credentials, and the files and helpers of Docker and podman that keep them.
//!
//! Which files there are is for the caller to say. Nothing is read before a registry asks for credentials.

mod auth_file;
mod edit;
mod error;
mod helper;
mod key;
mod login;
mod subprocess;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::auth_file::{AuthFile, Found};
pub use self::error::CredentialError;
use self::helper::{Helper, HelperOptions};
use crate::Secret;

/// How long a helper may take if nothing else is said. It may ask a person to unlock a keychain.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials for a registry, and where they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What to show the registry.
    pub identity: Identity,
    /// Where they are from, for messages: "the access pair of mirror x", "/root/.docker/config.json",
    /// "docker-credential-pass".
    pub origin: String,
}

/// What is shown to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user and a password, or an access token in the place of one.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, which a token server exchanges for access tokens (`identitytoken` of Docker's files).
    RefreshToken(Secret),
    /// A token for the registry itself (`registrytoken` of Docker's files).
    RegistryToken(Secret),
}

impl Credentials {
    /// A user and a password.
    pub fn password(username: impl Into<String>, password: Secret, origin: impl Into<String>) -> Self {
        Self { identity: Identity::Password { username: username.into(), password }, origin: origin.into() }
    }
}

/// The credential files of Docker and podman, in the order in which they are asked.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    files: Vec<PathBuf>,
    helpers: HelperOptions,
}

impl CredentialStore {
    /// A store over these files, of which those that do not exist are empty. Nothing is read yet.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, helpers: HelperOptions { timeout: HELPER_TIMEOUT, path: None } }
    }

    /// A store without any credentials.
    pub fn empty() -> Self {
        Self::new(Vec::new())
    }

    /// The same, with another time after which a helper that does not answer is ended; 30 s without this.
    #[must_use]
    pub fn with_helper_timeout(mut self, timeout: Duration) -> Self {
        self.helpers.timeout = timeout;
        self
    }

    /// The same, with helpers found in these directories, a list like `PATH`; in the process's own without this.
    #[must_use]
    pub fn with_helper_path(mut self, path: impl Into<OsString>) -> Self {
        self.helpers.path = Some(path.into());
        self
    }

    /// The credentials for a repository of a registry, from the first file that has some: those for the longest part
    /// of `host/repository`, else those of the helper for the host, else those for the host, else those of the helper
    /// for all hosts.
    ///
    /// Blocks while files are read and helpers run.
    ///
    /// # Errors
    /// [`CredentialError`] for a file that cannot be read or is malformed, and for a helper that fails.
    pub fn lookup(&self, host: &str, repository: &str) -> Result<Option<Credentials>, CredentialError> {
        for file in &self.files {
            for found in AuthFile::read(file)?.candidates(host, repository)? {
                if let Some(credentials) = self.credentials(found, file, host)? {
                    return Ok(Some(credentials));
                }
            }
        }
        Ok(None)
    }

    fn credentials(
        &self,
        found: Found,
        file: &Path,
        host: &str,
    ) -> Result<Option<Credentials>, CredentialError> {
        let name = match found {
            Found::Identity(identity) => {
                return Ok(Some(Credentials { identity, origin: file.display().to_string() }));
            }
            Found::Helper(name) => name,
        };
        let helper = Helper::new(&name, file, &self.helpers)?;
        for server in key::for_helper(host) {
            if let Some(identity) = helper.get(&server)? {
                return Ok(Some(Credentials { identity, origin: helper.program().to_string() }));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::helper::tests::helper_directory;
    use super::*;

    fn username(found: Option<Credentials>) -> Option<String> {
        match found?.identity {
            Identity::Password { username, .. } => Some(username),
            _ => None,
        }
    }

    #[test]
    fn the_first_file_with_some_has_them() {
        let directory = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> =
            ["missing", "empty", "one", "two"].map(|name| directory.path().join(name)).into();
        std::fs::write(&files[1], "{}").unwrap();
        std::fs::write(&files[2], r#"{"auths":{"a":{"auth":"b25lOnA="}}}"#).unwrap();
        std::fs::write(&files[3], r#"{"auths":{"a/x":{"auth":"dHdvOnA="},"b":{"auth":"dHdvOnA="}}}"#)
            .unwrap();
        let store = CredentialStore::new(files.clone());
        assert_eq!(username(store.lookup("a", "x").unwrap()).unwrap(), "one");
        let found = store.lookup("b", "x").unwrap();
        assert_eq!(found.as_ref().unwrap().origin, files[3].display().to_string());
        assert_eq!(username(found).unwrap(), "two");
        assert_eq!(store.lookup("c", "x").unwrap(), None);
    }

    #[test]
    fn helpers_are_asked_only_when_it_is_their_turn() {
        let helpers = helper_directory(
            r#"read -r server
            echo "$server" >>"$(dirname "$0")/asked"
            case $server in
                docker.io) echo '{"Username":"hub","Secret":"s"}' ;;
                *) echo credentials not found in native keychain; exit 1 ;;
            esac"#,
        );
        let path = helpers.path().join("config.json");
        std::fs::write(&path, r#"{"auths":{"a":{"auth":"b25lOnA="}},"credsStore":"test"}"#).unwrap();
        let store = CredentialStore::new(vec![path]).with_helper_path(helpers.path());
        let asked = || std::fs::read_to_string(helpers.path().join("asked")).unwrap_or_default();
        assert_eq!(username(store.lookup("a", "x").unwrap()).unwrap(), "one");
        assert_eq!(asked(), "", "a helper may ask a person");
        assert_eq!(store.lookup("b", "x").unwrap(), None);
        assert_eq!(username(store.lookup("index.docker.io", "x").unwrap()).unwrap(), "hub");
        assert_eq!(asked(), "b\nhttps://index.docker.io/v1/\ndocker.io\n");
    }
}
