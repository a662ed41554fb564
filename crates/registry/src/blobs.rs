//! Getting and deleting blobs.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use strata_oci::{Digest, LayoutRepository};

use crate::blocking::blocking;
use crate::failure::{Code, Failure};
use crate::file_body;
use crate::name::Name;
use crate::range::{self, Part};

/// The digest of what was asked for or put.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// GET, and HEAD, of which the caller leaves out the body.
pub(crate) async fn get(
    layout: Arc<LayoutRepository>,
    digest: Digest,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let path = layout.blob_path(&digest);
    let (file, size) = blocking(move || {
        // Looked at first, because to open a pipe is to wait for whoever writes into it.
        let opened = fs::metadata(&path).and_then(|metadata| {
            if !metadata.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let file = File::open(&path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => unknown(&digest),
            _ => Failure::of_file("read", &error),
        })
    })
    .await?;
    let entity_tag = format!("\"{digest}\"");
    let (status, start, end) = match range::wanted(headers, size, &entity_tag) {
        Part::All => (StatusCode::OK, 0, size),
        Part::Of(first, last) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Part::None => return Err(Failure::range_of_blob(size)),
    };
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_string()),
        (CONTENT_LENGTH, (end - start).to_string()),
        (CONTENT_DIGEST, digest.to_string()),
        (ACCEPT_RANGES, "bytes".to_string()),
        (ETAG, entity_tag),
        // A digest names the same bytes for ever.
        (CACHE_CONTROL, "max-age=31536000".to_string()),
    ];
    let mut response = (status, headers, file_body::of_file(file, start, end)).into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {start}-{}/{size}", end - 1))
    {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

/// DELETE.
pub(crate) async fn delete(layout: Arc<LayoutRepository>, digest: Digest) -> Result<Response, Failure> {
    if blocking(move || Ok(layout.delete_blob(&digest)?)).await? {
        Ok(StatusCode::ACCEPTED.into_response())
    } else {
        Err(unknown(&digest))
    }
}

/// The answer to a blob that was put.
pub(crate) fn created(name: &Name, digest: &Digest) -> Response {
    let headers = [(LOCATION, format!("/v2/{name}/blobs/{digest}")), (CONTENT_DIGEST, digest.to_string())];
    (StatusCode::CREATED, headers, Body::empty()).into_response()
}

fn unknown(digest: &Digest) -> Failure {
    Failure::new(Code::BlobUnknown, format!("there is no blob {digest} in the repository"))
}
