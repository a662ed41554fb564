//! Making the database anew from what is in the prefixes (`reindex` in Spack's `database.py`).
//!
//! The prefixes say what is installed, and which specs that is; the old index, as far as it can be read, says the rest: what was
//! asked for, when it was installed, what replaces what, which externals there are. Other than Spack, we take no
//! prefix for a package that may not be a whole one: [`crate::complete`] has the rule.

use super::{Store, StoreError, now};
use crate::complete::{Reason, check_complete, is_staged};
use crate::index_file::IndexError;
use crate::layout;
use crate::lock::{self, ByteRange, LockGuard, LockKind};
use crate::replace_file::{Durability, Replacement};
use crate::root::DATABASE_DIRECTORY;
use crate::stage::{METADATA_DIRECTORY, SPEC_FILE};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use strata_spec::database::InvalidDatabase;
use strata_spec::{ConcreteSpec, DagHash, Database, Node, NodeSource, Record, upgrade};

/// What hidden directories end with that Spack moves a prefix to while it installs the package again (`new_installer.py`).
const OVERWRITTEN: [&str; 2] = [".old", ".garbage"];

/// The database as the prefixes have it.
#[derive(Debug)]
pub struct Reindexed {
    /// The new database.
    pub database: Database,
    /// Packages that were found in prefixes, by prefix.
    pub found: Vec<(DagHash, PathBuf)>,
    /// Prefixes that were not taken for packages, and why; by prefix.
    pub left_out: Vec<(PathBuf, Reason)>,
    /// Labels of packages that were recorded as installed and are not there.
    pub vanished: Vec<String>,
    /// Why the old index could not be used, if it could not.
    pub unusable: Option<String>,
    /// Where the old index is kept, if there was one and it was replaced.
    pub backup: Option<PathBuf>,
}

/// A prefix with a spec file that can be read.
struct Candidate {
    prefix: PathBuf,
    spec: ConcreteSpec,
    /// What it replaces.
    deprecated: Vec<ConcreteSpec>,
}

impl Store {
    /// Makes the database anew, and writes it unless `dry_run`; the old index is kept as `index.json.bkp`, as by Spack.
    /// What is `upstream`, and neither in a prefix nor recorded here, gets no record.
    ///
    /// # Errors
    /// [`LockError::Timeout`](lock::LockError::Timeout) at once if anybody is installing or uninstalling;
    /// [`IndexError::UnknownVersion`] for the index of a newer Spack.
    pub fn reindex(&self, upstream: &HashSet<DagHash>, dry_run: bool) -> Result<Reindexed, StoreError> {
        let _prefixes = self.lock_all_prefixes()?;
        let kind = if dry_run { LockKind::Read } else { LockKind::Write };
        let _lock = self.lock_database(kind)?;
        let text = self.text()?;
        let (old, unusable) = match self.parse(text.clone()) {
            Ok(old) => (old, None),
            Err(IndexError::Corrupt { source, .. }) => (Database::default(), Some(cause(&source))),
            Err(error) => return Err(error.into()),
        };
        let mut reindexed = self.reindexed(&old, upstream);
        reindexed.unusable = unusable;
        if dry_run {
            return Ok(reindexed);
        }
        if let Some(text) = text {
            let path = self.index.directory().join("index.json.bkp");
            let temporary = self.index.directory().join("index.json.bkp.temp");
            Replacement { temporary: &temporary, mode: None, durability: Durability::Synced }
                .write(&path, &text)
                .map_err(|source| IndexError::Io { action: "write", path: path.clone(), source })?;
            reindexed.backup = Some(path);
        }
        self.index.write(&reindexed.database)?;
        Ok(reindexed)
    }

    /// Locks every prefix there can be, at once or not at all: whoever installs holds the lock of a prefix.
    fn lock_all_prefixes(&self) -> Result<LockGuard, StoreError> {
        if !self.locks.enabled {
            return Ok(LockGuard::unlocked());
        }
        let wait = Some(std::time::Duration::ZERO);
        Ok(lock::acquire(
            &self.prefix_lock(),
            ByteRange::WHOLE_FILE,
            LockKind::Write,
            wait,
            &self.locks.watcher,
        )?)
    }

