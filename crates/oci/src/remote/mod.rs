//! A repository in a registry, over HTTP: OCI distribution specification 1.1.
//!
//! Requests run on a tokio runtime of this module's own; callers are plain threads that wait. Credentials are not
//! sent and nothing is retried yet.

mod answer;
mod client;
mod download;
mod link;
mod manifests;
mod pagination;
mod upload;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use url::Url;

use self::client::{Client, Exchange};
use crate::{
    BlobSource, Descriptor, Digest, Error, Location, ManifestRef, RawManifest, ReferenceError, Repository,
    RepositoryUrl, TagName, Uploaded, VerifyingReader,
};

/// How long to wait for a registry before giving up.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next byte of an answer, or for the registry to take the next bytes of an upload.
    pub idle: Duration,
    /// For the answer after the last byte of an upload, while the registry hashes and stores it.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            commit: Duration::from_secs(600),
        }
    }
}

/// A repository in a registry, behind the [`Repository`] trait.
pub struct RemoteRepository {
    url: RepositoryUrl,
    /// `https://HOST/v2/NAME/`, to which the paths of the specification are appended.
    base: Url,
    client: Client,
}

impl RemoteRepository {
    /// The repository that `url` names, with the usual timeouts. The registry is not asked for anything yet.
    ///
    /// # Errors
    /// [`Error::Reference`] if the URL is that of a layout or holds an impossible port, [`Error::Client`] if there
    /// are no certificates to check a registry's by.
    pub fn open(url: &RepositoryUrl) -> Result<Self, Error> {
        Self::with_timeouts(url, Timeouts::default())
    }

    /// As [`open`](Self::open), with other timeouts.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn with_timeouts(url: &RepositoryUrl, timeouts: Timeouts) -> Result<Self, Error> {
        let malformed = || ReferenceError::Malformed { url: url.to_string() };
        let Location::Registry { https, host, name } = url.location() else {
            return Err(malformed().into());
        };
        let scheme = if *https { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{name}/")).map_err(|_| malformed())?;
        Ok(Self { url: url.clone(), client: Client::new(&base, timeouts)?, base })
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

    fn manifest_url(&self, reference: &ManifestRef) -> Url {
        self.endpoint(&format!("manifests/{reference}"))
    }

    /// The size of a blob, asked for with HEAD; with a GET of its first byte where HEAD is not allowed. Registries
    /// that redirect to storage with URLs signed for GET answer 401 or 403 to HEAD.
    async fn size_of_blob(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        const WANTED: &str = "a blob";
        let exchange = Exchange::new(Method::HEAD, self.blob_url(digest));
        let head = self.client.send(&exchange, |request| request).await?;
        match head.status() {
            // That there is no such thing must come from a registry, and a page does not; GET will tell.
            StatusCode::NOT_FOUND if !answer::Head::of(&head).is_html() => return Ok(None),
            StatusCode::OK => {
                answer::refuse_html(&exchange, WANTED, &head, "")?;
                if let Some(length) = answer::header(&head, header::CONTENT_LENGTH) {
                    return exchange.parsed("Content-Length", &length).map(Some);
                }
            }
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED => {}
            _ => return Err(self.client.failure(&exchange, head).await),
        }
        let exchange = Exchange::new(Method::GET, self.blob_url(digest));
        let part = self.client.send(&exchange, |request| request.header(header::RANGE, "bytes=0-0")).await?;
        let part = self.client.refuse_html(&exchange, WANTED, part).await?;
        let range = answer::header(&part, header::CONTENT_RANGE);
        let total = range.as_deref().and_then(|range| range.rsplit_once('/')).map(|(_, total)| total);
        match part.status() {
            StatusCode::NOT_FOUND => Ok(None),
            // An empty blob has no first byte.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if total.is_some() => {
                exchange.parsed("Content-Range", total.unwrap_or_default()).map(Some)
            }
            StatusCode::OK => match answer::header(&part, header::CONTENT_LENGTH) {
                Some(length) => exchange.parsed("Content-Length", &length).map(Some),
                None => Err(exchange.protocol("it does not say how long the blob is")),
            },
            _ => Err(self.client.failure(&exchange, part).await),
        }
    }
}

impl Repository for RemoteRepository {
    fn url(&self) -> &RepositoryUrl {
        &self.url
    }

    fn resolve(&self, tag: &TagName) -> Result<Option<Descriptor>, Error> {
        let url = self.manifest_url(&ManifestRef::Tag(tag.clone()));
        client::block_on(manifests::resolve(&self.client, url))?
    }

    fn manifest(&self, reference: &ManifestRef) -> Result<Option<RawManifest>, Error> {
        let expected = match reference {
            ManifestRef::Digest(digest) => Some(*digest),
            ManifestRef::Tag(_) => None,
        };
        client::block_on(manifests::get(&self.client, self.manifest_url(reference), expected))?
    }

    fn put_manifest(&self, tag: &TagName, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        let url = self.manifest_url(&ManifestRef::Tag(tag.clone()));
        client::block_on(manifests::put(&self.client, url, media_type, bytes))?
    }

    fn tags(&self) -> Result<Vec<String>, Error> {
        client::block_on(pagination::tags(&self.client, self.endpoint("tags/list")))?
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        client::block_on(self.size_of_blob(digest))?
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        let exchange = Exchange::new(Method::GET, self.blob_url(&descriptor.digest));
        let location = exchange.shown();
        let reader = client::block_on(download::start(&self.client, exchange, descriptor.digest))??;
        Ok(Box::new(VerifyingReader::new(reader, location, descriptor)))
    }

    fn put_blob(&self, source: &BlobSource) -> Result<Uploaded, Error> {
        if self.blob_size(&source.digest)?.is_some() {
            return Ok(Uploaded { existed: true });
        }
        client::block_on(upload::put(&self.client, self.endpoint("blobs/uploads/"), source))??;
        Ok(Uploaded { existed: false })
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        None
    }
}
