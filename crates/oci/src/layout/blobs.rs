//! The blobs of a layout: files named by the digest of their content, complete or not there at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::sync_directory;
use super::write_access::WriteAccess;
use crate::{BlobError, BlobKind, BlobSource, Descriptor, Digest, Error, Uploaded, VerifyingReader};

/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

pub(super) struct Blobs {
    directory: PathBuf,
}

impl Blobs {
    pub(super) fn new(layout: &Path) -> Self {
        Self { directory: layout.join("blobs/sha256") }
    }

    /// Where the blob is, or would be.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// The size of the blob's file, if there is one.
    pub(super) fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Puts a blob that was found right, by a rename. A file of that name with another size, such as a disk that ran
    /// full leaves behind other tools, is replaced.
    pub(super) fn put(&self, source: &BlobSource, access: &WriteAccess) -> Result<Uploaded, Error> {
        if self.size(&source.digest)? == Some(source.size) {
            return Ok(Uploaded { existed: true, mounted: false });
        }
        let ready = match &source.kind {
            BlobKind::Bytes(bytes) => {
                copy_verified(&bytes[..], Path::new("the blob to be put"), source, access)?
            }
            BlobKind::File(path) => {
                let mut file = File::open(path).map_err(Error::io("read", path))?;
                if path.starts_with(access.directory()) {
                    verified(&mut file, path, source, (&mut io::sink(), path))?;
                    access.share(&file, path)?;
                    file.sync_all().map_err(Error::io("synchronize", path))?;
                    path.clone()
                } else {
                    copy_verified(file, path, source, access)?
                }
            }
        };
        let path = self.path(&source.digest);
        if let Err(error) = fs::rename(&ready, &path) {
            if !matches!(&source.kind, BlobKind::File(given) if *given == ready) {
                let _ = fs::remove_file(&ready);
            }
            return Err(Error::io("rename a file to", &path)(error));
        }
        Ok(Uploaded { existed: false, mounted: false })
    }

    /// Takes a file of this file system, whose bytes were found right while they were written, by a rename.
    pub(super) fn adopt(
        &self,
        path: &Path,
        digest: &Digest,
        size: u64,
        access: &WriteAccess,
    ) -> Result<Uploaded, Error> {
        if self.size(digest)? == Some(size) {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
            return Ok(Uploaded { existed: true, mounted: false });
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        access.share(&file, path)?;
        file.sync_all().map_err(Error::io("synchronize", path))?;
        let target = self.path(digest);
        fs::rename(path, &target).map_err(Error::io("rename a file to", &target))?;
        Ok(Uploaded { existed: false, mounted: false })
    }

    /// Gives a blob of another layout a second name here, or copies it where that cannot be; false if it is not there.
    pub(super) fn link_from(
        &self,
        other: &Self,
        digest: &Digest,
        access: &WriteAccess,
    ) -> Result<bool, Error> {
        let Some(size) = other.size(digest)? else { return Ok(false) };
        if self.size(digest)? == Some(size) {
            return Ok(true);
        }
        let (from, to) = (other.path(digest), self.path(digest));
        // Not of a symbolic link, which would lead nowhere from here.
        match fs::canonicalize(&from).and_then(|file| fs::hard_link(file, &to)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => Ok(false),
            // Another file system, too many links, or a damaged file of that name.
            Err(_) => self.put(&BlobSource::file(from, *digest, size), access).map(|_| true),
        }
    }

    /// Makes a blob of another layout one of this, with no bytes copied: as a second name of the same file, or as a file that
    /// shares its blocks. False if the file systems cannot do that.
    pub(super) fn share_with(
        &self,
        other: &Self,
        digest: &Digest,
        access: &WriteAccess,
    ) -> Result<bool, Error> {
        let to = self.path(digest);
        // Where a blob is a symbolic link, that would get the second name, and lead nowhere from here.
        let Ok(from) = fs::canonicalize(other.path(digest)) else { return Ok(false) };
        if fs::hard_link(&from, &to).is_ok() {
            return Ok(true);
        }
        // The file may be another user's, or have too many names, or there may be a damaged one in its place.
        let Ok(source) = File::open(&from) else { return Ok(false) };
        let (file, path) = access.create_file()?;
        let shared = rustix::fs::ioctl_ficlone(&file, &source).is_ok()
            && file.sync_all().is_ok()
            && fs::rename(&path, &to).is_ok();
        if !shared {
            let _ = fs::remove_file(&path);
        }
        Ok(shared)
    }

    /// Removes a blob; false if it is not there.
    pub(super) fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(Error::io("remove", &path)(error)),
        }
    }

    /// Makes the names of all blobs durable. Done once before a tag points at them, whoever put them there.
    pub(super) fn sync_names(&self) -> Result<(), Error> {
        sync_directory(&self.directory)
    }
}

/// A new file in the scratch directory with the bytes of `reader`, which are those of `source`.
fn copy_verified(
    reader: impl Read,
    location: &Path,
    source: &BlobSource,
    access: &WriteAccess,
) -> Result<PathBuf, Error> {
    let (mut file, path) = access.create_file()?;
    let written = verified(reader, location, source, (&mut file, &path))
        .and_then(|()| file.sync_all().map_err(Error::io("synchronize", &path)));
    if let Err(error) = written {
        // Dropping the access would remove it too, but one that is held for long should not collect what failed.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(path)
}

/// Passes the bytes of `reader` to the writer, with its path; an error if they are not those of `source`.
fn verified(
    reader: impl Read,
    location: &Path,
    source: &BlobSource,
    (writer, target): (&mut impl Write, &Path),
) -> Result<(), Error> {
    let descriptor = Descriptor::new("", source.digest, source.size);
    let mut reader = VerifyingReader::new(reader, location.display().to_string(), &descriptor);
    let mut chunk = vec![0; CHUNK.min(usize::try_from(source.size).unwrap_or(CHUNK)).max(1)];
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if BlobError::of(&error).is_some() => return Err(Error::from_read(error, location)),
            Err(error) => return Err(Error::io("read", location)(error)),
        };
        writer.write_all(&chunk[..count]).map_err(Error::io("write", target))?;
    }
}
