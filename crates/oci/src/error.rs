//! What can go wrong with a repository, each cause with its URL, and what kind of failure it is.
//!
//! Every answer of a registry that is an error names the method, the URL, the status and the registry's own words.
//! Query strings are left out of URLs: they hold upload state and signatures. A message is complete in itself, its
//! cause included, so that one line in a log is enough; there is no chain of sources beneath it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{BlobError, CredentialError, Digest, ManifestError, ManifestRef, ReferenceError, Trouble};

/// What kind of failure an [`Error`] is: what a command's exit code and hint depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was named does not exist there.
    NotFound,
    /// The registry wants credentials and none can be had, or does not allow it with those given; or the system does not
    /// allow it.
    Denied,
    /// No answer, or the answer of something that is not the registry.
    Unreachable,
    /// Bytes that are not what their digest, size or format says.
    Corrupt,
    /// A request that cannot succeed as it was made: a malformed URL, a manifest that is refused.
    Invalid,
    /// The registry is overloaded, or broken for the moment.
    TryAgain,
    /// A file could not be read or written here.
    Io,
}

impl ErrorKind {
    /// What kind it is that the system refuses something here.
    pub(crate) fn of_system(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied,
            _ => Self::Io,
        }
    }
}

/// A failure of an operation on a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not that of a repository.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// There is no image of that name.
    #[error("there is no image {reference}")]
    NoSuchImage {
        /// What was asked for.
        reference: String,
    },
    /// There is an image, and not for that platform.
    #[error("{reference} is not for {wanted}: it is for {}", if has.is_empty() { "none".to_owned() } else { has.join(", ") })]
    NoSuchPlatform {
        /// What was asked for.
        reference: String,
        /// The platform it was asked for.
        wanted: String,
        /// Those it is for.
        has: Vec<String>,
    },
    /// There are images for several platforms, and nobody said for which one is wanted.
    #[error("{reference} is for several platforms: {}", has.join(", "))]
    ManyPlatforms {
        /// What was asked for.
        reference: String,
        /// Those it is for.
        has: Vec<String>,
    },
    /// An index lists a manifest that is not there.
    #[error(
        "{reference} lists manifest {digest}{}, which is not there",
        platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default()
    )]
    NoSuchMember {
        /// The index, as it was asked for.
        reference: String,
        /// The manifest's digest.
        digest: Digest,
        /// What it is for, if the index says so.
        platform: Option<String>,
    },
    /// A layer that its maker does not want to be distributed, and that is only to be had elsewhere.
    #[error(
        "{location}: layer {digest} ({media_type}) is not in the registry but elsewhere, and must not be copied: choose \
         another image"
    )]
    ForeignLayer {
        /// The repository.
        location: String,
        /// The layer's digest.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// The registry answered with an error.
    #[error("{method} {url}: {status}: {words}")]
    Status {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status.
        status: Status,
        /// The codes and messages of the registry's error document, or the first words of what it sent instead.
        words: String,
    },
    /// The registry wants to know who asks, and does not take what it was shown.
    #[error("{method} {url}: {status}: {words}: the registry wants other credentials (tried {tried})")]
    Unauthorized {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status, 401.
        status: Status,
        /// The registry's own words.
        words: String,
        /// Who we were: "without credentials", "as USER (from FILE)".
        tried: String,
    },
    /// The registry does not let this user do that, or hides what is not there.
    #[error(
        "{method} {url}: {status}: {words}: it takes the right to {right} (tried {tried}); log in as somebody who has it"
    )]
    Forbidden {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status, 403.
        status: Status,
        /// The registry's own words.
        words: String,
        /// Who we were: "without credentials", "as USER (from FILE)".
        tried: String,
        /// What it takes: "push to some/cache".
        right: String,
    },
    /// The registry wants fewer requests, with whatever status it says so.
    #[error("{method} {url}: {status}: {words}")]
    Throttled {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status, 429 or 403.
        status: Status,
        /// The registry's own words, and how long it wants to be left alone if that is too long.
        words: String,
    },
    /// Something was to be put into a repository that the registry does not have, and does not make by itself.
    #[error(
        "{method} {url}: {status}: {words}: the registry has no repository {name} and does not make it by itself; \
         create it there first, or check the name"
    )]
    NoSuchRepository {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status, 404.
        status: Status,
        /// The registry's own words.
        words: String,
        /// The repository's name in the registry.
        name: String,
    },
    /// The registry allows deleting to nobody.
    #[error(
        "{method} {url}: {status}: {words}: the registry does not allow deleting through this interface; it must be \
         switched on there (the distribution registry: REGISTRY_STORAGE_DELETE_ENABLED=true), or be done by the \
         registry's own means (GitHub: delete the package version)"
    )]
    DeleteUnsupported {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status, mostly 405.
        status: Status,
        /// The registry's own words.
        words: String,
    },
    /// The server that gives out tokens for a registry gives none for what was asked.
    #[error("{method} {url}: {status}: {words}: {refusal}")]
    TokenRefused {
        /// The HTTP method.
        method: &'static str,
        /// The token server's URL.
        url: String,
        /// The HTTP status.
        status: Status,
        /// The server's own words.
        words: String,
        /// Who was not allowed to do what, and what may be the reason.
        refusal: String,
    },
    /// The credentials for a registry cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// There is nothing to show to a registry that wants to know who we are: why, for all requests that waited for
    /// it. What could be tried again was.
    #[error(transparent)]
    Authorization(Arc<Error>),
    /// No answer: no such host, connection refused or lost, TLS failure, silence.
    #[error("{method} {url}: {cause}")]
    Transport {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// What kind of failure it is.
        trouble: Trouble,
        /// The whole chain of causes, and what may help.
        cause: String,
    },
    /// A certificate or key that cannot be used.
    #[error("{}: {problem}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A page for people where a registry's answer was due: a proxy, a login page, or a host that is no registry.
    #[error("{method} {url}: {status}, but with an HTML page where {wanted} was due: {words}")]
    Html {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// The HTTP status.
        status: Status,
        /// What was due: "a blob", "a manifest", "a list of tags".
        wanted: &'static str,
        /// The page's first words.
        words: String,
    },
    /// An answer that the distribution specification does not allow.
    #[error("{method} {url}: the registry's answer cannot be used: {problem}")]
    Protocol {
        /// The HTTP method.
        method: &'static str,
        /// The URL that was asked.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// HTTP cannot be spoken at all: no certificates, no threads.
    #[error("cannot start an HTTP client: {cause}")]
    Client {
        /// The whole chain of causes.
        cause: String,
    },
    /// A blob's bytes are not those that its digest names.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A manifest's bytes are not those that its digest names.
    #[error("{location}: the manifest has digest {actual}, not {expected}")]
    ManifestDigest {
        /// The URL or file it was read from.
        location: String,
        /// The digest asked for, or that the registry stated.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// A manifest, index or config that is not well formed.
    #[error("{location}: {cause}")]
    Document {
        /// The URL or file it was read from, or where it was to be put.
        location: String,
        /// What is wrong with it.
        cause: ManifestError,
    },
    /// A document longer than any such document should be.
    #[error("{location}: {size} bytes, more than the {limit} bytes that are read at once")]
    TooLarge {
        /// The URL or file.
        location: String,
        /// Its size in bytes, as far as known.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A blob that a descriptor names is not in the repository.
    #[error("{location}: no blob {digest}")]
    NoSuchBlob {
        /// The repository.
        location: String,
        /// The blob's digest.
        digest: Digest,
    },
    /// A manifest was to be put whose blobs are not all there.
    #[error("{location}: cannot put manifest {manifest}: its {role} {digest} is not in the repository")]
    MissingBlob {
        /// The repository.
        location: String,
        /// What it was to be put as: a tag, or its own digest.
        manifest: ManifestRef,
        /// What the missing blob is to the manifest: "config", "layer", "manifest".
        role: &'static str,
        /// The missing blob.
        digest: Digest,
    },
    /// A tag of a layout points at a manifest that is not there.
    #[error("{location}: damaged: tag {tag} points at manifest {digest}, which is missing")]
    DanglingTag {
        /// The repository.
        location: String,
        /// The tag.
        tag: String,
        /// The manifest's digest.
        digest: Digest,
    },
    /// There is no image layout in the directory.
    #[error("{}: no such cache: {reason}", directory.display())]
    NoSuchCache {
        /// The directory.
        directory: PathBuf,
        /// What there is instead.
        reason: &'static str,
    },
    /// The directory holds something else than an image layout.
    #[error("{}: not an OCI image layout: {reason}", directory.display())]
    NotALayout {
        /// The directory.
        directory: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "create", "lock".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// An HTTP status, written with its usual phrase: `404 Not Found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub(crate) reqwest::StatusCode);

impl Status {
    /// The three digits.
    pub fn code(self) -> u16 {
        self.0.as_u16()
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.canonical_reason() {
            Some(reason) => write!(f, "{} {reason}", self.code()),
            None => write!(f, "{}", self.code()),
        }
    }
}

impl Error {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(_)
            | Self::MissingBlob { .. }
            | Self::ManyPlatforms { .. }
            | Self::ForeignLayer { .. }
            | Self::NotALayout { .. } => ErrorKind::Invalid,
            Self::Status { status, .. } => match status.code() {
                404 | 410 => ErrorKind::NotFound,
                401 | 403 | 407 => ErrorKind::Denied,
                408 | 425 | 429 | 500.. => ErrorKind::TryAgain,
                _ => ErrorKind::Invalid,
            },
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::TokenRefused { .. } => {
                ErrorKind::Denied
            }
            Self::Throttled { .. } => ErrorKind::TryAgain,
            Self::DeleteUnsupported { .. } | Self::Certificate { .. } => ErrorKind::Invalid,
            Self::Credentials(error) => error.kind(),
            Self::Authorization(error) => match error.kind() {
                // It is not what was asked for that does not exist: this must not pass for a miss.
                ErrorKind::NotFound => ErrorKind::Denied,
                kind => kind,
            },
            Self::Transport { .. } | Self::Html { .. } | Self::Client { .. } => ErrorKind::Unreachable,
            Self::Blob(error) => error.kind(),
            Self::Protocol { .. }
            | Self::ManifestDigest { .. }
            | Self::Document { .. }
            | Self::DanglingTag { .. }
            | Self::TooLarge { .. } => ErrorKind::Corrupt,
            Self::NoSuchBlob { .. }
            | Self::NoSuchCache { .. }
            | Self::NoSuchRepository { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchMember { .. }
            | Self::NoSuchPlatform { .. } => ErrorKind::NotFound,
            Self::Io { cause, .. } => ErrorKind::of_system(cause),
        }
    }

    /// The error behind a failed read from a blob's reader: the [`BlobError`] it wraps, or what the disk said.
    /// `location` is named in the latter case.
    pub fn from_read(error: io::Error, location: impl AsRef<Path>) -> Self {
        match BlobError::of(&error) {
            Some(blob) => Self::Blob(blob.clone()),
            None => Self::Io { action: "read", path: location.as_ref().to_path_buf(), cause: error },
        }
    }

    /// This, with something more about an exchange with a registry: how often it was tried.
    pub(crate) fn noting(mut self, note: &str) -> Self {
        match &mut self {
            Self::Status { words, .. }
            | Self::Unauthorized { words, .. }
            | Self::Forbidden { words, .. }
            | Self::Throttled { words, .. }
            | Self::NoSuchRepository { words, .. }
            | Self::DeleteUnsupported { words, .. } => words.push_str(&format!(" ({note})")),
            Self::Transport { cause, .. } => cause.push_str(&format!(" ({note})")),
            _ => {}
        }
        self
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self::Io { action, path, cause }
    }

    /// For `map_err` on parsed documents.
    pub(crate) fn document(location: impl Into<String>) -> impl FnOnce(ManifestError) -> Self {
        let location = location.into();
        move |cause| Self::Document { location, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small_enough_to_be_returned() {
        assert!(size_of::<Error>() <= 128, "{} bytes", size_of::<Error>());
    }

    #[test]
    fn each_status_has_its_kind() {
        for (code, kind) in [
            (404, ErrorKind::NotFound),
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (429, ErrorKind::TryAgain),
            (500, ErrorKind::TryAgain),
            (503, ErrorKind::TryAgain),
            (400, ErrorKind::Invalid),
            (413, ErrorKind::Invalid),
            (302, ErrorKind::Invalid),
        ] {
            let status = Status(reqwest::StatusCode::from_u16(code).unwrap());
            let error = Error::Status { method: "GET", url: "u".into(), status, words: "w".into() };
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn what_the_system_forbids_is_denied_and_a_failing_disk_is_not() {
        for (cause, kind) in [
            (io::ErrorKind::PermissionDenied, ErrorKind::Denied),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::Denied),
            (io::ErrorKind::StorageFull, ErrorKind::Io),
        ] {
            assert_eq!(Error::io("read", Path::new("/x"))(cause.into()).kind(), kind);
        }
    }

    #[test]
    fn a_status_is_written_with_its_phrase() {
        assert_eq!(Status(reqwest::StatusCode::NOT_FOUND).to_string(), "404 Not Found");
        assert_eq!(Status(reqwest::StatusCode::from_u16(599).unwrap()).to_string(), "599");
    }
}