    /// The database that `old` and the prefixes together make.
    fn reindexed(&self, old: &Database, upstream: &HashSet<DagHash>) -> Reindexed {
        let (candidates, mut left_out) = self.candidates(old);
        let mut installed: HashMap<DagHash, Candidate> = HashMap::new();
        for candidate in candidates {
            let hash = candidate.spec.root().hash.clone();
            let Some(other) = installed.remove(&hash) else {
                installed.insert(hash, candidate);
                continue;
            };
            let is_preferred = |prefix: &Path| self.is_place_of(old, prefix, candidate.spec.root());
            let (taken, left) =
                if is_preferred(&candidate.prefix) { (candidate, other) } else { (other, candidate) };
            left_out.push((left.prefix, Reason::Duplicate { of: taken.prefix.clone() }));
            installed.insert(hash, taken);
        }
        let mut database = records(&installed, old, upstream);
        let vanished = old.records.values().filter(|record| record.installed);
        let is_gone = |hash| database.records.get(hash).is_some_and(|record| !record.installed);
        let mut vanished: Vec<String> =
            vanished.filter(|r| is_gone(&r.node.hash)).map(|record| record.node.label()).collect();
        vanished.sort();
        count_references(&mut database);
        let mut found: Vec<(DagHash, PathBuf)> =
            installed.into_iter().map(|(hash, candidate)| (hash, candidate.prefix)).collect();
        found.sort_by(|a, b| a.1.cmp(&b.1));
        left_out.sort_by(|a, b| a.0.cmp(&b.0));
        Reindexed { database, found, left_out, vanished, unusable: None, backup: None }
    }

    /// Whether `prefix` is where the package belongs, by its record or by the default projection.
    fn is_place_of(&self, old: &Database, prefix: &Path, node: &Node) -> bool {
        layout::prefix(&self.root, old, node).is_some_and(|place| place == prefix)
    }

    /// The prefixes below the root that hold whole packages, by path, and those that do not. Links are not followed, and what is
    /// in a prefix is not looked for prefixes.
    fn candidates(&self, old: &Database) -> (Vec<Candidate>, Vec<(PathBuf, Reason)>) {
        let (mut candidates, mut left_out) = (Vec::new(), Vec::new());
        let mut directories = vec![self.root.root().to_owned()];
        while let Some(directory) = directories.pop() {
            match candidate(&directory, old) {
                Some(Ok(candidate)) => candidates.push(candidate),
                Some(Err(reason)) => left_out.push((directory, reason)),
                None => {
                    // What cannot be read is nobody's package, as for Spack.
                    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                        if is_directory && entry.file_name() != DATABASE_DIRECTORY {
                            directories.push(entry.path());
                        }
                    }
                }
            }
        }
        candidates.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        (candidates, left_out)
    }
}

/// What is at `directory`; none if it is no prefix at all.
fn candidate(directory: &Path, old: &Database) -> Option<Result<Candidate, Reason>> {
    let metadata = directory.join(METADATA_DIRECTORY);
    let file = metadata.join(SPEC_FILE);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(_) if is_staged(directory) => return Some(Err(Reason::Staged)),
        Err(_) if metadata.join("spec.yaml").is_file() => {
            return Some(Err(Reason::SpecFile("there is only a spec.yaml, which is not read".to_owned())));
        }
        Err(error) if file.symlink_metadata().is_ok() => {
            return Some(Err(Reason::SpecFile(error.to_string())));
        }
        Err(_) => return None,
    };
    let name = directory.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if name.starts_with('.') && OVERWRITTEN.iter().any(|end| name.ends_with(end)) {
        return Some(Err(Reason::Overwritten));
    }
    if directory.to_str().is_none() {
        return Some(Err(Reason::NotUtf8));
    }
    let spec = match read_spec(&text) {
        Ok(spec) => spec,
        Err(reason) => return Some(Err(Reason::SpecFile(reason))),
    };
    if let Err(reason) = check_complete(old, directory, &spec.root().hash) {
        return Some(Err(reason));
    }
    let deprecated = std::fs::read_dir(metadata.join("deprecated")).into_iter().flatten().flatten();
    // As Spack: what cannot be read replaces nothing.
    let deprecated =
        deprecated.filter_map(|entry| read_spec(&std::fs::read(entry.path()).ok()?).ok()).collect();
    Some(Ok(Candidate { prefix: directory.to_owned(), spec, deprecated }))
}

