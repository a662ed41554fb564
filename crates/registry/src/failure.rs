//! [`Failure`]: an answer that says no, as the specification's JSON document.
//!
//! Distribution specification 1.1, "Error Codes". Messages are for whoever uses the registry: they name repositories,
//! tags and digests, and never a file of the server.

use axum::http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, RANGE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use strata_oci::Error;

/// What is refused, in the specification's terms, with the status that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadConflict,
    BlobUploadInvalid,
    BlobUploadRange,
    BlobUploadUnknown,
    DigestInvalid,
    /// A digest of an algorithm that is not SHA-256.
    DigestUnsupported,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestTooLarge,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    /// A path that no operation of the specification has.
    NotFound,
    PaginationInvalid,
    SizeInvalid,
    StorageFull,
    TagInvalid,
    Unauthorized,
    /// The registry is not in order, through no fault of the request.
    Unknown,
    Unsupported,
    /// For the moment.
    Unavailable,
    /// A range beyond the end of a blob.
    RangeUnsatisfiable,
}

impl Code {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Self::BlobUploadConflict => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            Self::BlobUploadInvalid => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::BlobUploadRange => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            Self::BlobUploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::DigestInvalid => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            Self::DigestUnsupported => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
            Self::ManifestBlobUnknown => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            Self::ManifestInvalid => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Self::ManifestTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            Self::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Self::NameInvalid => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            Self::NameUnknown => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::PaginationInvalid => (StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
            Self::SizeInvalid => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            Self::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN"),
            Self::TagInvalid => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
            Self::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::RangeUnsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, "UNKNOWN"),
        }
    }
}

/// A request that fails, and how to say so.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), headers: Vec::new() }
    }

    /// Nobody has shown who they are, or not truly.
    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(Code::Unauthorized, message)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"strata\""))
    }

    /// A method that the path does not have. `allowed` are those that it has.
    pub(crate) fn method(method: &axum::http::Method, allowed: &'static str) -> Self {
        Self::new(Code::Unsupported, format!("{method} is not supported here, only {allowed}"))
            .with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// A part of a blob of `size` bytes that is not there.
    pub(crate) fn range_of_blob(size: u64) -> Self {
        Self::new(Code::RangeUnsatisfiable, format!("the blob has {size} bytes"))
            .with_text(CONTENT_RANGE, &format!("bytes */{size}"))
    }

    /// A chunk that does not begin where the upload ends; `range` is what has come so far.
    pub(crate) fn range_of_upload(message: String, range: &str) -> Self {
        Self::new(Code::BlobUploadRange, message).with_text(RANGE, range)
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    /// What a failure of a file means to who made the request.
    pub(crate) fn of_file(action: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
                if action != "read" =>
            {
                Self::new(
                    Code::Unsupported,
                    format!("the registry's directory does not allow it (cannot {action} a file: {error})"),
                )
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::new(Code::StorageFull, format!("the registry has no space left ({error})"))
            }
            _ => Self::new(Code::Unknown, format!("the registry cannot {action} one of its files: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Io { action, cause, .. } => Self::of_file(action, cause),
            Error::MissingBlob { role, digest, .. } => Self::new(
                Code::ManifestBlobUnknown,
                format!("the manifest's {role} {digest} is not in the repository"),
            ),
            Error::NotALayout { .. } => {
                Self::new(Code::NameInvalid, "the registry keeps something else under that name")
            }
            Error::NoSuchCache { .. } => Self::new(Code::NameUnknown, "there is no such repository"),
            Error::ManifestDigest { expected, actual, .. } => Self::new(
                Code::Unknown,
                format!("manifest {expected} is damaged in the registry: its digest is {actual}"),
            ),
            Error::Blob(_) => Self::new(Code::Unknown, "the blob is damaged in the registry"),
            _ => Self::new(Code::Unknown, "the repository is damaged in the registry"),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code) = self.code.parts();
        let document = serde_json::json!({ "errors": [{ "code": code, "message": self.message }] });
        let mut response =
            (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], document.to_string())
                .into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
