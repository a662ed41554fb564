//! Spack environments: a directory with a `spack.yaml`, which says what is wanted, and a `spack.lock`, which says what that
//! became.
//!
//! [`Environment`] reads both. [`concretize`] makes what is wanted concrete: what is in the lockfile already is kept, for the
//! rest a binary is chosen. Who changes either file holds a [`Transaction`].

pub mod concretize;
mod included;
mod locked;
pub mod managed;
mod members;
mod save;
mod transaction;
mod user_specs;
pub mod view;

pub use concretize::{Concretization, Work};
pub use locked::Locked;
pub use members::{matching, members, roots};
pub use transaction::Transaction;
pub use user_specs::{RequestedSpec, expand};

use crate::error::Error;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use strata_config::{Configuration, Manifest};
use strata_spec::lockfile::{Lockfile, Root};
use strata_spec::{DagHash, Node, NodeSource};

/// An environment as it is on disk.
#[derive(Clone, Debug)]
pub struct Environment {
    /// What it is called: its name, or its directory.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// What is wanted.
    pub manifest: Manifest,
    /// What that became, if it was made concrete.
    pub lockfile: Option<Lockfile>,
}

impl Environment {
    /// Reads the environment in `directory`.
    ///
    /// # Errors
    /// If there is no manifest, or one of the files cannot be read.
    pub fn read(name: &str, directory: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(directory)?;
        let lockfile = read_lockfile(directory)?;
        Ok(Self { name: name.to_owned(), directory: directory.to_owned(), manifest, lockfile })
    }

    /// The specs that are wanted, in order, each once. `configuration` should be one in which this environment is active.
    ///
    /// # Errors
    /// If the manifest says something that means nothing, with the line and column.
    pub fn user_specs(&self, configuration: &Configuration) -> Result<Vec<RequestedSpec>, Error> {
        let mut seen = HashSet::new();
        let mut specs = expand(&self.manifest.user_specs(configuration)?.specs)?;
        specs.retain(|wanted| seen.insert(wanted.canonical()));
        Ok(specs)
    }

    /// The roots of the lockfile, in order; none if there is no lockfile. Those of environments that are included are apart.
    pub fn roots(&self) -> &[Root] {
        self.lockfile.as_ref().map(|lockfile| lockfile.roots.as_slice()).unwrap_or_default()
    }

    /// The concrete specs of the roots, then those of environments that are included; each once.
    pub fn concrete_roots(&self) -> Vec<&Node> {
        let Some(lockfile) = &self.lockfile else { return Vec::new() };
        let mut seen = HashSet::new();
        let roots = lockfile.roots.iter().chain(lockfile.included.values().flatten());
        let hashes = roots.map(|Root { hash, .. }| hash).filter(|hash| seen.insert(*hash));
        hashes.filter_map(|hash| lockfile.node(hash)).collect()
    }

    /// What the lockfile says that a spec became; none if it was not made concrete.
    pub fn concrete(&self, spec: &RequestedSpec) -> Option<&DagHash> {
        let canonical = spec.canonical();
        self.roots().iter().find(|root| canonical_form(&root.requested) == canonical).map(|root| &root.hash)
    }

    /// Whether the lockfile has what the manifest wants, and nothing that it does not want: then there is nothing to make
    /// concrete.
    ///
    /// # Errors
    /// As [`user_specs`](Self::user_specs).
    pub fn is_up_to_date(&self, configuration: &Configuration) -> Result<bool, Error> {
        let work = Work::of(self, configuration, false)?;
        Ok(work.new.is_empty() && work.dropped.is_empty())
    }
}

/// The lockfile of the environment in `directory`; none if it has none.
///
/// # Errors
/// If it cannot be read or is none.
pub fn read_lockfile(directory: &Path) -> Result<Option<Lockfile>, Error> {
    let path = directory.join(LOCKFILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Error::io(&path, error))?,
    };
    Lockfile::parse(&text).map(Some).map_err(|source| Error::Lockfile { path, source })
}

/// The name of the lockfile.
pub const LOCKFILE: &str = "spack.lock";

/// A spec as Spack writes it, so that the same is the same; what cannot be read is as it is.
fn canonical_form(text: &str) -> String {
    text.parse::<strata_spec::AbstractSpec>().map_or_else(|_| text.to_owned(), |spec| spec.to_string())
}
