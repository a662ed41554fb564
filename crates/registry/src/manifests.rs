//! Getting, putting and deleting manifests.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use strata_oci::{Descriptor, Digest, Error, LayoutRepository, ManifestRef, Repository, TagName, media_type};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::blobs::CONTENT_DIGEST;
use crate::blocking::{blocking, stopping};
use crate::document::Document;
use crate::failure::{Code, Failure};
use crate::incoming::Incoming;
use crate::name::Name;
use crate::route;

/// The most bytes that a manifest may have. The specification wants registries to take at least so many.
pub(crate) const LIMIT: usize = 4 << 20;
/// How much memory, in KiB, manifests may take that are on their way in. Blobs go to disk as they come; manifests
/// are read whole.
const MEMORY: usize = 16 << 10;
/// What one manifest counts for at least, in KiB, however small it is: each that is put keeps a thread waiting for its
/// turn to change the index, and others must be left to serve what is got.
const LEAST: u32 = 64;
/// How long a manifest may take to come. A few slow clients must not keep the memory from all others.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says that the registry lists the manifest among the referrers of this subject.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// The manifests of one repository.
pub(crate) struct Manifests {
    pub(crate) name: Name,
    pub(crate) layout: Arc<LayoutRepository>,
}

/// What limits the memory for manifests on their way in.
pub(crate) fn memory() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MEMORY))
}

impl Manifests {
    /// GET.
    pub(crate) async fn get(&self, reference: &str) -> Result<Response, Failure> {
        let (entry, layout) = (self.find(reference).await?, Arc::clone(&self.layout));
        let digest = entry.digest;
        let found = blocking(move || Ok(layout.manifest(&ManifestRef::Digest(digest))?)).await?;
        let Some(raw) = found else { return Err(unknown(reference)) };
        let headers = headers(&entry, raw.bytes.len() as u64);
        Ok((StatusCode::OK, headers, raw.bytes).into_response())
    }

    /// HEAD.
    pub(crate) async fn head(&self, reference: &str) -> Result<Response, Failure> {
        let (entry, layout) = (self.find(reference).await?, Arc::clone(&self.layout));
        let digest = entry.digest;
        match blocking(move || Ok(layout.blob_size(&digest)?)).await? {
            Some(size) => Ok((StatusCode::OK, headers(&entry, size)).into_response()),
            None => Err(unknown(reference)),
        }
    }

    /// PUT.
    pub(crate) async fn put(
        &self,
        reference: &str,
        request: &HeaderMap,
        body: Incoming,
        memory: &Semaphore,
    ) -> Result<Response, Failure> {
        let target = Target::of(reference)?;
        let delivered = request.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let delivered = media_type::essence(delivered);
        let length = length(request)?;
        let kibibytes = u32::try_from(length.unwrap_or(LIMIT) / 1024 + 1).unwrap_or(u32::MAX).max(LEAST);
        let _memory = memory.acquire_many(kibibytes).await.map_err(|_| stopping())?;
        let bytes =
            timeout(PATIENCE, read(body, length.unwrap_or_default())).await.map_err(|_| too_slow())??;
        let layout = Arc::clone(&self.layout);
        let (digest, subject) = blocking(move || target.put(&layout, &delivered, &bytes)).await?;
        let location = format!("/v2/{}/manifests/{digest}", self.name);
        let headers = [(LOCATION, location), (CONTENT_DIGEST, digest.to_string())];
        let mut response = (StatusCode::CREATED, headers).into_response();
        // Not for a digest that referrers cannot be asked for: the client then keeps a list of them itself.
        let subject = subject.and_then(|subject| subject.parse::<Digest>().ok());
        if let Some(subject) = subject.and_then(|subject| subject.to_string().parse().ok()) {
            response.headers_mut().insert(OCI_SUBJECT, subject);
        }
        Ok(response)
    }

