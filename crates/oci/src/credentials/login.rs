//! Keeping credentials, and forgetting them: what `login` and `logout` do to a credential file, or to the helper that
//! it names.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::auth_file::{self, AuthFile};
use super::helper::Helper;
use super::{CredentialError, CredentialStore, edit, key};
use crate::Secret;

/// The parts of an entry that hold credentials. What else there is stays.
const SECRETS: [&str; 5] = ["auth", "username", "password", "identitytoken", "registrytoken"];

impl CredentialStore {
    /// Keeps a user and a password for all of `host`: with the helper that `file` names for it, else in `file`, which
    /// is made if there is none (0600, in a directory that is 0700). Gives where they are now, for a message:
    /// "docker-credential-pass", "/root/.docker/config.json".
    ///
    /// # Errors
    /// [`CredentialError`] for a file that cannot be read or written or is malformed, and for a helper that fails.
    pub fn store(
        &self,
        file: &Path,
        host: &str,
        username: &str,
        password: &Secret,
    ) -> Result<String, CredentialError> {
        if username.contains(':') {
            let problem = "a user's name cannot have a colon: that is where the password begins";
            return Err(CredentialError::Username { username: username.to_string(), problem });
        }
        let kept_by = match AuthFile::read(file)?.helper(host) {
            Some(name) => {
                let helper = Helper::new(&name, file, &self.helpers)?;
                helper.store(&key::preferred(host), username, password)?;
                Some(helper.program().to_string())
            }
            None => None,
        };
        edit::edit(file, |document| {
            let auths = section(document, file)?;
            let spelling = spellings(auths, host).into_iter().next().unwrap_or_else(|| key::preferred(host));
            let entry = auths.entry(spelling).or_insert_with(|| json!({}));
            if !entry.is_object() {
                *entry = json!({});
            }
            if let Some(entry) = entry.as_object_mut() {
                entry.retain(|name, _| !SECRETS.contains(&name.as_str()));
                // An empty entry is how Docker says that a helper has the credentials.
                if kept_by.is_none() {
                    let auth = auth_file::encoded(username, password);
                    entry.insert("auth".to_string(), auth.expose().into());
                }
            }
            Ok(())
        })?;
        Ok(kept_by.unwrap_or_else(|| file.display().to_string()))
    }

    /// Forgets the credentials for all of `host`, in every spelling, in `file` and with the helper that it names for
    /// it; false if there were none. Those for single repositories stay.
    ///
    /// # Errors
    /// As for [`store`](Self::store).
    pub fn erase(&self, file: &Path, host: &str) -> Result<bool, CredentialError> {
        let auth_file = AuthFile::read(file)?;
        let mut erased = false;
        if let Some(name) = auth_file.helper(host) {
            let helper = Helper::new(&name, file, &self.helpers)?;
            for server in key::for_helper(host) {
                erased |= helper.erase(&server)?;
            }
        }
        let was_in_file = edit::edit(file, |document| {
            if !document.contains_key("auths") {
                return Ok(false);
            }
            let auths = section(document, file)?;
            let spellings = spellings(auths, host);
            spellings.iter().for_each(|spelling| drop(auths.shift_remove(spelling)));
            Ok(!spellings.is_empty())
        })?;
        Ok(erased || was_in_file)
    }
}

/// The object `auths`.
fn section<'a>(
    document: &'a mut Map<String, Value>,
    file: &Path,
) -> Result<&'a mut Map<String, Value>, CredentialError> {
    let auths = document.entry("auths").or_insert(Value::Null);
    if auths.is_null() {
        *auths = json!({});
    }
    auths.as_object_mut().ok_or_else(|| CredentialError::file(file, "its auths is not an object"))
}

