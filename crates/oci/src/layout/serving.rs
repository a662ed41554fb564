//! What a registry over a layout needs beyond the [`Repository`](crate::Repository) trait.
//!
//! A layout that strata, skopeo or podman write to forgets a manifest when its last tag moves away. A registry must
//! not: who has resolved the tag a moment ago pulls by digest. So here, what loses its last tag stays in `index.json`
//! as an entry without a name, which other tools pass over.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::directory::{self, OURS, State};
use super::{Action, LayoutRepository, Replaced};
use crate::{Descriptor, Digest, Error, ImageIndex, TagName, Uploaded, media_type};

impl LayoutRepository {
    /// The directory of the layout.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether `directory` is an image layout.
    ///
    /// # Errors
    /// [`Error::NotALayout`] if it is none and must not become one.
    pub fn is_layout(directory: &Path) -> Result<bool, Error> {
        directory::examine(directory).map(|state| state == State::Layout)
    }

    /// Makes the layout if it is not there yet.
    ///
    /// # Errors
    /// Those of the disk; [`Error::NotALayout`] where something else is.
    pub fn create(&self) -> Result<(), Error> {
        self.access().map(|_| ())
    }

    /// As [`put_manifest`](crate::Repository::put_manifest), but the manifest that the tag pointed at stays.
    ///
    /// # Errors
    /// Those of `put_manifest`.
    pub fn put_manifest_keeping_former(
        &self,
        tag: &TagName,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        self.put(Some(tag), media_type, bytes, Replaced::KeptByDigest)
    }

    /// As [`put_manifest`](crate::Repository::put_manifest), without a tag.
    ///
    /// # Errors
    /// Those of `put_manifest`.
    pub fn put_manifest_untagged(&self, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        self.put(None, media_type, bytes, Replaced::KeptByDigest)
    }

    /// Takes a tag away and leaves its manifest to be had by digest; false if there is no such tag.
    ///
    /// # Errors
    /// Those of the disk, and a malformed index.
    pub fn remove_tag(&self, tag: &TagName) -> Result<bool, Error> {
        self.remove(Action::RemoveTag { tag: tag.clone(), replaced: Replaced::KeptByDigest })
    }

    /// All entries of `index.json`, in its order: a manifest with two tags twice, one without a tag once.
    ///
    /// # Errors
    /// Those of the disk, and a malformed index.
    pub fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        Ok(self.read_index()?.entries().to_vec())
    }

    /// What the layout says of the manifest `digest`: an entry of `index.json`, or what an image index among the
    /// entries, or below one, says of it. `None` for what is a mere blob, whatever it looks like.
    ///
    /// # Errors
    /// Those of the disk, and malformed indexes.
    pub fn listed(&self, digest: &Digest) -> Result<Option<Descriptor>, Error> {
        let index = self.read_index()?;
        if let Some(entry) = index.entry_of(digest) {
            return Ok(Some(entry.clone()));
        }
        if self.blobs.size(digest)?.is_none() {
            return Ok(None);
        }
        let mut seen = HashSet::new();
        let mut indexes: Vec<Digest> = indexes_among(index.entries()).collect();
        while let Some(next) = indexes.pop() {
            if !seen.insert(next) {
                continue;
            }
            let Some(bytes) = self.document(next)? else { continue };
            let location = || self.blobs.path(&next).display().to_string();
            let children = ImageIndex::parse(&bytes).map_err(Error::document(location()))?.manifests;
            if let Some(child) = children.iter().find(|child| child.digest == *digest) {
                return Ok(Some(child.clone()));
            }
            indexes.extend(indexes_among(&children));
        }
        Ok(None)
    }

    /// Where the blob's file is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs.path(digest)
    }

    /// Where the files of unfinished uploads are, which outlive any handle: a directory below `.strata`. It may not
    /// be there; [`create`](Self::create) does not make it.
    pub fn uploads_directory(&self) -> PathBuf {
        self.directory.join(OURS).join("uploads")
    }

    /// Takes a file of the layout's file system as the blob that it was found to be while it was written: flushed,
    /// renamed, and gone from where it was.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn adopt_blob(&self, path: &Path, digest: &Digest, size: u64) -> Result<Uploaded, Error> {
        self.blobs.adopt(path, digest, size, &*self.access()?)
    }

    /// Takes a blob of another layout: as a second name of the same file, or as a copy on another file system. False
    /// if the other does not have it.
    ///
    /// # Errors
    /// Those of the disk; [`Error::Blob`] if a copy shows that the other's is damaged.
    pub fn link_blob_from(&self, other: &Self, digest: &Digest) -> Result<bool, Error> {
        if other.blobs.size(digest)?.is_none() {
            return Ok(false);
        }
        self.blobs.link_from(&other.blobs, digest, &*self.access()?)
    }

    /// Removes a blob, whoever needs it; false if there is none. A manifest is no blob in this sense.
    ///
    /// # Errors
    /// Those of the disk, and a malformed index.
    pub fn delete_blob(&self, digest: &Digest) -> Result<bool, Error> {
        if self.blobs.size(digest)?.is_none() {
            return Ok(false);
        }
        // No manifest is found complete while one of its blobs goes.
        let _guard = self.access()?.lock_index()?;
        if self.read_index()?.entry_of(digest).is_some() {
            return Ok(false);
        }
        self.blobs.remove(digest)
    }
}

fn indexes_among(entries: &[Descriptor]) -> impl Iterator<Item = Digest> {
    entries.iter().filter(|entry| media_type::is_index(&entry.media_type)).map(|entry| entry.digest)
}