/// The spec in a spec file, with each node in the form that a database has.
fn read_spec(text: &[u8]) -> Result<ConcreteSpec, String> {
    #[derive(Deserialize)]
    struct File<'j> {
        #[serde(borrow)]
        spec: &'j RawValue,
    }
    let file: File<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let spec = ConcreteSpec::parse(file.spec).map_err(|error| error.to_string())?;
    for node in spec.nodes() {
        if let Some(edge) = node.dependencies.iter().find(|edge| spec.node(&edge.hash).is_none()) {
            return Err(format!(
                "{} needs {}/{}, which is not in it",
                node.label(),
                edge.name,
                edge.hash.short()
            ));
        }
    }
    Ok(spec)
}

/// The node as a database of the current version has it; as it is if that cannot be.
fn current(node: &Node, version: u32) -> Node {
    let upgraded =
        || Node::parse(&RawValue::from_string(upgrade::to_current(node, version).ok()?).ok()?).ok();
    upgraded().unwrap_or_else(|| node.clone())
}

/// Records of every spec that is known, without counts of references. (The order is Spack's: breadth first.)
fn records(installed: &HashMap<DagHash, Candidate>, old: &Database, upstream: &HashSet<DagHash>) -> Database {
    let mut candidates: Vec<&Candidate> = installed.values().collect();
    candidates.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    let replaced = || candidates.iter().flat_map(|candidate| &candidate.deprecated);
    let specs = candidates.iter().map(|candidate| &candidate.spec).chain(replaced());
    let mut nodes: HashMap<&DagHash, (&Node, u32)> = HashMap::new();
    let mut known: Vec<&DagHash> = Vec::new();
    for spec in specs {
        known.push(&spec.root().hash);
        for node in spec.nodes() {
            nodes.entry(&node.hash).or_insert((node, spec.version));
        }
    }
    for record in old.records.values() {
        known.push(&record.node.hash);
        nodes.entry(&record.node.hash).or_insert((&record.node, old.spec_version()));
    }
    let ours: HashSet<&DagHash> = known.iter().copied().collect();
    let elsewhere = |hash: &DagHash| upstream.contains(hash) && !ours.contains(hash);

    let mut database = Database::default();
    let time = now();
    let mut waiting: VecDeque<&DagHash> = known.into_iter().collect();
    while let Some(hash) = waiting.pop_front() {
        let Some((node, version)) = nodes.get(hash) else { continue };
        if elsewhere(hash) || database.records.contains_key(hash) {
            continue;
        }
        waiting.extend(node.dependencies.iter().map(|edge| &edge.hash));
        let node = current(node, *version);
        let mut record = Record::new(node);
        record.installation_time = Some(time);
        record.installed = record.node.is_external();
        record.path = record.node.external.as_ref().and_then(|external| external.path.clone());
        if let Some(candidate) = installed.get(hash) {
            record.installed = true;
            // Until the old database says otherwise: nothing that a user asked for may be lost to `gc`.
            record.explicit = true;
            record.path = candidate.prefix.to_str().map(str::to_owned);
            record.installation_time = candidate
                .prefix
                .metadata()
                .ok()
                .map(|status| status.ctime() as f64 + 1e-9 * status.ctime_nsec() as f64);
        }
        database.records.insert(hash.clone(), record);
    }
    for candidate in &candidates {
        for deprecated in &candidate.deprecated {
            if let Some(record) = database.records.get_mut(&deprecated.root().hash) {
                record.deprecated_for = Some(candidate.spec.root().hash.clone());
            }
        }
    }
    for (hash, old) in &old.records {
        let Some(record) = database.records.get_mut(hash) else { continue };
        record.explicit = old.explicit;
        record.installation_time = old.installation_time;
        record.deprecated_for = old.deprecated_for.clone();
        record.other = old.other.clone();
    }
    database
}

/// Counts for each record how many others refer to it.
fn count_references(database: &mut Database) {
    let known: HashSet<DagHash> = database.records.keys().cloned().collect();
    let mut counts: HashMap<DagHash, u64> = HashMap::new();
    for record in database.records.values_mut() {
        // A reference to nothing would make Spack refuse the database.
        record.deprecated_for = record.deprecated_for.take().filter(|hash| known.contains(hash));
        let edges = record.node.dependencies.iter().map(|edge| &edge.hash);
        for hash in edges.chain(&record.deprecated_for) {
            *counts.entry(hash.clone()).or_default() += 1;
        }
    }
    for (hash, record) in &mut database.records {
        record.ref_count = counts.get(hash).copied().unwrap_or(0);
    }
}

fn cause(error: &InvalidDatabase) -> String {
    error.to_string()
}
