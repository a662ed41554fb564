//! Indexes that are kept on this machine in a form that need not be parsed: one file for each cache.
//!
//! ```text
//! digest of the index       32 bytes
//! length of the notes       4 bytes, little-endian
//! notes                     JSON: the records that are not understood
//! catalog                   as it writes itself: tables, and the document for the JSON of nodes
//! ```
//!
//! The name of the file is the digest of the cache's URL, its time of modification when the cache was last known to have
//! that index. A file is never changed but replaced as a whole, by whoever finds that it is out of date; who reads the
//! old one goes on reading it. It is not flushed to disk: a catalog knows by its checksums what is not as it was written,
//! and is then made anew.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use strata_oci::{Digest, INDEX_DRAFT, RepositoryUrl};
use strata_spec::Catalog;
use strata_spec::catalog::{Document, HEADER_LENGTH, Skipped, lengths};

/// How many bytes of notes there may be: more are nobody's.
const MOST_NOTES: u32 = 16 << 20;

/// Where the index of one cache is kept.
pub(super) struct Place {
    directory: PathBuf,
    path: PathBuf,
}

/// An index that was kept.
pub(super) struct Kept {
    pub(super) catalog: Catalog,
    pub(super) skipped: Vec<Skipped>,
    /// When the cache was last known to have it.
    pub(super) as_of: SystemTime,
}

impl Place {
    pub(super) fn of(directory: &Path, cache: &RepositoryUrl) -> Self {
        let path = directory.join(Digest::of(cache.to_string().as_bytes()).hex());
        Self { directory: directory.to_owned(), path }
    }

    /// The index with that digest, if it is kept and was not damaged; or whichever is.
    ///
    /// # Errors
    /// For a file that is no index, or cannot be read.
    pub(super) fn open(&self, digest: Option<&Digest>) -> io::Result<Option<Kept>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            outcome => outcome?,
        };
        let mut found = [0; 32];
        file.read_exact(&mut found)?;
        if digest.is_some_and(|digest| *digest.as_bytes() != found) {
            return Ok(None);
        }
        let metadata = file.metadata()?;
        let (skipped, from) = notes(&mut file)?;
        let mut header = [0; HEADER_LENGTH];
        file.read_exact(&mut header)?;
        let (tables, document) = lengths(&header).map_err(io::Error::other)?;
        if metadata.len().checked_sub(from) != Some(tables + document) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(tables).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, from)?;
        let document = InFile { file, from: from + tables };
        let catalog = Catalog::open(bytes, Box::new(document)).map_err(io::Error::other)?;
        Ok(Some(Kept { catalog, skipped, as_of: metadata.modified()? }))
    }

    /// Notes that the cache still has the index that is kept.
    pub(super) fn confirm(&self) {
        // A directory that cannot be written may be read all the same.
        let file = File::options().write(true).open(&self.path);
        let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Keeps an index.
    pub(super) fn keep(&self, digest: &Digest, catalog: &Catalog, skipped: &[Skipped]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let draft = tempfile::Builder::new().prefix(INDEX_DRAFT).tempfile_in(&self.directory)?;
        // So that it is not taken for one that a killed process left.
        draft.as_file().lock()?;
        let mut out = BufWriter::with_capacity(1 << 17, draft.as_file());
        let notes = serde_json::to_vec(skipped)?;
        let length = u32::try_from(notes.len()).ok().filter(|length| *length <= MOST_NOTES);
        let notes = if length.is_some() { &*notes } else { b"[]" };
        out.write_all(digest.as_bytes())?;
        out.write_all(&(notes.len() as u32).to_le_bytes())?;
        out.write_all(notes)?;
        catalog.write(&mut out)?;
        out.flush()?;
        drop(out);
        draft.persist(&self.path)?;
        Ok(())
    }
}

/// The records that are not understood, and where the catalog begins.
fn notes(file: &mut File) -> io::Result<(Vec<Skipped>, u64)> {
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MOST_NOTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut notes = vec![0; length as usize];
    file.read_exact(&mut notes)?;
    Ok((serde_json::from_slice(&notes)?, 32 + 4 + u64::from(length)))
}

/// A document at the end of a file.
struct InFile {
    file: File,
    from: u64,
}

impl Document for InFile {
    fn read(&self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // Whatever the length says, no more memory is taken than there are bytes.
        if from + length as u64 > self.file.metadata()?.len().saturating_sub(self.from) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.resize(length, 0);
        self.file.read_exact_at(&mut bytes, self.from + from)?;
        Ok(bytes)
    }
}
