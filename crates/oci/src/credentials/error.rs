//! [`CredentialError`]: why credentials cannot be had or kept.

use std::path::{Path, PathBuf};

/// Why credentials cannot be had or kept. Never holds any part of them.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A credential file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A helper that cannot be run, fails, or takes too long.
    #[error("credential helper {helper}: {problem}")]
    Helper {
        /// Its program.
        helper: String,
        /// What went wrong, in its own words where it has some; never the credentials it gave or was given.
        problem: String,
    },
    /// A user's name that cannot be kept, or shown to a registry.
    #[error("user {username:?}: {problem}")]
    Username {
        /// The name.
        username: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl CredentialError {
    pub(super) fn file(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_path_buf(), problem: problem.to_string() }
    }
}
