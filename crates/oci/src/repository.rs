//! [`Repository`]: the one seam between what is put into caches and how a cache is reached.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use crate::layout::LayoutRepository;
use crate::remote::RemoteRepository;
use crate::{
    BlobSource, Credentials, Descriptor, Digest, Error, ImageConfig, Location, Manifest, ManifestError,
    RepositoryUrl, TagName, Transport, Uploaded, blob_bytes, media_type,
};

/// The most bytes of a manifest or index that are read. Registries accept 4 MiB.
pub(crate) const MANIFEST_LIMIT: u64 = 16 << 20;

/// The most bytes of an image config that are read. Spack's hold the specs of a whole DAG.
const CONFIG_LIMIT: u64 = 64 << 20;

/// A repository of manifests and blobs, in a registry or in a directory.
///
/// Object safe, and to be shared between plain threads: every call blocks until it is done, and must not be made from
/// within an asynchronous task. What fails for the moment is tried again within; nothing is cached but what cannot
/// change.
pub trait Repository: Send + Sync {
    /// Where it is.
    fn url(&self) -> &RepositoryUrl;

    /// What `tag` points at; `None` only if the repository says that there is no such tag.
    ///
    /// # Errors
    /// Any [`Error`]; every failure to get an answer is one, and never `None`.
    fn resolve(&self, tag: &TagName) -> Result<Option<Descriptor>, Error>;

    /// The manifest or index that `reference` names, its digest verified; `None` if there is none.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve), and [`Error::ManifestDigest`].
    fn manifest(&self, reference: &ManifestRef) -> Result<Option<RawManifest>, Error>;

    /// Puts a manifest or index, and makes `tag` point at it, replacing what it pointed at.
    ///
    /// # Errors
    /// [`Error::MissingBlob`] from a layout, [`Error::Status`] from a registry, if not all its blobs are there.
    fn put_manifest(&self, tag: &TagName, media_type: &str, bytes: &[u8]) -> Result<Digest, Error>;

    /// Puts a manifest that is named by its digest alone, as those that an image index lists are.
    ///
    /// # Errors
    /// As for [`put_manifest`](Self::put_manifest).
    fn put_manifest_untagged(&self, media_type: &str, bytes: &[u8]) -> Result<Digest, Error>;

    /// Makes a blob of another repository available in this one, with nothing sent; false if that cannot be done here, and
    /// it has to be copied. Meant for blobs that are not here yet.
    ///
    /// # Errors
    /// Any [`Error`]; a registry that refuses to mount is no error.
    fn mount_blob(&self, descriptor: &Descriptor, from: &RepositoryUrl) -> Result<bool, Error>;

    /// All tags, sorted, each once. A repository into which nothing was put yet has none.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of the list.
    fn tags(&self) -> Result<Vec<String>, Error>;

    /// The size in bytes of a blob; `None` if it is not there.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error>;

    /// A reader of a blob that verifies it, as [`VerifyingReader`](crate::VerifyingReader) describes.
    ///
    /// # Errors
    /// An error with kind [`NotFound`](crate::ErrorKind::NotFound) if it is not there. Errors of the reader wrap a
    /// [`BlobError`](crate::BlobError), unless it is the disk that fails; [`Error::from_read`] unwraps them.
    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, Error>;

    /// Puts a blob, unless it is there already.
    ///
    /// # Errors
    /// [`Error::Blob`] if the bytes are not what the source says; what the registry or the disk has to say.
    fn put_blob(&self, source: &BlobSource) -> Result<Uploaded, Error>;

    /// Deletes a manifest: a tag alone if it is named by its tag, else the manifest with every tag that points at it.
    /// False if there is no such thing. Blobs are left to whoever collects garbage.
    ///
    /// # Errors
    /// Any [`Error`]; many registries allow it to nobody, or not by tag.
    fn delete_manifest(&self, reference: &ManifestRef) -> Result<bool, Error>;

