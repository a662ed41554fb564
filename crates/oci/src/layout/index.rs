//! `index.json`: which tag points at which manifest.
//!
//! It is replaced as a whole, by a rename, so that readers need no lock. Writers read, change and replace it under the
//! lock they share.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::directory::INDEX;
use super::sync_directory;
use super::write_access::WriteAccess;
use crate::descriptor::REF_NAME;
use crate::{Descriptor, Digest, Error, ImageIndex, TagName};

/// Tells one state of the file from the next: a rename brings another inode, an edit in place other times.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

/// The index, and where in it each tag is.
#[derive(Clone, Default)]
pub(super) struct TaggedIndex {
    document: ImageIndex,
    by_tag: HashMap<String, usize>,
}

impl TaggedIndex {
    fn new(document: ImageIndex) -> Self {
        let mut by_tag = HashMap::new();
        for (at, entry) in document.manifests.iter().enumerate() {
            if let Some(tag) = entry.ref_name() {
                // Should somebody else have written a tag twice, skopeo takes the first.
                by_tag.entry(tag.to_string()).or_insert(at);
            }
        }
        Self { document, by_tag }
    }

    pub(super) fn entry(&self, tag: &TagName) -> Option<&Descriptor> {
        self.by_tag.get(tag.as_str()).map(|&at| &self.document.manifests[at])
    }

    /// Some entry of the manifest with this digest.
    pub(super) fn entry_of(&self, digest: &Digest) -> Option<&Descriptor> {
        self.document.manifests.iter().find(|entry| entry.digest == *digest)
    }

    /// All tags, in no order.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.by_tag.keys().map(String::as_str)
    }

    /// Makes `tag` point at `manifest` alone. What else its entry said (a platform, say) was about another manifest.
    fn set(&mut self, tag: &TagName, mut manifest: Descriptor) {
        manifest.annotations.insert(REF_NAME.to_string(), tag.to_string());
        let entries = &mut self.document.manifests;
        let Some(&at) = self.by_tag.get(tag.as_str()) else {
            self.by_tag.insert(tag.to_string(), entries.len());
            entries.push(manifest);
            return;
        };
        entries[at] = manifest;
        let is_tag = |entry: &Descriptor| entry.ref_name() == Some(tag.as_str());
        if entries[at + 1..].iter().any(is_tag) {
            let mut position = 0..;
            entries.retain(|entry| position.next() == Some(at) || !is_tag(entry));
            *self = Self::new(std::mem::take(&mut self.document));
        }
    }
}

pub(super) struct IndexFile {
    directory: PathBuf,
    path: PathBuf,
    /// The last state read. Asking for ten thousand tags one by one must not parse the file ten thousand times.
    last: Mutex<Option<(Stamp, Arc<TaggedIndex>)>>,
}

impl IndexFile {
    pub(super) fn new(layout: &Path) -> Self {
        Self { directory: layout.to_path_buf(), path: layout.join(INDEX), last: Mutex::new(None) }
    }

    /// The index; `None` if there is no file.
    pub(super) fn read(&self) -> Result<Option<Arc<TaggedIndex>>, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let present = match fs::metadata(&self.path) {
            Ok(metadata) => stamp(&metadata),
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
        let opened = stamp(&file.metadata().map_err(Error::io("read", &self.path))?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let index = ImageIndex::parse(&bytes).map_err(Error::document(self.path.display().to_string()))?;
        let index = Arc::new(TaggedIndex::new(index));
        *last = Some((opened, Arc::clone(&index)));
        Ok(Some(index))
    }

    /// Makes `tag` point at `manifest` while no other writer changes the index, if `check` agrees. Nothing is written
    /// if it does so already.
    pub(super) fn set_tag(
        &self,
        access: &WriteAccess,
        tag: &TagName,
        manifest: Descriptor,
        check: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _guard = access.lock_index()?;
        let index = self.read()?.unwrap_or_default();
        check()?;
        if index.entry(tag).is_some_and(|entry| same_target(entry, &manifest)) {
            return Ok(());
        }
        // The copy kept for readers is given up first: then there is mostly none to be made of a long list.
        self.remember(None);
        let mut index = Arc::unwrap_or_clone(index);
        index.set(tag, manifest);
        let bytes = index.document.to_bytes();
        let bytes = bytes.map_err(Error::document(self.path.display().to_string()))?;
        let (mut file, scratch) = access.create_file()?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", &scratch))?;
        fs::rename(&scratch, &self.path).map_err(Error::io("replace", &self.path))?;
        self.remember(file.metadata().ok().map(|metadata| (stamp(&metadata), Arc::new(index))));
        sync_directory(&self.directory)
    }

    fn remember(&self, state: Option<(Stamp, Arc<TaggedIndex>)>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Whether both point at the same manifest, whatever else they say of it.
fn same_target(one: &Descriptor, other: &Descriptor) -> bool {
    (&one.media_type, one.digest, one.size) == (&other.media_type, other.digest, other.size)
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}
