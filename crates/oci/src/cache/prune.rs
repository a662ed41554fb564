//! Making room in the cache.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::inventory::{Kept, Kind};
use super::partial::is_at;
use super::{BlobCache, PruneOptions, Pruned};
use crate::Error;

/// How long what was begun may wait for somebody to finish it.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

impl BlobCache {
    /// Removes what `options` say, and never what is being downloaded at the moment.
    ///
    /// # Errors
    /// [`Error::Io`] for what cannot be read or removed; what was removed before stays so.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned, Error> {
        let mut all = self.inventory()?;
        all.sort_by_key(|kept| kept.used);
        let now = SystemTime::now();
        let mut left: u64 = all.iter().map(|kept| kept.size).sum();
        let mut pruned = Pruned::default();
        for kept in all {
            let too_much = options.max_bytes.is_some_and(|most| left > most);
            if (too_much || is_expired(&kept, options, now)) && remove(&kept)? {
                left -= kept.size;
                pruned.blobs += 1;
                pruned.bytes += kept.size;
            } else {
                pruned.kept += 1;
                pruned.kept_bytes += kept.size;
            }
        }
        Ok(pruned)
    }
}

fn is_expired(kept: &Kept, options: &PruneOptions, now: SystemTime) -> bool {
    // A clock that was put back makes things of the future: they are new.
    let age = now.duration_since(kept.used).unwrap_or_default();
    options.everything
        || options.unused_for.is_some_and(|limit| age >= limit)
        || (kept.kind == Kind::Partial && age >= ABANDONED)
}

/// Removes a file; false if somebody is writing it.
fn remove(kept: &Kept) -> Result<bool, Error> {
    // The lock is held until the file is gone, so that nobody begins to write it in between.
    let _locked = if kept.kind != Kind::Partial {
        None
    } else {
        match locked(&kept.path).map_err(Error::io("lock", &kept.path))? {
            Some(file) => Some(file),
            None => return Ok(false),
        }
    };
    match fs::remove_file(&kept.path) {
        // Another who prunes was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        outcome => outcome.map(|()| true).map_err(Error::io("remove", &kept.path)),
    }
}

