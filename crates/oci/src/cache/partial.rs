//! [`Partial`]: a blob that is being downloaded into the cache, by one at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::BlobCache;
use crate::Digest;

/// How much is written at once. Whoever waits for the blob sees it grow by as much.
const CHUNK: usize = 64 << 10;

/// How often a file may turn out to be another one, as it does when others complete it, before that is taken for a
/// property of the file system.
const CLAIMS: u32 = 1000;

/// The beginning of a blob, in a file that nobody else writes to as long as this exists.
///
/// What was written stays when it is dropped, for the next to go on with.
pub(crate) struct Partial {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    /// How many bytes there are.
    length: u64,
}

impl BlobCache {
    /// The right to download the blob `digest` into the cache, with what there is of it; `None` while another has it,
    /// in this process or another.
    pub(crate) fn claim(&self, digest: &Digest) -> io::Result<Option<Partial>> {
        let path = self.partials().join(digest.hex());
        for _ in 0..CLAIMS {
            fs::create_dir_all(self.partials())?;
            let file = match File::options().append(true).create(true).mode(0o644).open(&path) {
                Ok(file) => file,
                // The directory was removed in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.partials().exists() => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if !is_at(&file, &path)? {
                continue;
            }
            let length = file.metadata()?.len();
            let file = BufWriter::with_capacity(CHUNK, file);
            return Ok(Some(Partial { file, path, target: self.path_of(digest), length }));
        }
        Err(io::Error::other(format!("{} is another file each time", path.display())))
    }

    /// How far another is with the blob `digest`.
    pub(crate) fn length_of_partial(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.partials().join(digest.hex())).ok().map(|metadata| metadata.len())
    }
}

impl Partial {
    /// How many bytes there are.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// A reader of what there is now.
    pub(crate) fn reader(&self) -> io::Result<impl Read + Send + use<>> {
        Ok(File::open(&self.path)?.take(self.length))
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what there is.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().set_len(0)?;
        self.length = 0;
        Ok(())
    }

    /// Makes it a blob of the cache.
    ///
    /// Nothing is told to reach the disk: after a crash the blob may be wrong or empty, and is found to be.
    pub(crate) fn complete(mut self) -> io::Result<()> {
        let outcome = self.file.flush().and_then(|()| self.publish());
        if outcome.is_err() {
            self.remove();
        }
        outcome
    }

    fn publish(&self) -> io::Result<()> {
        match fs::rename(&self.path, &self.target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = self.target.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::rename(&self.path, &self.target)
            }
            outcome => outcome,
        }
    }

    /// Removes it: it is not what it should be, or there is no room for it.
    pub(crate) fn discard(self) {
        self.remove();
    }

    /// Only ever what is locked by us: once it is completed, another may have begun anew under its name.
    fn remove(&self) {
        // What remains is found to be wrong later.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // The lock goes with the file; nothing is left of a download that brought nothing.
        if self.length == 0 && is_at(self.file.get_ref(), &self.path).unwrap_or(false) {
            self.remove();
        }
    }
}

/// Whether the file at `path` is `file`. Between its opening and its locking it may have been completed or removed;
/// then it is another one that others lock.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: PathBuf) -> Vec<u8> {
        fs::read(path).unwrap()
    }

    #[test]
    fn one_has_it_at_a_time_and_the_next_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path().join("not/yet/there"));
        let digest = Digest::of(b"abcdef");
        let mut first = cache.claim(&digest).unwrap().unwrap();
        assert!(cache.claim(&digest).unwrap().is_none());
        assert!(cache.claim(&Digest::of(b"other")).unwrap().is_some());
        first.append(b"abc").unwrap();
        drop(first);
        let mut second = cache.claim(&digest).unwrap().unwrap();
        assert_eq!(
            (second.length(), io::read_to_string(second.reader().unwrap()).unwrap()),
            (3, "abc".into())
        );
        second.append(b"def").unwrap();
        second.complete().unwrap();
        assert_eq!(read(cache.path_of(&digest)), b"abcdef");
        assert_eq!(cache.length_of_partial(&digest), None);
        assert_eq!(cache.claim(&digest).unwrap().unwrap().length(), 0, "another begins anew");
    }

    #[test]
    fn nothing_is_left_of_what_was_discarded_or_brought_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path());
        let digest = Digest::of(b"x");
        drop(cache.claim(&digest).unwrap());
        assert_eq!(cache.length_of_partial(&digest), None);
        let mut partial = cache.claim(&digest).unwrap().unwrap();
        partial.append(b"wrong").unwrap();
        partial.clear().unwrap();
        partial.append(b"bad").unwrap();
        assert_eq!(partial.length(), 3);
        partial.discard();
        assert_eq!(cache.length_of_partial(&digest), None);
    }

    #[test]
    fn what_was_opened_before_it_was_completed_is_not_what_has_its_name_now() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path());
        let digest = Digest::of(b"x");
        let mut first = cache.claim(&digest).unwrap().unwrap();
        first.append(b"x").unwrap();
        let opened = File::open(&first.path).unwrap();
        assert!(is_at(&opened, &first.path).unwrap());
        first.complete().unwrap();
        let second = cache.claim(&digest).unwrap().unwrap();
        assert!(!is_at(&opened, &second.path).unwrap());
        let path = second.path.clone();
        drop(second);
        assert!(!is_at(&opened, &path).unwrap(), "and nothing has its name now");
    }

    #[test]
    fn threads_that_contend_write_it_one_after_another() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path());
        let digest = Digest::of(b"x");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let mut partial = loop {
                            match cache.claim(&digest).unwrap() {
                                Some(partial) => break partial,
                                None => std::thread::yield_now(),
                            }
                        };
                        assert_eq!(partial.length(), 0, "whoever had it has completed it");
                        partial.append(b"whole").unwrap();
                        partial.complete().unwrap();
                        assert_eq!(read(cache.path_of(&digest)), b"whole");
                    }
                });
            }
        });
    }
}
