//! The concrete specs of a Spack environment: what its `spack.lock` says that it consists of.

use super::read_lockfile;
use crate::error::Error;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use strata_spec::lockfile::{Lockfile, Root};
use strata_spec::{AbstractSpec, DagHash, Database, NodeSource};

/// An environment whose specs are concrete.
#[derive(Debug)]
pub struct Locked {
    directory: PathBuf,
    lockfile: Lockfile,
}

impl Locked {
    /// Reads the lockfile of the environment in `directory`.
    ///
    /// # Errors
    /// If there is none, or it is none, or it has no specs.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let lockfile = read_lockfile(directory)?;
        let directory = directory.to_owned();
        let Some(lockfile) = lockfile else { return Err(Error::NoLockfile { directory }) };
        let locked = Self { directory, lockfile };
        match locked.roots().is_empty() {
            true => Err(Error::EmptyEnvironment { directory: locked.directory }),
            false => Ok(locked),
        }
    }

    /// What it consists of.
    pub fn lockfile(&self) -> &Lockfile {
        &self.lockfile
    }

    /// Its roots, then those of environments it includes; each once.
    pub fn roots(&self) -> Vec<&DagHash> {
        let mut seen = HashSet::new();
        let roots = self.lockfile.roots.iter().chain(self.lockfile.included.values().flatten());
        let hashes = roots.map(|Root { hash, .. }| hash);
        hashes.filter(|hash| seen.insert(*hash)).collect()
    }

    /// All that it consists of: its roots and what they need, in the order written.
    pub fn hashes(&self) -> impl Iterator<Item = &DagHash> {
        self.lockfile.nodes().map(|node| &node.hash)
    }

    /// The roots that are in `database`, externals included.
    pub fn installed_roots(&self, database: &Database) -> Vec<DagHash> {
        let is_installed =
            |hash: &&DagHash| database.records.get(*hash).is_some_and(|record| record.installed);
        self.roots().into_iter().filter(is_installed).cloned().collect()
    }

    /// Its roots and all they depend on, as far as `database` has them.
    pub fn closure(&self, database: &Database) -> Vec<DagHash> {
        let mut all: Vec<DagHash> = self.roots().into_iter().cloned().collect();
        let mut seen: HashSet<DagHash> = all.iter().cloned().collect();
        let mut at = 0;
        while let Some(hash) = all.get(at).cloned() {
            at += 1;
            let edges = database.records.get(&hash).into_iter().flat_map(|record| &record.node.dependencies);
            all.extend(edges.map(|edge| edge.hash.clone()).filter(|hash| seen.insert(hash.clone())));
        }
        all
    }

    /// The roots as specs, each of which means one package by its hash.
    ///
    /// # Errors
    /// None in practice: a hash is a spec.
    pub fn specs(&self) -> Result<Vec<AbstractSpec>, strata_spec::SpecSyntaxError> {
        self.roots().into_iter().map(|hash| format!("/{hash}").parse()).collect()
    }

    /// As [`specs`](Self::specs), of an environment that is installed.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] if not all of its roots are in `database`.
    pub fn installed(&self, database: &Database) -> Result<Vec<AbstractSpec>, Error> {
        let is_installed = |hash: &&DagHash| {
            database.records.get(*hash).is_some_and(|record| record.installed || record.node.is_external())
        };
        let missing: Vec<&DagHash> = self.roots().into_iter().filter(|hash| !is_installed(hash)).collect();
        if !missing.is_empty() {
            let label =
                |hash| self.lockfile.node(hash).map_or_else(|| format!("/{hash}"), |node| node.label());
            let packages = missing.into_iter().map(label).collect();
            return Err(Error::NotInstalled { directory: self.directory.clone(), packages });
        }
        self.specs().map_err(|error| Error::BadRecord {
            package: self.directory.display().to_string(),
            reason: error.to_string(),
        })
    }
}
