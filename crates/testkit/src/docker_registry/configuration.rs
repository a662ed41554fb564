//! The configuration file of a `docker-registry`, as its own documentation describes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Builder;
use crate::passwords::htpasswd;
use crate::token_server::{ISSUER, SERVICE};

/// What is in the file.
pub(super) struct Configuration<'a> {
    pub(super) directory: &'a Path,
    pub(super) port: u16,
    /// What it says in each of its answers.
    pub(super) name: &'a str,
    pub(super) builder: &'a Builder,
}

impl Configuration<'_> {
    /// Writes the file, and those that it names.
    pub(super) fn write(&self) -> io::Result<PathBuf> {
        let Self { directory, port, name, builder } = self;
        let storage = directory.join("storage");
        let mut text = format!(
            "version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {storage:?}}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
  secret: {name}
  headers: {{X-Strata-Test: [{name}]}}
"
        );
        if let Some((identity, _)) = &builder.tls {
            let (certificate, key) = (&identity.certificate, &identity.key);
            text.push_str(&format!("  tls: {{certificate: {certificate:?}, key: {key:?}}}\n"));
        }
        if !builder.users.is_empty() {
            let file = directory.join("htpasswd");
            fs::write(&file, htpasswd(&builder.users))?;
            text.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {file:?}}}}}\n"));
        }
        if let Some(tokens) = &builder.tokens {
            let (realm, bundle) = (&tokens.realm, &tokens.certificate_bundle);
            text.push_str(&format!(
                "auth: {{token: {{realm: {realm:?}, service: {SERVICE:?}, issuer: {ISSUER:?}, \
                 rootcertbundle: {bundle:?}}}}}\n"
            ));
        }
        let file = directory.join("config.yml");
        fs::write(&file, text)?;
        Ok(file)
    }
}