fn locked(path: &Path) -> io::Result<Option<File>> {
    // For writing: NFS gives no exclusive lock to who only reads.
    let file = match File::options().write(true).open(path) {
        // It was completed, or removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    match file.try_lock() {
        // Once it was completed, it is another one that is being written under its name.
        Ok(()) => Ok(is_at(&file, path)?.then_some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CacheInfo, Digest};

    const HOUR: Duration = Duration::from_secs(3600);

    /// A cache with blobs of 10 bytes, last used so many hours ago.
    fn cache(hours: &[u32]) -> (tempfile::TempDir, BlobCache, Vec<Digest>) {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path());
        let digests = hours
            .iter()
            .map(|hours| {
                let content = format!("{hours:010}");
                let digest = Digest::of(content.as_bytes());
                let mut partial = cache.claim(&digest).unwrap().unwrap();
                partial.append(content.as_bytes()).unwrap();
                partial.complete().unwrap();
                age(&cache.path_of(&digest), *hours);
                digest
            })
            .collect();
        (directory, cache, digests)
    }

    fn age(path: &Path, hours: u32) {
        let used = SystemTime::now() - HOUR * hours;
        File::options().write(true).open(path).unwrap().set_modified(used).unwrap();
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let (_directory, cache, digests) = cache(&[3, 1, 2]);
        let pruned = cache.prune(&PruneOptions { max_bytes: Some(25), ..PruneOptions::default() }).unwrap();
        assert_eq!(pruned, Pruned { blobs: 1, bytes: 10, kept: 2, kept_bytes: 20 });
        assert_eq!(digests.map_exists(&cache), [false, true, true]);
        let pruned =
            cache.prune(&PruneOptions { unused_for: Some(HOUR * 2), ..PruneOptions::default() }).unwrap();
        assert_eq!((pruned.blobs, pruned.kept), (1, 1));
        assert_eq!(digests.map_exists(&cache), [false, true, false]);
        let pruned = cache.prune(&PruneOptions::default()).unwrap();
        assert_eq!((pruned.blobs, pruned.kept), (0, 1), "nothing was asked for");
        let pruned = cache.prune(&PruneOptions { everything: true, ..PruneOptions::default() }).unwrap();
        assert_eq!((pruned.blobs, pruned.kept), (1, 0));
        assert_eq!(cache.info().unwrap(), CacheInfo::default());
    }

    trait MapExists {
        fn map_exists(&self, cache: &BlobCache) -> Vec<bool>;
    }

    impl MapExists for Vec<Digest> {
        fn map_exists(&self, cache: &BlobCache) -> Vec<bool> {
            self.iter().map(|digest| cache.path_of(digest).exists()).collect()
        }
    }

    #[test]
    fn what_was_begun_goes_after_a_day_and_never_while_it_is_written() {
        let (_directory, cache, _) = cache(&[1]);
        let [held, old, new] = [&b"held"[..], b"old", b"new"].map(Digest::of);
        let begin = |digest| {
            let mut partial = cache.claim(digest).unwrap().unwrap();
            partial.append(&[0; 1 << 17]).unwrap();
            partial
        };
        let writing = begin(&held);
        drop((begin(&old), begin(&new)));
        for digest in [&held, &old] {
            age(&cache.partials().join(digest.hex()), 25);
        }
        let info = cache.info().unwrap();
        assert_eq!((info.blobs, info.bytes, info.partial, info.partial_bytes), (1, 10, 3, 3 << 17));
        assert!(info.oldest.is_some());
        let pruned = cache.prune(&PruneOptions::default()).unwrap();
        assert_eq!((pruned.blobs, pruned.kept), (1, 3));
        assert_eq!(cache.length_of_partial(&old), None);
        let pruned = cache.prune(&PruneOptions { everything: true, ..PruneOptions::default() }).unwrap();
        assert_eq!((pruned.blobs, pruned.kept), (2, 1));
        assert!(cache.length_of_partial(&held).is_some());
        writing.complete().unwrap();
        assert_eq!(cache.info().unwrap().blobs, 1);
    }

    #[test]
    fn indexes_in_another_form_are_counted_and_go_like_blobs() {
        let (_directory, cache, digests) = cache(&[1]);
        fs::create_dir(cache.indexes()).unwrap();
        let [old, new] = ["old", "new"].map(|url| cache.indexes().join(Digest::of(url.as_bytes()).hex()));
        let draft = cache.indexes().join(format!("{}x", crate::INDEX_DRAFT));
        for (path, hours) in [(&old, 9), (&new, 0), (&draft, 0)] {
            fs::write(path, "12345").unwrap();
            age(path, hours);
        }
        let info = cache.info().unwrap();
        assert_eq!((info.blobs, info.indexes, info.index_bytes, info.partial), (1, 2, 10, 1));
        let writing = File::options().write(true).open(&draft).unwrap();
        writing.lock().unwrap();
        let unused = PruneOptions { unused_for: Some(HOUR * 2), ..PruneOptions::default() };
        assert_eq!(cache.prune(&unused).unwrap().blobs, 1);
        assert_eq!((old.exists(), new.exists(), digests.map_exists(&cache)), (false, true, vec![true]));
        cache.prune(&PruneOptions { everything: true, ..PruneOptions::default() }).unwrap();
        assert_eq!((new.exists(), draft.exists()), (false, true), "what is being written stays");
        drop(writing);
        cache.prune(&PruneOptions { everything: true, ..PruneOptions::default() }).unwrap();
        assert!(!draft.exists());
    }

    #[test]
    fn what_others_put_there_is_left_alone() {
        let (directory, cache, _) = cache(&[1]);
        for path in ["notes", "blobs/notes", "blobs/sha256/notes", "blobs/sha256/00", "partial/notes"] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let pruned = cache.prune(&PruneOptions { everything: true, ..PruneOptions::default() }).unwrap();
        assert_eq!((pruned.blobs, pruned.kept), (1, 0));
        assert!(directory.path().join("partial/notes").exists());
    }
}