/// The keys that mean all of `host`, the very spelling first.
fn spellings(auths: &Map<String, Value>, host: &str) -> Vec<String> {
    let mut keys: Vec<String> = auths.keys().filter(|key| key::same_host(key, host)).cloned().collect();
    keys.sort_by_key(|key| key != host);
    keys
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::helper::tests::helper_directory;
    use super::*;
    use crate::Identity;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn password() -> Secret {
        Secret::new("pass:word")
    }

    #[test]
    fn what_is_stored_is_found_and_what_is_erased_is_not() {
        let (_directory, path) = file("{\n\t\"psFormat\": \"x\"\n}");
        let store = CredentialStore::new(vec![path.clone()]);
        for host in ["quay.io", "localhost:5000", "docker.io"] {
            assert_eq!(store.store(&path, host, "user", &password()).unwrap(), path.display().to_string());
            let found = store.lookup(host, "a/b").unwrap().unwrap();
            assert_eq!(found.origin, path.display().to_string());
            assert_eq!(found.identity, Identity::Password { username: "user".into(), password: password() });
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"dXNlcjpwYXNzOndvcmQ=\""),
            "{text}"
        );
        for host in ["quay.io", "localhost:5000", "index.docker.io"] {
            assert!(store.erase(&path, host).unwrap());
            assert!(!store.erase(&path, host).unwrap());
            assert!(store.lookup(host, "a/b").unwrap().is_none());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n\t\"psFormat\": \"x\",\n\t\"auths\": {}\n}");
    }

    #[test]
    fn an_entry_is_replaced_where_it_is_and_keeps_what_is_not_a_credential() {
        let (_directory, path) = file(
            r#"{"auths":{"https://quay.io/v1/":{"email":"x@y","identitytoken":"old"},"quay.io/org":{"auth":"dTpw"}}}"#,
        );
        let store = CredentialStore::new(vec![path.clone()]);
        store.store(&path, "quay.io", "user", &password()).unwrap();
        let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            value,
            json!({"auths": {
                "https://quay.io/v1/": {"email": "x@y", "auth": "dXNlcjpwYXNzOndvcmQ="},
                "quay.io/org": {"auth": "dTpw"},
            }})
        );
        assert!(store.erase(&path, "quay.io").unwrap());
        let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(value, json!({"auths": {"quay.io/org": {"auth": "dTpw"}}}));
    }

    #[test]
    fn a_helper_keeps_them_where_the_file_names_one() {
        let helpers = helper_directory(
            r#"cd "$(dirname "$0")"
            case $1 in
                store) cat >kept ;;
                get) cat kept 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
                erase) test -e kept && rm kept ;;
            esac"#,
        );
        for config in
            [r#"{"credsStore":"test"}"#, r#"{"credHelpers":{"quay.io":"test"},"credsStore":"other"}"#]
        {
            let (_directory, path) = file(config);
            let store = CredentialStore::new(vec![path.clone()]).with_helper_path(helpers.path());
            assert!(store.lookup("quay.io", "a").unwrap().is_none());
            assert_eq!(store.store(&path, "quay.io", "user", &password()).unwrap(), "docker-credential-test");
            assert!(fs::read_to_string(&path).unwrap().contains("\"quay.io\": {}"));
            let found = store.lookup("quay.io", "a").unwrap().unwrap();
            assert_eq!(found.origin, "docker-credential-test");
            assert_eq!(found.identity, Identity::Password { username: "user".into(), password: password() });
            assert!(store.erase(&path, "quay.io").unwrap());
            assert!(!helpers.path().join("kept").exists());
            assert!(!fs::read_to_string(&path).unwrap().contains("quay.io\": {}"));
        }
    }

    #[test]
    fn a_failure_changes_nothing_and_says_no_secret() {
        let (_directory, path) = file(r#"{"credsStore":"missing"}"#);
        let helpers = tempfile::tempdir().unwrap();
        let store = CredentialStore::new(vec![path.clone()]).with_helper_path(helpers.path());
        let error = store.store(&path, "quay.io", "user", &password()).unwrap_err();
        assert!(error.to_string().contains("docker-credential-missing: no such program"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"credsStore":"missing"}"#);
        let error = store.store(&path, "quay.io", "us:er", &password()).unwrap_err();
        assert!(error.to_string().contains("colon") && !format!("{error:?}").contains("word\""), "{error}");
    }
}
