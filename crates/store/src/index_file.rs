//! Reading and writing `.spack-db/index.json` and the verifier beside it. Locking is the caller's business.

use crate::replace_file::{Durability, Replacement, host_and_process};
use crate::stale_handle;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use strata_spec::Database;
use strata_spec::database::{CURRENT_VERSION, InvalidDatabase, OLDEST_VERSION};

/// The database cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file could not be handled.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no database, or a record in it is none.
    #[error("{} is corrupt: {source}", path.display())]
    Corrupt {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidDatabase,
    },
    /// A version that strata does not know.
    #[error(
        "{} has database version {version}; understood are {OLDEST_VERSION} to {CURRENT_VERSION}",
        path.display()
    )]
    UnknownVersion {
        /// The index file.
        path: PathBuf,
        /// The version it states.
        version: String,
    },
    /// A version that may be read but not changed: its records are in a format that is no longer written.
    #[error(
        "{} has database version {version}, and {CURRENT_VERSION} is needed to change it: run `spack reindex`",
        path.display()
    )]
    OldVersion {
        /// The index file.
        path: PathBuf,
        /// The version it states.
        version: u32,
    },
}

/// The files of a database directory.
#[derive(Clone, Debug)]
pub(crate) struct IndexFile {
    directory: PathBuf,
}

impl IndexFile {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("index.json")
    }

    /// The text of the index; none if there is no index yet, which for Spack is an empty database.
    pub(crate) fn text(&self) -> Result<Option<Vec<u8>>, IndexError> {
        match stale_handle::again(|| std::fs::read(self.path())) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IndexError::Io { action: "read", path: self.path(), source }),
        }
    }

    /// The database that `text` is.
    pub(crate) fn parse(&self, text: &[u8]) -> Result<Database, IndexError> {
        let text =
            std::str::from_utf8(text).map_err(serde::de::Error::custom).map_err(InvalidDatabase::Malformed);
        text.and_then(Database::parse).map_err(|error| match error {
            InvalidDatabase::UnknownVersion(version) => {
                IndexError::UnknownVersion { path: self.path(), version }
            }
            source => IndexError::Corrupt { path: self.path(), source },
        })
    }

    /// Fails for a database that is in an old format.
    pub(crate) fn check_writable(&self, database: &Database) -> Result<(), IndexError> {
        if database.version == CURRENT_VERSION {
            Ok(())
        } else {
            Err(IndexError::OldVersion { path: self.path(), version: database.version })
        }
    }

    /// Replaces the index. On failure the old one stays.
    ///
    /// A running Spack re-reads the index only if the verifier changed. Spack writes a new one after the index; we
    /// do so before as well, or a kill between the two would leave Spack with records that it then writes back.
    pub(crate) fn write(&self, database: &Database) -> Result<(), IndexError> {
        let path = self.path();
        let mut temporary = OsString::from("index.json.");
        temporary.push(host_and_process());
        temporary.push(".temp");
        let replacement = Replacement {
            temporary: &self.directory.join(temporary),
            mode: None,
            durability: Durability::Synced,
        };
        self.write_verifier()?;
        replacement.write(&path, database.to_store_json().as_bytes()).map_err(|source| IndexError::Io {
            action: "write",
            path,
            source,
        })?;
        self.write_verifier()
    }

    fn write_verifier(&self) -> Result<(), IndexError> {
        let path = self.directory.join("index_verifier");
        // In place, as Spack does: a reader that finds it empty reads the index.
        std::fs::write(&path, uuid::Uuid::new_v4().to_string()).map_err(|source| IndexError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Removes what killed processes left half written. The caller holds the write lock, so nobody is writing.
    pub(crate) fn remove_debris(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_temporary =
                name.to_str().is_some_and(|n| n.starts_with("index.json.") && n.ends_with(".temp"));
            if is_temporary {
                // Debris does no harm; what cannot be removed stays.
                let _ = std::fs::remove_file(self.directory.join(&name));
            }
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}
