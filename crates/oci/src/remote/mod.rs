//! A repository in a registry, over HTTP: OCI distribution specification 1.1.
//!
//! Requests run on a tokio runtime of this module's own; callers are plain threads that wait.

mod answer;
mod auth;
mod blob_size;
mod cached;
mod certificates;
mod client;
mod delay;
mod download;
mod exchange;
mod head;
mod headway;
mod http;
mod keeping;
mod link;
mod manifests;
mod outage;
mod pace;
mod pagination;
mod probe;
mod progress;
mod reading;
mod recent;
mod redirect;
mod request;
mod retry;
mod setback;
mod transport;
mod trouble;
mod turns;
mod upload;
mod welcome;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use self::cached::CachedBlobs;
use self::client::Client;
pub use self::probe::{Check, Login, Outcome, Probe, check_login, probe};
pub use self::transport::{
    Listener, Notice, RetryPolicy, Timeouts, TlsOptions, Transport, TransportOptions, UploadMode,
};
pub use self::trouble::Trouble;
use crate::{
    BlobSource, Credentials, Descriptor, Digest, Error, Location, ManifestRef, RawManifest, ReferenceError,
    Repository, RepositoryUrl, TagName, Uploaded, VerifyingReader,
};

/// A repository in a registry, behind the [`Repository`] trait.
pub struct RemoteRepository {
    url: RepositoryUrl,
    /// Its name in the registry.
    name: String,
    /// `https://HOST/v2/NAME/`, to which the paths of the specification are appended.
    base: Url,
    client: Arc<Client>,
    /// The blobs that this handle put, so that none is put twice.
    uploads: upload::Uploads,
    mounts: upload::Mounts,
}

impl RemoteRepository {
    /// The repository that `url` names, reached by `transport`, as whom `credentials` say or, without them, as whom
    /// the transport's credential files say. The registry is not asked for anything yet.
    ///
    /// # Errors
    /// [`Error::Reference`] if the URL is that of a layout or holds an impossible port, [`Error::Client`] if there
    /// are no certificates to check a registry's by.
    pub fn open(
        url: &RepositoryUrl,
        transport: &Transport,
        credentials: Option<Credentials>,
    ) -> Result<Self, Error> {
        let malformed = || ReferenceError::Malformed { url: url.to_string() };
        let Location::Registry { https, host, name } = url.location() else {
            return Err(malformed().into());
        };
        let scheme = if *https { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{name}/")).map_err(|_| malformed())?;
        let client = Arc::new(Client::new(&base, host, name, transport, credentials)?);
        Ok(Self {
            url: url.clone(),
            name: name.clone(),
            base,
            client,
            uploads: upload::Uploads::default(),
            mounts: upload::Mounts::default(),
        })
    }

    /// The URL of something in the repository. Names, tags and digests need no escapes.
    fn endpoint(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    fn blob_url(&self, digest: &Digest) -> Url {
        self.endpoint(&format!("blobs/{digest}"))
    }

    /// A blob's URL as errors name it.
    fn shown_blob_url(&self, descriptor: &Descriptor) -> String {
        self.blob_url(&descriptor.digest).to_string()
    }

    /// The bytes of a blob from `from` on, not verified.
    fn download(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Error> {
        let url = self.blob_url(&descriptor.digest);
        let reader = http::block_on(download::start(&self.client, &self.name, url, descriptor, from))??;
        Ok(Box::new(reader))
    }

    /// Where a blob is put.
    fn destination(&self, digest: &Digest) -> upload::Destination<'_> {
        upload::Destination {
            client: &self.client,
            name: &self.name,
            uploads: self.endpoint("blobs/uploads/"),
            blob: self.blob_url(digest),
            mounts: &self.mounts,
        }
    }

    fn manifest_url(&self, reference: &ManifestRef) -> Url {
        self.endpoint(&format!("manifests/{reference}"))
    }
}

impl Repository for RemoteRepository {
    fn url(&self) -> &RepositoryUrl {
        &self.url
    }

    fn resolve(&self, tag: &TagName) -> Result<Option<Descriptor>, Error> {
        let url = self.manifest_url(&ManifestRef::Tag(tag.clone()));
        http::block_on(manifests::resolve(&self.client, &self.name, url))?
    }

    fn manifest(&self, reference: &ManifestRef) -> Result<Option<RawManifest>, Error> {
        let expected = match reference {
            ManifestRef::Digest(digest) => Some(*digest),
            ManifestRef::Tag(_) => None,
        };
        http::block_on(manifests::get(&self.client, &self.name, self.manifest_url(reference), expected))?
    }

    fn put_manifest(&self, tag: &TagName, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        let url = self.manifest_url(&ManifestRef::Tag(tag.clone()));
        http::block_on(manifests::put(&self.client, &self.name, url, media_type, bytes))?
    }

    fn put_manifest_untagged(&self, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        let url = self.manifest_url(&ManifestRef::Digest(Digest::of(bytes)));
        http::block_on(manifests::put(&self.client, &self.name, url, media_type, bytes))?
    }

    fn mount_blob(&self, descriptor: &Descriptor, from: &RepositoryUrl) -> Result<bool, Error> {
        let (Location::Registry { https, host, .. }, Location::Registry { https: as_https, host: at, name }) =
            (self.url.location(), from.location())
        else {
            return Ok(false);
        };
        if (https, host) != (as_https, at) {
            return Ok(false);
        }
        let Some(turn) = self.uploads.turn(descriptor.digest) else { return Ok(true) };
        let destination = self.destination(&descriptor.digest);
        let mounted = http::block_on(upload::mount(destination, descriptor.digest, name))??;
        if mounted {
            turn.done();
        }
        Ok(mounted)
    }

    fn tags(&self) -> Result<Vec<String>, Error> {
        http::block_on(pagination::tags(&self.client, &self.name, self.endpoint("tags/list")))?
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        http::block_on(blob_size::ask(&self.client, &self.name, &self.blob_url(digest)))?
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        if let Some(cache) = &self.client.options().blob_cache {
            let listener = &self.client.options().listener;
            let blobs = CachedBlobs::new(cache, listener, |from| self.download(descriptor, from));
            if let Some(reader) = blobs.reader(descriptor, &self.shown_blob_url(descriptor))? {
                return Ok(reader);
            }
        }
        let reader = self.download(descriptor, 0)?;
        Ok(Box::new(VerifyingReader::new(reader, self.shown_blob_url(descriptor), descriptor)))
    }

    fn put_blob(&self, source: &BlobSource) -> Result<Uploaded, Error> {
        const THERE: Uploaded = Uploaded { existed: true, mounted: false };
        let Some(turn) = self.uploads.turn(source.digest) else { return Ok(THERE) };
        // To mount it from where it is to be says whether it is there, and begins the upload if it is not: one request.
        let tells_by_mounting = self.client.options().uploads != UploadMode::SinglePost
            && source.mount_from.as_deref() == Some(&*self.name);
        let uploaded = if !tells_by_mounting && self.blob_size(&source.digest)?.is_some() {
            THERE
        } else {
            let destination = self.destination(&source.digest);
            let from = source.mount_from.as_deref().filter(|from| tells_by_mounting || **from != *self.name);
            http::block_on(upload::put(destination, source, from))??
        };
        turn.done();
        Ok(uploaded)
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        None
    }

    fn delete_manifest(&self, reference: &ManifestRef) -> Result<bool, Error> {
        let url = self.manifest_url(reference);
        http::block_on(manifests::delete(&self.client, &self.name, url))?
    }
}
