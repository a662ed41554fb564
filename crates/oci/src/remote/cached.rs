//! [`CachedBlobs`]: blobs through the blob cache.
//!
//! A cache may make a download unnecessary, and must never make one fail: whatever is wrong with it, the blob is
//! downloaded without it.

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use super::keeping::Keeping;
use super::transport::{Listener, Notice};
use crate::cache::{Found, Partial};
use crate::{BlobCache, BlobError, Descriptor, Error, ErrorKind, VerifyingReader};

/// How often it is looked whether another's download has come to its end: often at first, for small blobs.
const LOOK_AFTER: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Blobs through the cache, and from the registry where it lacks them.
pub(super) struct CachedBlobs<'a, D> {
    cache: &'a BlobCache,
    listener: &'a Listener,
    /// Gives the bytes of the blob from some place on, not verified.
    download: D,
}

impl<'a, D> CachedBlobs<'a, D>
where
    D: Fn(u64) -> Result<Box<dyn Read + Send>, Error>,
{
    pub(super) fn new(cache: &'a BlobCache, listener: &'a Listener, download: D) -> Self {
        Self { cache, listener, download }
    }

    /// A verifying reader of the blob, which is at `location`; `None` if it is to be downloaded without the cache.
    ///
    /// A thread that asks for a blob while it holds an unfinished reader of the same blob waits for itself: the
    /// cache's patience ends that.
    pub(super) fn reader(
        &self,
        descriptor: &Descriptor,
        location: &str,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let mut watch = Watch::new(self.cache.patience());
        loop {
            match self.cache.find(descriptor) {
                Found::Blob(file) => {
                    let path = self.cache.path_of(&descriptor.digest).display().to_string();
                    return Ok(Some(Box::new(VerifyingReader::new(file, path, descriptor))));
                }
                Found::Nothing => {}
                Found::Stuck(error) => {
                    self.unusable(&error);
                    return Ok(None);
                }
            }
            if !self.cache.is_usable() {
                return Ok(None);
            }
            match self.cache.claim(&descriptor.digest) {
                // It may have been completed after it was looked for.
                Ok(Some(_)) if self.cache.may_have(&descriptor.digest) => {}
                Ok(Some(partial)) if partial.length() == 0 => {
                    return self.keeping(partial, descriptor, location);
                }
                Ok(Some(partial)) => {
                    if let Some(partial) = self.finish(partial, descriptor, location)? {
                        return self.keeping(partial, descriptor, location);
                    }
                }
                Ok(None) => {
                    if !watch.goes_on(self.cache.length_of_partial(&descriptor.digest)) {
                        return Ok(None);
                    }
                }
                Err(error) => {
                    self.unusable(&error);
                    return Ok(None);
                }
            }
        }
    }

    /// Downloads the blob to the caller, and into the cache along the way.
    fn keeping(
        &self,
        partial: Partial,
        descriptor: &Descriptor,
        location: &str,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let bytes = (self.download)(0)?;
        let verified = VerifyingReader::new(bytes, location, descriptor);
        Ok(Some(Box::new(Keeping::new(verified, partial, descriptor.size, self.cache, self.listener))))
    }

    /// Downloads into the cache what is missing of a blob. Gives the empty partial back if that was in vain; what was
    /// there before may have been wrong, and none of it may be handed out before all is verified.
    fn finish(
        &self,
        mut partial: Partial,
        descriptor: &Descriptor,
        location: &str,
    ) -> Result<Option<Partial>, Error> {
        let there = partial.length();
        let rest: Box<dyn Read + Send> = if there < descriptor.size {
            match (self.download)(there) {
                Ok(rest) => rest,
                // It has fewer bytes than we, or cannot give a part; it may give the whole.
                Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Corrupt) => {
                    return self.emptied(partial);
                }
                Err(error) => return Err(error),
            }
        } else {
            Box::new(io::empty())
        };
        let begun = match partial.reader() {
            Ok(begun) => begun,
            Err(_) => return self.emptied(partial),
        };
        let mut verified = VerifyingReader::new(begun.chain(rest), location, descriptor);
        let mut buffer = vec![0; 256 << 10];
        let mut position = 0;
        loop {
            match verified.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    // A read gives bytes of the one or of the other.
                    if position >= there
                        && let Err(error) = partial.append(&buffer[..count])
                    {
                        partial.discard();
                        self.unusable(&error);
                        return Ok(None);
                    }
                    position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return match BlobError::of(&error) {
                        Some(BlobError::Interrupted { .. }) => Err(Error::from_read(error, location)),
                        _ => self.emptied(partial),
                    };
                }
            }
        }
        if let Err(error) = partial.complete() {
            self.unusable(&error);
        }
        Ok(None)
    }

    fn emptied(&self, mut partial: Partial) -> Result<Option<Partial>, Error> {
        match partial.clear() {
            Ok(()) => Ok(Some(partial)),
            Err(error) => {
                partial.discard();
                self.unusable(&error);
                Ok(None)
            }
        }
    }

    fn unusable(&self, error: &io::Error) {
        tell(self.cache, self.listener, error);
    }
}

/// Tells, the first time, that nothing can be kept.
pub(super) fn tell(cache: &BlobCache, listener: &Listener, error: &io::Error) {
    if cache.give_up() {
        let directory = cache.directory().to_path_buf();
        listener(&Notice::CacheUnusable { directory, cause: error.to_string() });
    }
}

/// Watches another's download.
struct Watch {
    patience: Duration,
    /// How far it was, and since when.
    seen: Option<(Option<u64>, Instant)>,
    look_after: Duration,
}

impl Watch {
    fn new(patience: Duration) -> Self {
        Self { patience, seen: None, look_after: LOOK_AFTER.0 }
    }

    /// Waits a moment; false if it has stood still at `length` for too long.
    fn goes_on(&mut self, length: Option<u64>) -> bool {
        match self.seen {
            Some((before, since)) if before == length => {
                if since.elapsed() >= self.patience {
                    return false;
                }
            }
            _ => self.seen = Some((length, Instant::now())),
        }
        thread::sleep(self.look_after);
        self.look_after = (self.look_after * 2).min(LOOK_AFTER.1);
        true
    }
}
