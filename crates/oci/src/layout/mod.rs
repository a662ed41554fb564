//! A repository in a directory: an OCI image layout (image specification 1.1, "Image Layout").
//!
//! `oci-layout`, `index.json` and `blobs/sha256/` are as the specification has them, so that skopeo and podman read
//! the directory as `oci:DIRECTORY:TAG`. Beside them, `.strata/` holds the lock of writers and their scratch files; a
//! directory without it, or on a read-only disk, is read all the same.

mod blobs;
mod changes;
mod directory;
mod index;
mod serving;
mod tagged_index;
#[cfg(test)]
mod tests;
mod write_access;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use self::blobs::Blobs;
use self::changes::{Action, Change, Needs, Replaced};
use self::directory::State;
use self::index::IndexFile;
use self::tagged_index::TaggedIndex;
use self::write_access::WriteAccess;
use crate::repository::MANIFEST_LIMIT;
use crate::{
    BlobSource, Descriptor, Digest, Error, ImageIndex, Location, Manifest, ManifestError, ManifestRef,
    RawManifest, ReferenceError, Repository, RepositoryUrl, TagName, Uploaded, VerifyingReader, media_type,
};

/// What a manifest's own bytes are to it.
const DOCUMENT: &str = "document";
/// What the manifests in an index are to it.
const MEMBER: &str = "manifest";
/// How often a manifest is put again that somebody deletes meanwhile.
const PUT_AGAIN: usize = 8;

/// An OCI image layout on disk, behind the [`Repository`] trait.
pub struct LayoutRepository {
    url: RepositoryUrl,
    directory: PathBuf,
    blobs: Blobs,
    index: IndexFile,
    /// Whether an absent layout is an empty one. It then is made on the first write.
    may_create: bool,
    /// Made on the first write, so that reading leaves no trace.
    access: Mutex<Option<Arc<WriteAccess>>>,
}

impl LayoutRepository {
    /// The existing layout that `url` names.
    ///
    /// # Errors
    /// [`Error::NoSuchCache`] if there is nothing, [`Error::NotALayout`] if there is something else.
    pub fn open(url: &RepositoryUrl) -> Result<Self, Error> {
        let layout = Self::new(url, false)?;
        directory::require(&layout.directory)?;
        Ok(layout)
    }

    /// The layout that `url` names, or an empty one that is made there when something is put into it.
    ///
    /// # Errors
    /// [`Error::NotALayout`] if there is something else.
    pub fn open_or_create(url: &RepositoryUrl) -> Result<Self, Error> {
        let layout = Self::new(url, true)?;
        directory::examine(&layout.directory)?;
        Ok(layout)
    }

    fn new(url: &RepositoryUrl, may_create: bool) -> Result<Self, Error> {
        let Location::Layout { directory } = url.location() else {
            return Err(ReferenceError::NotAbsolute { path: url.to_string() }.into());
        };
        Ok(Self {
            url: url.clone(),
            blobs: Blobs::new(directory),
            index: IndexFile::new(directory),
            directory: directory.clone(),
            may_create,
            access: Mutex::new(None),
        })
    }

    /// This handle's scratch directory, in a layout that exists from then on.
    fn access(&self) -> Result<Arc<WriteAccess>, Error> {
        let mut slot = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have removed the whole layout meanwhile, and with it this handle's directory.
        if let Some(access) = &*slot
            && access.directory().is_dir()
        {
            return Ok(Arc::clone(access));
        }
        let state = directory::examine(&self.directory)?;
        if state != State::Layout && !self.may_create {
            directory::require(&self.directory)?;
        }
        let access = Arc::new(WriteAccess::begin(&self.directory)?);
        *slot = Some(Arc::clone(&access));
        Ok(access)
    }

    /// The index as it is now.
    fn read_index(&self) -> Result<Arc<TaggedIndex>, Error> {
        match self.index.read()? {
            Some(index) => Ok(index),
            None if self.may_create => Ok(Arc::default()),
            // It was there when this handle was opened. What has gone away must not pass for what is empty.
            None => directory::require(&self.directory).map(|()| Arc::default()),
        }
    }