    /// DELETE: a tag alone, or a manifest with its tags.
    pub(crate) async fn delete(&self, reference: &str) -> Result<Response, Failure> {
        let target = Target::of(reference)?;
        let layout = Arc::clone(&self.layout);
        let was_there = blocking(move || {
            Ok(match target {
                Target::Tag(tag) => layout.remove_tag(&tag)?,
                Target::Digest(digest) => layout.delete_manifest(&ManifestRef::Digest(digest))?,
            })
        });
        if was_there.await? { Ok(StatusCode::ACCEPTED.into_response()) } else { Err(unknown(reference)) }
    }

    /// What the repository says of the manifest that `reference` names.
    async fn find(&self, reference: &str) -> Result<Descriptor, Failure> {
        // What cannot be a tag names nothing.
        let target = match Target::of(reference) {
            Err(failure) if failure.code() == Code::TagInvalid => return Err(unknown(reference)),
            target => target?,
        };
        let layout = Arc::clone(&self.layout);
        let entry = blocking(move || {
            Ok(match &target {
                Target::Tag(tag) => layout.resolve(tag)?,
                Target::Digest(digest) => layout.listed(digest)?,
            })
        });
        entry.await?.ok_or_else(|| unknown(reference))
    }
}

/// What a reference is: a tag has no colon, a digest has one.
enum Target {
    Tag(TagName),
    Digest(Digest),
}

impl Target {
    fn of(reference: &str) -> Result<Self, Failure> {
        if reference.contains(':') {
            Ok(Self::Digest(route::digest(reference)?))
        } else {
            Ok(Self::Tag(route::tag(reference)?))
        }
    }

    /// The digest of what was put, and that of its subject.
    fn put(
        &self,
        layout: &LayoutRepository,
        delivered: &str,
        bytes: &[u8],
    ) -> Result<(Digest, Option<String>), Failure> {
        if let Self::Digest(expected) = self {
            let actual = Digest::of(bytes);
            if actual != *expected {
                let message = format!("the manifest that was sent has digest {actual}, not {expected}");
                return Err(Failure::new(Code::DigestInvalid, message));
            }
        }
        let document = Document::parse(bytes)?;
        let media_type = match delivered {
            "" | "application/json" | "application/octet-stream" => document.media_type(),
            delivered => delivered,
        };
        let outcome = match self {
            Self::Tag(tag) => layout.put_manifest_keeping_former(tag, media_type, bytes),
            Self::Digest(_) => layout.put_manifest_untagged(media_type, bytes),
        };
        match outcome {
            Ok(digest) => Ok((digest, document.subject)),
            // The manifest is malformed, unless it is the repository's own index.
            Err(Error::Document { cause, .. }) if layout.entries().is_ok() => {
                Err(Failure::new(Code::ManifestInvalid, cause.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn headers(entry: &Descriptor, size: u64) -> [(HeaderName, String); 4] {
    [
        (CONTENT_TYPE, entry.media_type.clone()),
        (CONTENT_LENGTH, size.to_string()),
        (CONTENT_DIGEST, entry.digest.to_string()),
        (ETAG, format!("\"{}\"", entry.digest)),
    ]
}

/// The length that the request states.
fn length(request: &HeaderMap) -> Result<Option<usize>, Failure> {
    let stated = request.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match stated {
        Some(length) if length > LIMIT as u64 => Err(too_large()),
        stated => Ok(stated.and_then(|length| usize::try_from(length).ok())),
    }
}

async fn read(mut body: Incoming, expected: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(expected);
    while let Some(chunk) =
        body.next().await.map_err(|broken| Failure::new(Code::ManifestInvalid, broken.0))?
    {
        if bytes.len() + chunk.len() > LIMIT {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large() -> Failure {
    Failure::new(Code::ManifestTooLarge, format!("the manifest has more than {LIMIT} bytes"))
}

fn too_slow() -> Failure {
    let message = format!("the manifest has not come within {} seconds", PATIENCE.as_secs());
    Failure::new(Code::ManifestInvalid, message)
}

fn unknown(reference: &str) -> Failure {
    Failure::new(Code::ManifestUnknown, format!("there is no manifest {reference:?} in the repository"))
}
