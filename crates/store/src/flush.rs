//! What has to be on the disk before a database names it: names always, contents where that is asked for.

use crate::replace_file::sync_directory;
use crate::stage::{StageError, failed};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Directories in which something got its name, to be flushed together.
///
/// On a file system with a journal the first flush writes what was changed in all of them; so many changes and then
/// their flushes cost little more than one of each, and a directory that many packages appear in is flushed once.
#[derive(Debug, Default)]
#[must_use = "names that are not flushed may be lost when the power fails"]
pub struct ChangedDirectories(BTreeSet<PathBuf>);

impl ChangedDirectories {
    /// Adds one.
    pub(crate) fn add(&mut self, directory: &Path) {
        if !self.0.contains(directory) {
            self.0.insert(directory.into());
        }
    }

    /// Makes the names in all of them durable.
    ///
    /// # Errors
    /// If the disk refuses: then nothing is known of any of them.
    pub fn flush(self) -> Result<(), StageError> {
        self.0.iter().try_for_each(|directory| sync_directory(directory).map_err(failed("flush", directory)))
    }
}

/// A file system that everything written to it is to be flushed of.
#[derive(Debug)]
pub struct FileSystem {
    directory: PathBuf,
    handle: File,
}

impl FileSystem {
    /// The file system that `directory` is on. To be opened before anything is written: the system reports what it could
    /// not write to whoever had the file system open at that time, and to nobody later.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn open(directory: &Path) -> Result<Self, StageError> {
        let handle = File::open(directory).map_err(failed("open", directory))?;
        Ok(Self { directory: directory.into(), handle })
    }

    /// Waits until all that was written, by anybody, has reached the disk.
    ///
    /// # Errors
    /// If some of it could not be written since this was opened. The system says so once and does not say of which file:
    /// nothing that was written in the meantime may be relied on, and to ask again is no use.
    pub fn flush(&self) -> Result<(), StageError> {
        let flushed = rustix::fs::syncfs(&self.handle).map_err(Into::into);
        flushed.map_err(failed("flush the file system of", &self.directory))
    }
}
