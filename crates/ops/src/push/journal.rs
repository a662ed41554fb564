//! What a push has uploaded, noted so that the next one can go on where this one was interrupted.
//!
//! A package's layer is on its way long before its tag is: packing and uploading take the time, and a tag is only
//! written when everything below it is there. Without a journal, an interrupted push would pack again what it had
//! uploaded, only to learn that the registry has it.
//!
//! The journal of a repository, a store and a method of compression is `DIRECTORY/<sha256>.jsonl`, one line of JSON for each
//! layer that the repository has acknowledged. Lines are appended, each with one write, so that several pushes may share the file and a kill
//! costs at most the last line. An entry counts if the package is still installed as it was when it was packed, and if the
//! repository still has the blob. A push forgets the entries of packages that are tagged, and leaves those of others: it
//! may have been about one package of many. Whatever is wrong with the file, or lost from it when two pushes end at once,
//! only means that more is packed again.

use super::plan::Planned;
use crate::error::Error;
use crate::image::assemble::LayerInfo;
use crate::parallel;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use strata_layer::compression::Method;
use strata_oci::{Digest, Repository};
use strata_spec::{DagHash, Database};
use strata_store::StoreRoot;
use tempfile::NamedTempFile;

/// How long after its last line a journal is kept: registries collect blobs that nothing refers to.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const EXTENSION: &str = "jsonl";

/// The journal of one repository and one store.
pub(super) struct Journal {
    path: PathBuf,
    /// How all its layers are compressed.
    method: Method,
    /// Whether the file ends within a line, which is then worthless and must be ended.
    torn: AtomicBool,
    /// Whether something could not be written, which is then not tried again.
    unwritable: AtomicBool,
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
pub(super) struct Installed {
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
    fn of(hash: &DagHash, prefix: &Path, database: &Database) -> Option<Self> {
        let metadata = fs::metadata(prefix).ok()?;
        Some(Self {
            prefix: prefix.to_owned(),
            time: database.records.get(hash)?.installation_time,
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
        method: Method,
        ignored: bool,
    ) -> Self {
        remove_expired(directory);
        // Another version of strata may pack differently, and so does another method.
        let packing = format!("{}, {}", env!("CARGO_PKG_VERSION"), method.recipe());
        let place = format!("{packing}\n{}\n{}", repository.url(), root.root().display());
        let path = directory.join(Digest::of(place.as_bytes()).hex()).with_extension(EXTENSION);
        let text = fs::read(&path).unwrap_or_default();
        let torn = AtomicBool::new(text.last().is_some_and(|last| *last != b'\n'));
        let mut entries = HashMap::new();
        if !ignored {
            entries.extend(read(&text).map(|entry| (entry.hash.clone(), entry)));
        }
        Self { path, method, torn, unwritable: AtomicBool::new(false), entries }
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
            (package.hash == entry.hash && entry.is_installed(&package.prefix, database)).then_some(entry)
        };
        let candidates: Vec<&Entry> = packages.iter().filter_map(|package| as_it_was(&package)).collect();
        let found = parallel::map(&candidates, parallel::REQUESTS, |entry| {
            Ok::<_, Error>(repository.blob_size(&entry.digest)? == Some(entry.size))
        })?;
        let still_there = candidates.into_iter().zip(found).filter(|(_, found)| *found);
        Ok(still_there
            .map(|(entry, _)| {
                let layer = LayerInfo {
                    digest: entry.digest,
                    diff_id: entry.diff_id,
                    size: entry.size,
                    compression: self.method.compression(),
                };
                (entry.hash.clone(), layer)
            })
            .collect())
    }

    /// What is about to be packed. To be asked for before that: what takes its place meanwhile is something else.
    pub(super) fn about_to_pack(package: &Planned, database: &Database) -> Option<Installed> {
        Installed::of(&package.hash, &package.prefix, database)
    }

    /// Notes that the repository has the layer of a package, packed from what was `installed`.
    ///
    /// # Errors
    /// If that cannot be written, the first time; it costs nothing but time, and that only after an interruption.
    pub(super) fn note(
        &self,
        package: &Planned,
        installed: Installed,
        layer: &LayerInfo,
    ) -> Result<(), Error> {
        if self.unwritable.load(Ordering::Relaxed) {
            return Ok(());
        }
        let LayerInfo { digest, diff_id, size, .. } = *layer;
        let entry = Entry { hash: package.hash.clone(), installed, digest, diff_id, size };
        match self.append(&entry) {
            Err(error) if !self.unwritable.swap(true, Ordering::Relaxed) => Err(Error::io(&self.path, error)),
            _ => Ok(()),
        }
    }

    fn append(&self, entry: &Entry) -> io::Result<()> {
        let mut line = if self.torn.swap(false, Ordering::Relaxed) { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut line, entry)?;
        line.push(b'\n');
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        // Opened each time: another push to the same place may have finished and removed it.
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?.write_all(&line)
    }

    /// Forgets the packages that are tagged, and those that are not installed any more as they were.
    pub(super) fn forget(&self, tagged: &HashSet<DagHash>, database: &Database) {
        // What stays does no harm: it is checked before it is believed.
        let _ = self.keep(|entry| {
            !tagged.contains(&entry.hash) && entry.is_installed(&entry.installed.prefix, database)
        });
    }

    fn keep(&self, wanted: impl Fn(&Entry) -> bool) -> io::Result<()> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        let (kept, forgotten): (Vec<Entry>, Vec<Entry>) = read(&text).partition(wanted);
        if kept.is_empty() {
            return fs::remove_file(&self.path);
        }
        if forgotten.is_empty() {
            return Ok(());
        }
        let Some(directory) = self.path.parent() else { return Ok(()) };
        let mut lines = Vec::new();
        for entry in kept {
            serde_json::to_writer(&mut lines, &entry)?;
            lines.push(b'\n');
        }
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(&lines)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Entry {
    /// Whether the package is installed as it was when it was packed.
    fn is_installed(&self, prefix: &Path, database: &Database) -> bool {
        Installed::of(&self.hash, prefix, database).as_ref() == Some(&self.installed)
    }
}

/// The entries in a journal's text; what is none is passed over.
fn read(text: &[u8]) -> impl Iterator<Item = Entry> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
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
