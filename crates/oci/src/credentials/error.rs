//! [`CredentialError`]: why credentials cannot be had or kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ErrorKind;

/// Why credentials cannot be had or kept. Never holds any part of them.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A credential file that holds something else.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A credential file that the system does not let us read or write.
    #[error("{}: cannot be {action}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was to be done: `read` or `written`.
        action: &'static str,
        /// What the system says.
        cause: Arc<io::Error>,
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
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { cause, .. } => ErrorKind::of_system(cause),
            _ => ErrorKind::Invalid,
        }
    }

    /// To be given the system's error on `path`.
    pub(super) fn io(path: &Path, action: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_path_buf(), action, cause: Arc::new(cause) }
    }

    pub(super) fn file(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_path_buf(), problem: problem.to_string() }
    }
}
