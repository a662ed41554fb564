//! The credential files of Docker and podman: which are read, and which one is written.

use std::path::{Path, PathBuf};
use strata_oci::CredentialStore;

/// Where Docker and podman keep credentials; none of the files need exist.
#[derive(Debug)]
pub(crate) struct CredentialFiles {
    /// `$REGISTRY_AUTH_FILE`.
    pub(super) registry_auth_file: Option<PathBuf>,
    /// podman's, gone after a restart.
    pub(super) podman_runtime: PathBuf,
    /// podman's, to stay.
    pub(super) podman_config: PathBuf,
    /// Docker's `config.json`.
    pub(super) docker: PathBuf,
}

impl CredentialFiles {
    /// All of them, in the order in which they are asked.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let files =
            self.registry_auth_file.iter().chain([&self.podman_runtime, &self.podman_config, &self.docker]);
        files.cloned().collect()
    }

    /// The one that `strata login` writes.
    pub(crate) fn written(&self) -> &Path {
        self.registry_auth_file.as_deref().unwrap_or(&self.docker)
    }

    /// What is in them.
    pub(crate) fn store(&self) -> CredentialStore {
        CredentialStore::new(self.all())
    }
}
