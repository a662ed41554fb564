//! A registry over OCI image layouts: the OCI distribution specification 1.1 as an axum router, and a server for it.
//!
//! The router knows repositories, manifests, blobs, uploads, tags and referrers, and nothing of what is in them. A
//! repository is an image layout that strata, skopeo and podman use directly as well; how layouts are read and
//! written is `strata-oci`'s.

mod blobs;
mod blocking;
mod document;
mod failure;
mod file_body;
mod htpasswd;
mod idle;
mod incoming;
mod json;
mod manifests;
mod name;
mod pagination;
mod query;
mod range;
mod referrers;
mod repositories;
mod route;
mod router;
mod server;
mod uploads;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::server::{ServerCertificate, serve};

/// What a [`Registry`] lets clients do.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Whether nothing may be put or deleted.
    pub read_only: bool,
    /// A file of users and bcrypt hashes as `htpasswd -B` writes it; without one, everybody may do everything.
    pub htpasswd: Option<PathBuf>,
}

/// A registry over a directory. Clones share everything.
#[derive(Clone)]
pub struct Registry {
    service: Arc<router::Service>,
}

impl Registry {
    /// The registry over `directory`: of the one repository that it is, if it is an image layout, else of all the
    /// layouts below it, each named by its path. The directory is made unless it is there, or nothing may be written.
    /// Uploads that nobody has gone on with for a week are removed.
    ///
    /// # Errors
    /// [`RegistryError`] for a directory that cannot be used, and for a password file that cannot be read.
    pub fn open(directory: &Path, options: RegistryOptions) -> Result<Self, RegistryError> {
        let problem = |error: io::Error| RegistryError::File {
            path: directory.to_path_buf(),
            problem: format!("cannot be served: {error}"),
        };
        let users = options.htpasswd.as_deref().map(htpasswd::Htpasswd::open).transpose()?;
        if !options.read_only {
            std::fs::create_dir_all(directory).map_err(problem)?;
        }
        // Absolute, and with a name even if it was given as `.`.
        let directory = directory.canonicalize().map_err(problem)?;
        std::fs::read_dir(&directory).map_err(problem)?;
        let repositories = repositories::Repositories::new(&directory);
        if !options.read_only {
            for directory in repositories.directories() {
                uploads::remove_abandoned(&directory);
            }
        }
        Ok(Self {
            service: Arc::new(router::Service {
                read_only: options.read_only,
                users: users.map(Arc::new),
                repositories: Arc::new(repositories),
                sessions: Arc::default(),
                referrers: Arc::default(),
                manifest_memory: manifests::memory(),
            }),
        })
    }

    /// The name of the one repository, if the directory is an image layout itself: its own name, in lower case.
    pub fn name(&self) -> Option<&str> {
        self.service.repositories.only().map(name::Name::as_str)
    }

    /// The names of all repositories that there are now, sorted.
    pub fn repositories(&self) -> Vec<String> {
        self.service.repositories.names()
    }

    /// All of it as a router, to be served or to be put behind other layers. Routers of one registry share what it
    /// knows of unfinished uploads.
    pub fn router(&self) -> axum::Router {
        router::router(Arc::clone(&self.service))
    }
}

/// Why a registry cannot be opened or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A file that is needed cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No connections can be accepted.
    #[error("cannot accept connections: {0}")]
    Listener(#[source] io::Error),
}
