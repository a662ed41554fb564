//! `index.json`: which tag points at which manifest, and which manifests are there without a tag.
//!
//! It is replaced as a whole, by a rename, so that readers need no lock. Writers read, change and replace it under the
//! lock they share. How the changes of many threads come to share one replacement is in `changes`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::blobs::Blobs;
use super::changes::{Change, Changes, Waiting};
use super::directory::INDEX;
use super::sync_directory;
use super::tagged_index::TaggedIndex;
use super::write_access::WriteAccess;
use crate::{Error, FileStamp, ImageIndex};

/// For how long a file that is no index may be one that is being written, and how often and at what intervals (20 ms)
/// it is read again then.
const JUST_WRITTEN: Duration = Duration::from_secs(2);
const HALF_WRITTEN_TRIES: u32 = 25;
const HALF_WRITTEN_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct IndexFile {
    directory: PathBuf,
    path: PathBuf,
    /// The last state read. Asking for ten thousand tags one by one must not parse the file ten thousand times.
    last: Mutex<Option<(FileStamp, Arc<TaggedIndex>)>>,
    changes: Changes,
    /// Whether a replacement failed half-way: what the file says may then not be durable.
    doubtful: AtomicBool,
    #[cfg(test)]
    pub(super) rewrites: std::sync::atomic::AtomicUsize,
}

impl IndexFile {
    pub(super) fn new(layout: &Path) -> Self {
        Self {
            directory: layout.to_path_buf(),
            path: layout.join(INDEX),
            last: Mutex::new(None),
            changes: Changes::default(),
            doubtful: AtomicBool::new(false),
            #[cfg(test)]
            rewrites: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// The index; `None` if there is no file.
    ///
    /// skopeo and podman write the file in place. What is no index just after it was written may be half of one, and
    /// is read again for a while.
    pub(super) fn read(&self) -> Result<Option<Arc<TaggedIndex>>, Error> {
        for _ in 0..HALF_WRITTEN_TRIES {
            match self.try_read() {
                Err(Error::Document { .. }) if self.was_just_written() => thread::sleep(HALF_WRITTEN_PAUSE),
                outcome => return outcome,
            }
        }
        self.try_read()
    }

    fn was_just_written(&self) -> bool {
        let written = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        // A clock that has been put back makes it new, too.
        written.is_ok_and(|written| written.elapsed().map_or(true, |age| age < JUST_WRITTEN))
    }

    fn try_read(&self) -> Result<Option<Arc<TaggedIndex>>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let present = match fs::metadata(&self.path) {
            Ok(metadata) => FileStamp::of(&metadata),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(Error::io("read", &self.path)(error)),
        };
        if let Some((known, index)) = &*last
            && *known == present
        {
            return Ok(Some(Arc::clone(index)));
        }
        let mut file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        // Of the file that is open, which may be a newer one than that looked at above.
        let opened = FileStamp::of(&file.metadata().map_err(Error::io("read", &self.path))?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let index = ImageIndex::parse(&bytes).map_err(Error::document(self.path.display().to_string()))?;
        let index = Arc::new(TaggedIndex::new(index));
        *last = Some((opened, Arc::clone(&index)));
        Ok(Some(index))
    }

    /// Makes the change while no other writer changes the index; true if what it is about was in the index before.
    /// The file is not replaced if it says so already. On return the change is durable.
    pub(super) fn apply(&self, access: &WriteAccess, blobs: &Blobs, change: Change) -> Result<bool, Error> {
        self.changes.share(change, |batch| self.replace(access, blobs, batch))
    }

    /// Makes all changes whose needs are met in one replacement of the file, and tells each what came of it.
    fn replace(&self, access: &WriteAccess, blobs: &Blobs, batch: &[Arc<Waiting>]) -> Result<(), Error> {
        let _guard = access.lock_index()?;
        let index = self.read()?.unwrap_or_default();
        let (accepted, refused): (Vec<_>, Vec<_>) = batch
            .iter()
            .map(|waiting| (waiting, waiting.change.check(blobs)))
            .partition(|(_, check)| check.is_ok());
        if !accepted.is_empty() {
            blobs.sync_names()?;
        }
        let doubtful = self.doubtful.load(Ordering::Relaxed);
        let already = |waiting: &Waiting| index.agrees_with(&waiting.change.action);
        let outcomes = if !doubtful && accepted.iter().all(|(waiting, _)| already(waiting)) {
            // Whoever wrote it may have been killed before it was durable.
            sync_directory(&self.directory)?;
            accepted.iter().map(|(waiting, _)| index.has(&waiting.change.action)).collect()
        } else {
            // The copy kept for readers is given up first: then there is mostly none to be made of a long list.
            self.remember(None);
            let mut index = Arc::unwrap_or_clone(index);
            let outcomes: Vec<bool> =
                accepted.iter().map(|(waiting, _)| index.apply(&waiting.change.action)).collect();
            self.doubtful.store(true, Ordering::Relaxed);
            self.write(access, index)?;
            self.doubtful.store(false, Ordering::Relaxed);
            outcomes
        };
        for ((waiting, _), outcome) in accepted.into_iter().zip(outcomes) {
            waiting.finish(Ok(outcome));
        }
        for (waiting, check) in refused {
            waiting.finish(check.map(|()| false));
        }
        Ok(())
    }

    fn write(&self, access: &WriteAccess, index: TaggedIndex) -> Result<(), Error> {
        #[cfg(test)]
        self.rewrites.fetch_add(1, Ordering::Relaxed);
        let bytes = index.document().to_bytes();
        let bytes = bytes.map_err(Error::document(self.path.display().to_string()))?;
        let file = access.replace(&self.path, &bytes)?;
        self.remember(file.metadata().ok().map(|metadata| (FileStamp::of(&metadata), Arc::new(index))));
        sync_directory(&self.directory)
    }

    /// How many changes are in the queue.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.changes.waiting()
    }

    fn remember(&self, state: Option<(FileStamp, Arc<TaggedIndex>)>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
