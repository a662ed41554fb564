//! A complete blob of the cache, looked for and verified.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::BlobCache;
use crate::{Descriptor, Digest};

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// What looking for a blob found.
pub(crate) enum Found {
    /// The blob, to be read from its beginning. Removing it does not touch whoever reads it.
    Blob(File),
    /// No such blob, or a wrong one, which is removed.
    Nothing,
    /// A wrong one, which cannot be removed.
    Stuck(io::Error),
}

impl BlobCache {
    /// The blob of `descriptor`, verified, and marked as used.
    pub(crate) fn find(&self, descriptor: &Descriptor) -> Found {
        let path = self.path_of(&descriptor.digest);
        // What cannot be opened or read is as good as absent, and is replaced if possible.
        let outcome = match File::open(&path) {
            Ok(file) => verified(file, descriptor),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => Err(error),
        };
        if let Ok(Some(file)) = outcome {
            // Not allowed to who is not the owner; then it counts as used when it was written.
            let _ = file.set_modified(SystemTime::now());
            return Found::Blob(file);
        }
        match fs::remove_file(&path) {
            Ok(()) => Found::Nothing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => Found::Stuck(error),
        }
    }

    /// Whether there seems to be such a blob.
    pub(crate) fn may_have(&self, digest: &Digest) -> bool {
        self.path_of(digest).exists()
    }
}

/// The file at its beginning, if it is the blob of `descriptor`.
fn verified(mut file: File, descriptor: &Descriptor) -> io::Result<Option<File>> {
    if file.metadata()?.len() != descriptor.size {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    let actual = Digest::from_sha256(hasher.finalize().into());
    Ok((actual == descriptor.digest).then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_if_it_is_right_and_removed_if_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path());
        let descriptor = Descriptor::of("m", b"right");
        assert!(matches!(cache.find(&descriptor), Found::Nothing));
        let path = cache.path_of(&descriptor.digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for wrong in [&b"wrong"[..], b"righ", b"right!", b""] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(cache.find(&descriptor), Found::Nothing));
            assert!(!path.exists(), "{wrong:?} is removed");
        }
        fs::write(&path, b"right").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let Found::Blob(file) = cache.find(&descriptor) else { panic!("it is there") };
        assert_eq!(io::read_to_string(file).unwrap(), "right");
        assert!(fs::metadata(&path).unwrap().modified().unwrap() > long_ago, "marked as used");
    }

    #[test]
    fn a_directory_in_the_place_of_a_blob_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(directory.path());
        let descriptor = Descriptor::of("m", b"right");
        fs::create_dir_all(cache.path_of(&descriptor.digest)).unwrap();
        assert!(matches!(cache.find(&descriptor), Found::Stuck(_)));
    }
}