    /// A directory for spool files that [`put_blob`](Self::put_blob) can then take with a rename. It is this
    /// handle's own, and is removed with the handle. `None` if the repository has no directory, or none can be made.
    fn scratch_dir(&self) -> Option<PathBuf>;
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ManifestRef {
    /// By tag: whatever it points at now.
    Tag(TagName),
    /// By digest: these very bytes.
    Digest(Digest),
}

impl fmt::Display for ManifestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<TagName> for ManifestRef {
    fn from(tag: TagName) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for ManifestRef {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

/// A manifest or index as it was stored: the bytes count, for the digest is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawManifest {
    /// The media type it was delivered as, without parameters; may be a general one.
    pub media_type: String,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The document.
    pub bytes: Vec<u8>,
}

impl RawManifest {
    /// The document as an image manifest.
    ///
    /// # Errors
    /// [`ManifestError::IsIndex`] if it is an index; other variants if it is neither.
    pub fn parse(&self) -> Result<Manifest, ManifestError> {
        Manifest::parse(&self.media_type, &self.bytes)
    }
}

/// The repository at `url`, to read from or to write to. A registry's is reached by `transport`, with `credentials` if
/// given, else with those of the transport's credential files.
///
/// # Errors
/// [`Error::NoSuchCache`] or [`Error::NotALayout`] for a directory that holds no image layout. A registry is not
/// asked for anything yet.
pub fn open(
    url: &RepositoryUrl,
    transport: &Transport,
    credentials: Option<Credentials>,
) -> Result<Box<dyn Repository>, Error> {
    Ok(match url.location() {
        Location::Registry { .. } => Box::new(RemoteRepository::open(url, transport, credentials)?),
        Location::Layout { .. } => Box::new(LayoutRepository::open(url)?),
    })
}

/// As [`open`], but a directory that does not exist or is empty is an empty repository, and becomes an image layout
/// when something is first put into it.
///
/// # Errors
/// [`Error::NotALayout`] for a directory that holds something else.
pub fn open_or_create(
    url: &RepositoryUrl,
    transport: &Transport,
    credentials: Option<Credentials>,
) -> Result<Box<dyn Repository>, Error> {
    Ok(match url.location() {
        Location::Registry { .. } => Box::new(RemoteRepository::open(url, transport, credentials)?),
        Location::Layout { .. } => Box::new(LayoutRepository::open_or_create(url)?),
    })
}

/// The image manifest that `reference` names, with its digest; `None` if there is none.
///
/// # Errors
/// What [`Repository::manifest`] gives, and [`Error::Document`] if it is an index or no manifest.
pub fn image_manifest(
    repository: &dyn Repository,
    reference: &ManifestRef,
) -> Result<Option<(Digest, Manifest)>, Error> {
    let Some(raw) = repository.manifest(reference)? else { return Ok(None) };
    let manifest = raw.parse().map_err(Error::document(format!("{} {reference}", repository.url())))?;
    Ok(Some((raw.digest, manifest)))
}

/// The image config of `manifest`.
///
/// # Errors
/// What reading its blob gives, and [`Error::Document`] if it is the config of no image.
pub fn image_config(repository: &dyn Repository, manifest: &Manifest) -> Result<ImageConfig, Error> {
    let bytes = blob_bytes(repository, &manifest.config, CONFIG_LIMIT)?;
    ImageConfig::parse(&bytes).map_err(Error::document(format!(
        "{} config {}",
        repository.url(),
        manifest.config.digest
    )))
}

/// The manifest or index that `descriptor` points at. Where the repository does not say of what type it is (a layout
/// does not know of what is in an index), it is of the type that the descriptor says.
pub(crate) fn manifest_as(
    repository: &dyn Repository,
    descriptor: &Descriptor,
) -> Result<Option<RawManifest>, Error> {
    let raw = repository.manifest(&ManifestRef::Digest(descriptor.digest))?;
    Ok(raw.map(|raw| match media_type::ALL_MANIFESTS.contains(&raw.media_type.as_str()) {
        true => raw,
        false => RawManifest { media_type: descriptor.media_type.clone(), ..raw },
    }))
}
