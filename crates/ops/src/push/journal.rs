//! What a push has uploaded, noted so that the next one can go on where this one was interrupted.
//!
//! A package's layer is on its way long before its tag is: packing and uploading take the time, and a tag is only
//! written when everything below it is there. Without a journal, an interrupted push would pack again what it had
//! uploaded, only to learn that the registry has it.
//!
//! The journal of a repository and a store is `DIRECTORY/<sha256>.jsonl`, one line of JSON for each layer that the
//! repository has acknowledged. Lines are only appended, each with one write, so that several pushes may share the file
//! and a kill costs at most the last line. An entry counts if the package is still installed as it was, and if the
//! repository still has the blob; whatever is wrong with the file only means that more is packed again.

use super::image::LayerInfo;
use super::plan::Planned;
use crate::error::Error;
use crate::parallel;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use strata_oci::{Digest, Repository};
use strata_spec::{DagHash, Database};
use strata_store::StoreRoot;

/// How long after its last line a journal is kept: registries collect blobs that nothing refers to.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const EXTENSION: &str = "jsonl";

/// The journal of one repository and one store.
pub(super) struct Journal {
    path: PathBuf,
    /// Whether the file ends within a line, which is then worthless and must be ended.
    torn: AtomicBool,
    entries: HashMap<DagHash, Entry>,
}

/// A layer that the repository has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    hash: DagHash,
    #[serde(flatten)]
    installed: Installed,
    digest: Digest,
    diff_id: Digest,
    size: u64,
}

/// Which installation was packed: another one may have taken its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Installed {
    prefix: PathBuf,
    /// When, in seconds since 1970, as the store's database says.
    time: Option<f64>,
    /// Of the prefix.
    inode: u64,
    /// When the prefix last changed: seconds since 1970, and nanoseconds.
    changed: (i64, i64),
}

impl Installed {
    /// The installation as it is now; none if there is none.
    fn of(package: &Planned, database: &Database) -> Option<Self> {
        let metadata = fs::metadata(&package.prefix).ok()?;
        Some(Self {
            prefix: package.prefix.clone(),
            time: database.records.get(&package.hash)?.installation_time,
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Journal {
    /// The journal that is kept in `directory`, with what an earlier push left in it unless that is to be `ignored`.
    /// Journals that nobody came back for are removed.
    pub(super) fn open(
        directory: &Path,
        repository: &dyn Repository,
        root: &StoreRoot,
        ignored: bool,
    ) -> Self {
        remove_expired(directory);
        // Another version of strata may pack differently.
        let place = format!("{}\n{}\n{}", env!("CARGO_PKG_VERSION"), repository.url(), root.root().display());
        let path = directory.join(Digest::of(place.as_bytes()).hex()).with_extension(EXTENSION);
        let text = fs::read(&path).unwrap_or_default();
        let torn = AtomicBool::new(text.last().is_some_and(|last| *last != b'\n'));
        let mut entries = HashMap::new();
        if !ignored {
            let read = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
            entries.extend(read.map(|entry: Entry| (entry.hash.clone(), entry)));
        }
        Self { path, torn, entries }
    }

    /// The layers of `packages` that need not be packed: they were, and the repository still has them.
    pub(super) fn uploaded(
        &self,
        packages: &[Planned],
        database: &Database,
        repository: &dyn Repository,
    ) -> Result<HashMap<DagHash, LayerInfo>, Error> {
        let as_it_was = |package: &&Planned| {
            let entry = self.entries.get(&package.hash)?;
            (Installed::of(package, database).as_ref() == Some(&entry.installed)).then_some(entry)
        };
        let candidates: Vec<&Entry> = packages.iter().filter_map(|package| as_it_was(&package)).collect();
        let found = parallel::map(&candidates, parallel::REQUESTS, |entry| {
            Ok::<_, Error>(repository.blob_size(&entry.digest)? == Some(entry.size))
        })?;
        let still_there = candidates.into_iter().zip(found).filter(|(_, found)| *found);
        Ok(still_there
            .map(|(entry, _)| {
                let layer = LayerInfo { digest: entry.digest, diff_id: entry.diff_id, size: entry.size };
                (entry.hash.clone(), layer)
            })
            .collect())
    }

    /// Notes that the repository has the layer of a package.
    ///
    /// # Errors
    /// If that cannot be written, which costs nothing but time, and that only after an interruption.
    pub(super) fn note(&self, package: &Planned, database: &Database, layer: &LayerInfo) -> io::Result<()> {
        let Some(installed) = Installed::of(package, database) else { return Ok(()) };
        let LayerInfo { digest, diff_id, size } = *layer;
        let entry = Entry { hash: package.hash.clone(), installed, digest, diff_id, size };
        let mut line = if self.torn.swap(false, Ordering::Relaxed) { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut line, &entry)?;
        line.push(b'\n');
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        // Opened each time: another push to the same place may have finished and removed it.
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?.write_all(&line)
    }

    /// Forgets everything: the push that it was for is done.
    pub(super) fn remove(&self) {
        // One that stays does no harm: what it says is checked before it is believed.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_expired(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let age = || SystemTime::now().duration_since(fs::metadata(&path).ok()?.modified().ok()?).ok();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && age().is_some_and(|age| age > KEPT)
        {
            let _ = fs::remove_file(&path);
        }
    }
}