    fn entry(&self, tag: &TagName) -> Result<Option<Descriptor>, Error> {
        Ok(self.read_index()?.entry(tag).cloned())
    }

    /// What a manifest needs in order to be complete, so that no tag ever points at something incomplete. What its
    /// `subject` names may be missing (distribution specification 1.1, "Pushing Manifests with Subject").
    fn needs(&self, manifest: ManifestRef, media_type: &str, bytes: &[u8]) -> Result<Needs, Error> {
        let document = || Error::document(format!("{} {manifest}", self.url));
        let blobs = if media_type::is_index(media_type) {
            let index = ImageIndex::parse(bytes).map_err(document())?;
            index.manifests.into_iter().map(|manifest| (MEMBER, manifest)).collect()
        } else if media_type::is_manifest(media_type) {
            let manifest = Manifest::parse(media_type, bytes).map_err(document())?;
            // Layers that say where else they are (Windows base layers) are not meant to be distributed.
            let layers = manifest.layers.into_iter().filter(|layer| layer.extra.get("urls").is_none());
            std::iter::once(("config", manifest.config)).chain(layers.map(|layer| ("layer", layer))).collect()
        } else {
            return Err(document()(ManifestError::MediaType(media_type.to_string())));
        };
        Ok(Needs { location: self.url.to_string(), manifest, blobs })
    }

    /// Puts a manifest as `tag`, or untagged.
    fn put(
        &self,
        tag: Option<&TagName>,
        media_type: &str,
        bytes: &[u8],
        replaced: Replaced,
    ) -> Result<Digest, Error> {
        let source = BlobSource::bytes(bytes.to_vec());
        let manifest = source.descriptor(media_type);
        let reference = tag.map_or(ManifestRef::Digest(source.digest), |tag| ManifestRef::Tag(tag.clone()));
        // Before anything is written, so that a refusal leaves nothing behind; and again when it counts.
        let mut needs = self.needs(reference, media_type, bytes)?;
        needs.check(&self.blobs)?;
        let access = self.access()?;
        let listed = needs.blobs.iter().filter(|(role, _)| *role == MEMBER).map(|(_, member)| member.digest);
        let lists = match replaced {
            Replaced::Forgotten => listed.collect(),
            // There, each is to be had by its digest, whatever becomes of the index.
            Replaced::KeptByDigest => Vec::new(),
        };
        let action = match tag {
            Some(tag) => Action::Tag { tag: tag.clone(), manifest, replaced, lists },
            None => Action::Keep { manifest, lists },
        };
        needs.blobs.push((DOCUMENT, source.descriptor(media_type)));
        let mut tries = 0;
        loop {
            let _ = self.blobs.put(&source, &access)?;
            let change = Change { action: action.clone(), needs: Some(needs.clone()) };
            match self.index.apply(&access, &self.blobs, change) {
                // Somebody has deleted the manifest before its new entry was there. The last to come is this one.
                Err(Error::MissingBlob { role: DOCUMENT, .. }) if tries < PUT_AGAIN => tries += 1,
                outcome => return outcome.map(|_| source.digest),
            }
        }
    }

    /// Takes something out of the index; false if it is not in it.
    fn remove(&self, action: Action) -> Result<bool, Error> {
        // Nothing is made, not even a scratch directory, where there is nothing to remove.
        if !self.read_index()?.has(&action) {
            return Ok(false);
        }
        self.index.apply(&*self.access()?, &self.blobs, Change { action, needs: None })
    }

    /// Takes a manifest away: its entries, and then its document.
    fn remove_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        let listed = self.remove(Action::RemoveManifest(*digest))?;
        if !listed && self.listed(digest)?.is_none() {
            return Ok(false);
        }
        let _guard = self.access()?.lock_index()?;
        // Who has put it again meanwhile keeps it.
        if self.read_index()?.entry_of(digest).is_none() {
            self.blobs.remove(digest)?;
        }
        Ok(true)
    }

    /// The document with this digest, if it is here.
    fn document(&self, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let path = self.blobs.path(&digest);
        let Some(size) = self.blobs.size(&digest)? else { return Ok(None) };
        if size > MANIFEST_LIMIT {
            let location = path.display().to_string();
            return Err(Error::TooLarge { location, size, limit: MANIFEST_LIMIT });
        }
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let actual = Digest::of(&bytes);
        if actual != digest {
            let location = path.display().to_string();
            return Err(Error::ManifestDigest { location, expected: digest, actual });
        }
        Ok(Some(bytes))
    }
}

