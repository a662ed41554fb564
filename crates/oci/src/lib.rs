//! OCI digests, references, manifests and the [`Repository`] trait over registries and layouts.
//!
//! Everything that knows how to talk to a registry, or to an image layout on disk, is here; nothing here knows
//! what Spack puts into them. Reading goes from the names ([`RepositoryUrl`], [`TagName`], [`Digest`]) through the
//! documents ([`Manifest`], [`ImageConfig`], [`ImageIndex`]) to the two implementations behind [`Repository`],
//! which [`open`] and [`open_or_create`] choose by URL.
//!
//! The trait blocks and is used from plain threads. The remote implementation runs its requests on a tokio runtime
//! of its own: that is the one seam between threads and asynchronous code.

mod blob;
mod cache;
mod copy;
mod credentials;
mod descriptor;
mod digest;
mod error;
mod file_stamp;
mod history;
mod image;
mod image_config;
mod image_index;
mod image_name;
mod image_reference;
mod layout;
mod manifest;
pub mod media_type;
mod platform;
mod raw_object;
mod reference;
mod remote;
mod repository;
mod runtime_config;
mod secret;
mod tag;
mod verifying;

pub use blob::{BlobKind, BlobSource, Uploaded, blob_bytes};
pub use cache::{BlobCache, CacheInfo, INDEX_DRAFT, PruneOptions, Pruned};
pub use copy::{Copied, CopiedImage, copy_blob, copy_image};
pub use credentials::{CredentialError, CredentialStore, Credentials, Identity};
pub use descriptor::Descriptor;
pub use digest::{Digest, DigestError};
pub use error::{Error, ErrorKind, Status};
pub use file_stamp::FileStamp;
pub use history::HistoryEntry;
pub use image::{Image, image_for};
pub use image_config::{ImageConfig, RootFs};
pub use image_index::ImageIndex;
pub use image_reference::ImageReference;
pub use layout::LayoutRepository;
pub use manifest::{Manifest, ManifestError};
pub use platform::Platform;
pub use raw_object::RawObject;
pub use reference::{Location, ReferenceError, RepositoryUrl};
pub use remote::{
    Check, Listener, Login, Notice, Outcome, Probe, RemoteRepository, RetryPolicy, Timeouts, TlsOptions,
    Transport, TransportOptions, Trouble, UploadMode, check_login, probe,
};
pub use repository::{
    ManifestRef, RawManifest, Repository, image_config, image_manifest, open, open_or_create,
};
pub use runtime_config::RuntimeConfig;
pub use secret::Secret;
pub use tag::{TagError, TagName};
pub use verifying::{BlobError, VerifyingReader};
