//! Whether a prefix that has a spec file is a package, or what is left of a package that was never finished.
//!
//! Spack writes the spec file of a prefix *before* it builds, and `spack reindex` takes every prefix with one for installed. We
//! ask for more, by what writes what when (`installer.py`, `new_installer.py`, `binary_distribution.py`):
//!
//! - A record comes into being when all is done. So a prefix that the old database records as installed *there* is complete.
//! - A build from source writes `install_manifest.json` after the last change to the prefix. So a prefix without one is not
//!   finished, nor is one that lacks a file that the manifest lists (but for those below `.spack`).
//! - strata unpacks and relocates elsewhere, and gives the spec file its name when the rest is in place. Until then it
//!   has another name ([`STAGED_SPEC_FILE`]), and the prefix is none for anybody.
//! - Spack installs from a cache in place: the layer is unpacked over the prefix, the builder's manifest with it (it keeps the
//!   time that everything in a layer has, the epoch), `binary_distribution` comes last, and then paths are
//!   relocated file by file. Nothing says when that is over: such a prefix is complete as far as its files go, and
//!   `strata verify --cache` says whether its paths are right, too.
//!
//! Whoever holds no lock on any prefix is not installing: that is for the caller to see to.

use crate::stage::{METADATA_DIRECTORY, SPEC_FILE, STAGED_SPEC_FILE};
use crate::verify::{Manifest, NoManifest, manifest_path};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use strata_spec::{DagHash, Database};

/// Why a directory is not taken for an installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// strata was killed while it put the package in place.
    Staged,
    /// There is no install manifest, which is what an installation ends with.
    NoManifest,
    /// There is one, and it cannot be read.
    CorruptManifest,
    /// Files that the manifest lists are not there.
    MissingFiles {
        /// How many.
        count: usize,
        /// One of them, relative to the prefix.
        example: PathBuf,
    },
    /// The layer it came from was not unpacked to its end.
    HalfUnpacked,
    /// The spec file cannot be read, or is in a format that is not known.
    SpecFile(String),
    /// Another prefix has the same package.
    Duplicate {
        /// The one that is taken.
        of: PathBuf,
    },
    /// Spack moved it out of the way while it installed the package again.
    Overwritten,
    /// The path is no text that a database could hold.
    NotUtf8,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staged => f.write_str("its installation was interrupted: it was about to be put in place"),
            Self::NoManifest => {
                f.write_str("its installation was not finished: there is no .spack/install_manifest.json")
            }
            Self::CorruptManifest => f.write_str("its .spack/install_manifest.json cannot be read"),
            Self::MissingFiles { count: 1, example } => {
                write!(f, "{}, which its install manifest lists, is not there", example.display())
            }
            Self::MissingFiles { count, example } => write!(
                f,
                "{count} files that its install manifest lists are not there, {} among them",
                example.display()
            ),
            Self::HalfUnpacked => f.write_str("its installation from a cache was not finished"),
            Self::SpecFile(reason) => write!(f, "its .spack/{SPEC_FILE} cannot be used: {reason}"),
            Self::Duplicate { of } => write!(f, "it is the same package as {}", of.display()),
            Self::Overwritten => f.write_str("it was moved aside while the package was installed again"),
            Self::NotUtf8 => f.write_str("its path is not UTF-8"),
        }
    }
}

/// Whether `prefix`, which has a spec file of the package `hash`, holds the whole of it. For the rule see the
/// [module](self).
///
/// # Errors
/// The reason why it does not.
pub fn check_complete(old: &Database, prefix: &Path, hash: &DagHash) -> Result<(), Reason> {
    let recorded = old.records.get(hash).filter(|record| record.installed);
    if recorded.is_some_and(|record| record.path.as_deref().is_some_and(|path| Path::new(path) == prefix)) {
        return Ok(());
    }
    let manifest = Manifest::read(prefix).map_err(|error| match error {
        NoManifest::Missing => Reason::NoManifest,
        NoManifest::Corrupt => Reason::CorruptManifest,
    })?;
    // Logs and recipes below `.spack` come and go: sites remove them to save room, and the package is none the worse.
    let files = manifest.relative_paths().filter(|path| !path.starts_with(METADATA_DIRECTORY));
    let mut missing = files.filter(|path| prefix.join(path).symlink_metadata().is_err());
    if let Some(example) = missing.next() {
        let example = example.to_owned();
        return Err(Reason::MissingFiles { count: 1 + missing.count(), example });
    }
    let is_unpacked = manifest_path(prefix).symlink_metadata().is_ok_and(|status| status.mtime() == 0);
    let metadata = prefix.join(METADATA_DIRECTORY);
    if is_unpacked && !metadata.join("binary_distribution").exists() {
        return Err(Reason::HalfUnpacked);
    }
    Ok(())
}

/// Whether what is in `prefix` waits to be put in place.
pub(crate) fn is_staged(prefix: &Path) -> bool {
    prefix.join(METADATA_DIRECTORY).join(STAGED_SPEC_FILE).exists()
}