impl Repository for LayoutRepository {
    fn url(&self) -> &RepositoryUrl {
        &self.url
    }

    fn resolve(&self, tag: &TagName) -> Result<Option<Descriptor>, Error> {
        self.entry(tag)
    }

    fn manifest(&self, reference: &ManifestRef) -> Result<Option<RawManifest>, Error> {
        let (digest, media_type) = match reference {
            ManifestRef::Tag(tag) => match self.entry(tag)? {
                Some(entry) => (entry.digest, entry.media_type),
                None => return Ok(None),
            },
            ManifestRef::Digest(digest) => {
                let index = self.read_index()?;
                let entry = index.entry_of(digest);
                (*digest, entry.map(|entry| entry.media_type.clone()).unwrap_or_default())
            }
        };
        match self.document(digest)? {
            Some(bytes) => Ok(Some(RawManifest { media_type, digest, bytes })),
            None if matches!(reference, ManifestRef::Digest(_)) => Ok(None),
            None => {
                Err(Error::DanglingTag { location: self.url.to_string(), tag: reference.to_string(), digest })
            }
        }
    }

    fn put_manifest_untagged(&self, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        self.put(None, media_type, bytes, Replaced::Forgotten)
    }

    fn mount_blob(&self, descriptor: &Descriptor, from: &RepositoryUrl) -> Result<bool, Error> {
        let Location::Layout { directory } = from.location() else { return Ok(false) };
        if self.blobs.size(&descriptor.digest)? == Some(descriptor.size) {
            return Ok(true);
        }
        let other = Blobs::new(directory);
        // What has another size is damaged, and not what was asked for.
        if other.size(&descriptor.digest)? != Some(descriptor.size) {
            return Ok(false);
        }
        self.blobs.share_with(&other, &descriptor.digest, &*self.access()?)
    }

    fn put_manifest(&self, tag: &TagName, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        self.put(Some(tag), media_type, bytes, Replaced::Forgotten)
    }

    fn tags(&self) -> Result<Vec<String>, Error> {
        let mut tags: Vec<String> = self.read_index()?.tags().map(str::to_string).collect();
        tags.sort_unstable();
        Ok(tags)
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let size = self.blobs.size(digest)?;
        if size.is_none() && !self.may_create {
            directory::require(&self.directory)?;
        }
        Ok(size)
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        let path = self.blobs.path(&descriptor.digest);
        match std::fs::File::open(&path) {
            Ok(file) => Ok(Box::new(VerifyingReader::new(file, path.display().to_string(), descriptor))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !self.may_create {
                    directory::require(&self.directory)?;
                }
                Err(Error::NoSuchBlob { location: self.url.to_string(), digest: descriptor.digest })
            }
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    fn put_blob(&self, source: &BlobSource) -> Result<Uploaded, Error> {
        if self.blobs.size(&source.digest)? == Some(source.size) {
            return Ok(Uploaded { existed: true, mounted: false });
        }
        self.blobs.put(source, &*self.access()?)
    }

    fn delete_manifest(&self, reference: &ManifestRef) -> Result<bool, Error> {
        match reference {
            ManifestRef::Tag(tag) => {
                self.remove(Action::RemoveTag { tag: tag.clone(), replaced: Replaced::Forgotten })
            }
            ManifestRef::Digest(digest) => self.remove_manifest(digest),
        }
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        // A layout that cannot be written says why when something is put into it.
        self.access().ok().map(|access| access.directory().to_path_buf())
    }
}

/// Where the layout in `directory` has a blob, or would have it.
pub(crate) fn blob_path(directory: &Path, digest: &Digest) -> PathBuf {
    Blobs::new(directory).path(digest)
}

/// Makes the names in `directory` durable, so that what was renamed into it is there after a power failure.
fn sync_directory(directory: &Path) -> Result<(), Error> {
    std::fs::File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(Error::io("synchronize", directory))
}
