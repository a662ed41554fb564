//! Removing an uninstalled prefix from the disk.
//!
//! The record goes first, then the tree: a kill between the two leaves a prefix that no record claims, which the next
//! install of the package sets aside; the other way round the database would name a prefix that is not there.

use crate::root::StoreRoot;
use crate::stage::{SetAside, StageArea, StageError};
use std::path::{Path, PathBuf};

/// The prefix could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// The path is not below the root of the store, as that of an external is not.
    #[error("{} is outside the store {}", prefix.display(), root.display())]
    Outside {
        /// What was to be removed.
        prefix: PathBuf,
        /// The root of the store.
        root: PathBuf,
    },
    /// It could not be moved out of the way.
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// Takes `prefix` away at once, and those of its parent directories that are empty then (`remove_install_directory`
/// in Spack's `directory_layout.py`); the files are deleted when the returned value is dropped. A prefix that is not
/// there is fine, and gives none. The caller holds the write lock of the prefix.
pub fn remove_prefix(
    area: &StageArea,
    root: &StoreRoot,
    prefix: &Path,
) -> Result<Option<SetAside>, RemovalError> {
    let is_plain = prefix.components().all(|c| c != std::path::Component::ParentDir);
    if !is_plain || prefix == root.root() || !prefix.starts_with(root.root()) {
        return Err(RemovalError::Outside { prefix: prefix.into(), root: root.root().into() });
    }
    let aside = prefix.symlink_metadata().is_ok().then(|| area.set_aside(prefix)).transpose()?;
    for parent in prefix.ancestors().skip(1).take_while(|parent| *parent != root.root()) {
        // Fails where something else is in it.
        if std::fs::remove_dir(parent).is_err() {
            break;
        }
    }
    Ok(aside)
}
