//! Where layers wait between packing and uploading.

use crate::error::Error;
use std::path::{Path, PathBuf};
use strata_oci::Repository;

/// A directory for spool files: beside the blobs of a layout, so that an upload is a rename, else a temporary one.
pub(super) struct Scratch {
    path: PathBuf,
    _owned: Option<tempfile::TempDir>,
}

impl Scratch {
    /// The best place for layers of `repository`.
    pub(super) fn for_repository(repository: &dyn Repository) -> Result<Self, Error> {
        if let Some(path) = repository.scratch_dir() {
            return Ok(Self { path, _owned: None });
        }
        let dir = tempfile::Builder::new().prefix("strata-push-").tempdir();
        let dir = dir.map_err(|e| Error::io(&std::env::temp_dir(), e))?;
        Ok(Self { path: dir.path().to_owned(), _owned: Some(dir) })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
