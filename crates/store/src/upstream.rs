//! Stores below ours: [`Upstream`] is one of them, [`Installed`] is what there is in all of them together.
//!
//! An upstream is read and nothing else: it may be another user's, on a read-only file system, and it does not know of
//! us. Nothing is locked in it, as Spack locks nothing there; its index is replaced as a whole, so that what is read is
//! always one state of it. What is installed in an upstream gets no record in our database (`_add` in Spack's
//! `database.py`).

use crate::index_file::IndexFile;
use crate::root::{RootError, StoreRoot, has_database};
use crate::store::{Store, StoreError};
use crate::watcher::Watcher;
use std::collections::HashMap;
use std::path::Path;
use strata_spec::format::Surroundings;
use strata_spec::{DagHash, Database, Node, NodeSource, Record};

/// An install tree of which packages are used and nothing is changed.
#[derive(Clone, Debug)]
pub struct Upstream {
    name: String,
    root: StoreRoot,
}

impl Upstream {
    /// The upstream that configuration calls `name`, whose install tree is at `directory`: its root, padded underneath or
    /// not.
    ///
    /// # Errors
    /// [`RootError::NoDatabase`] if there is none: Spack says so and goes on without it.
    pub fn open(name: &str, directory: &Path, watcher: &Watcher) -> Result<Self, RootError> {
        let root = watcher.over(directory, || {
            let root = StoreRoot::open(directory)?;
            match has_database(root.root())? {
                true => Ok(root),
                false => Err(RootError::NoDatabase { dir: root.root().into() }),
            }
        })?;
        Ok(Self { name: name.to_owned(), root })
    }

    /// What configuration calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn root(&self) -> &StoreRoot {
        &self.root
    }

    /// Its database as it is now, read without a lock. Databases of older versions may be read, too.
    pub fn read(&self, watcher: &Watcher) -> Result<Database, StoreError> {
        let index = IndexFile::new(self.root.database_directory());
        let text = watcher.over(&index.path(), || index.text())?;
        Ok(text.map_or_else(|| Ok(Database::default()), |text| index.parse(&text))?)
    }
}

/// Everything that is recorded in a store and in its upstreams.
///
/// Where several have a record of a spec, that of our own store counts, installed or not, and then that of the first
/// upstream: whoever depends on the spec here was made for that one (`query_by_spec_hash` in Spack's `database.py`).
#[derive(Clone, Debug, Default)]
pub struct Installed {
    database: Database,
    upstreams: Vec<Upstream>,
    /// Which upstream a record of `database` is from; those that are not here are our own.
    origins: HashMap<DagHash, usize>,
    /// Installed in an upstream, and recorded here as not installed.
    hidden: Vec<(usize, Record)>,
}

impl From<Database> for Installed {
    /// A store without upstreams.
    fn from(database: Database) -> Self {
        Self { database, ..Self::default() }
    }
}

impl Installed {
    /// Reads the store, if there is one, and its upstreams.
    pub fn read(
        store: Option<&Store>,
        upstreams: &[Upstream],
        watcher: &Watcher,
    ) -> Result<Self, StoreError> {
        let mut installed = Self::from(store.map(Store::read).transpose()?.unwrap_or_default());
        for upstream in upstreams {
            installed.add(upstream.clone(), upstream.read(watcher)?);
        }
        Ok(installed)
    }

    /// Puts an upstream below those that are there.
    pub fn add(&mut self, upstream: Upstream, database: Database) {
        let at = self.upstreams.len();
        self.upstreams.push(upstream);
        for (hash, record) in database.records {
            match self.database.records.get(&hash) {
                Some(known) if record.installed && !known.installed => self.hidden.push((at, record)),
                Some(_) => {}
                None => {
                    self.origins.insert(hash.clone(), at);
                    self.database.records.insert(hash, record);
                }
            }
        }
    }

    /// The records.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The records, to be added to or hidden.
    pub fn database_mut(&mut self) -> &mut Database {
        &mut self.database
    }

    /// The upstream that the record of `hash` is from; none for our own records.
    pub fn upstream_of(&self, hash: &DagHash) -> Option<&Upstream> {
        self.upstreams.get(*self.origins.get(hash)?)
    }

    /// The upstream in which `hash` is installed, if it is not our own store that says whether it is.
    pub fn installed_upstream(&self, hash: &DagHash) -> Option<&Upstream> {
        self.upstream_of(hash)
            .filter(|_| self.database.records.get(hash).is_some_and(|record| record.installed))
    }

    /// The upstreams, the first one first.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    /// The stores that packages of upstreams are in.
    pub fn roots(&self) -> HashMap<DagHash, StoreRoot> {
        let root_of = |at: &usize| self.upstreams.get(*at).map(|upstream| upstream.root.clone());
        self.origins.iter().filter_map(|(hash, at)| Some((hash.clone(), root_of(at)?))).collect()
    }

    /// All that is installed anywhere, for lists: what our own database has as not installed is taken from the upstream
    /// that has it.
    #[must_use]
    pub fn anywhere(mut self) -> Self {
        for (at, record) in std::mem::take(&mut self.hidden) {
            let hash = record.node.hash.clone();
            if self.database.records.get(&hash).is_some_and(|known| !known.installed) {
                self.origins.insert(hash.clone(), at);
                self.database.records.insert(hash, record);
            }
        }
        self
    }

    /// The same with only those records that `keep` says: it gets the upstream that a record is from, or none.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(Option<&Upstream>) -> bool) -> Self {
        let (origins, upstreams) = (&self.origins, &self.upstreams);
        // What a record depends on is looked up in other stores, too: it stays, but is not installed as far as this goes.
        for (hash, record) in &mut self.database.records {
            record.installed &= keep(origins.get(hash).and_then(|at| upstreams.get(*at)));
        }
        self
    }
}

impl NodeSource for Installed {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.database.node(hash)
    }
}

impl Surroundings for Installed {
    fn prefix(&self, node: &Node) -> Option<String> {
        self.database.prefix(node)
    }

    fn is_installed(&self, node: &Node) -> bool {
        self.database.is_installed(node)
    }

    fn is_upstream(&self, node: &Node) -> bool {
        self.installed_upstream(&node.hash).is_some()
    }
}
