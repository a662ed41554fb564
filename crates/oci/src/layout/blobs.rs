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
            return Ok(Uploaded { existed: true });
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
        fs::rename(&ready, &path).map_err(Error::io("rename a file to", &path))?;
        Ok(Uploaded { existed: false })
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
