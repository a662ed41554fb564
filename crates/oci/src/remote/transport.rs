//! [`Transport`]: how registries are reached, the same for all repositories that a process opens.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::http::Connections;
use super::outage::Outage;
use super::pace::Pace;
use super::trouble::registry_host;
use crate::{BlobCache, CredentialStore, Error};

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

/// How often, and for how long, what may be tried again is tried again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Times that one request is sent at most without any progress; 1 is not to retry. Where a registry wants fewer
    /// requests, it is progress that it serves others.
    pub attempts: u32,
    /// Before the second attempt; doubled for each one after it, and made random between half and all of it.
    pub first_delay: Duration,
    /// The longest delay of our own choosing.
    pub longest_delay: Duration,
    /// The longest delay that a registry may ask for; one that asks for more is given up on.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(20),
            patience: Duration::from_secs(300),
        }
    }
}

/// How blobs are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UploadMode {
    /// POST, then one PUT; in chunks where a registry asks for that.
    #[default]
    Monolithic,
    /// One POST with everything, for registries on which an upload that fails leaves something that only an
    /// administrator can remove.
    SinglePost,
    /// POST, then PATCH requests of this many bytes, then PUT.
    Chunked(u64),
}

/// Certificates, beside those that the system trusts.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Files of certificate authorities (PEM), to be trusted for every registry.
    pub authorities: Vec<PathBuf>,
    /// A certificate (PEM) and its key to show to every registry and token server that asks, and not to where these
    /// redirect.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Directories as Docker and podman have them: `HOST[:PORT]/*.crt` are authorities, `*.cert` and `*.key` a client
    /// certificate, for that registry alone.
    pub host_directories: Vec<PathBuf>,
}

/// Something that a user wants to know and that is no failure: a wait, a retry, a cache that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A request is tried again.
    Retrying {
        /// The request and why it failed.
        cause: String,
        /// How long it is waited for.
        delay: Duration,
    },
    /// A registry asked everybody to wait.
    Waiting {
        /// The registry.
        host: String,
        /// For how long.
        delay: Duration,
    },
    /// The blob cache cannot be used; blobs are downloaded without it.
    CacheUnusable {
        /// Its directory.
        directory: PathBuf,
        /// Why.
        cause: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying { cause, delay } => {
                write!(f, "{cause}: trying again in {:.1} s", delay.as_secs_f32())
            }
            Self::Waiting { host, delay } => {
                write!(f, "{host} asks to wait: going on in {:.1} s", delay.as_secs_f32())
            }
            Self::CacheUnusable { directory, cause } => {
                write!(f, "not using the blob cache {}: {cause}", directory.display())
            }
        }
    }
}

/// Whom notices are told, on whatever thread they come up.
pub type Listener = Arc<dyn Fn(&Notice) + Send + Sync>;

/// What a [`Transport`] is made of.
#[derive(Clone)]
pub struct TransportOptions {
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How often to try.
    pub retry: RetryPolicy,
    /// What to trust.
    pub tls: TlsOptions,
    /// How to send blobs.
    pub uploads: UploadMode,
    /// Who to be where a repository is not opened with credentials of its own.
    pub credentials: CredentialStore,
    /// Where to keep downloaded blobs.
    pub blob_cache: Option<BlobCache>,
    /// Whom to tell what goes on.
    pub listener: Listener,
}

impl Default for TransportOptions {
    /// No credentials, no blob cache, nobody to tell.
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            tls: TlsOptions::default(),
            uploads: UploadMode::default(),
            credentials: CredentialStore::empty(),
            blob_cache: None,
            listener: Arc::new(|_| {}),
        }
    }
}

/// How registries are reached: connections, certificates, credentials, pace. Cheap to clone; clones share it all.
#[derive(Clone, Default)]
pub struct Transport(Arc<Shared>);

#[derive(Default)]
struct Shared {
    options: TransportOptions,
    hosts: Mutex<HashMap<String, Host>>,
}

/// What all repositories of one registry share.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) connections: Connections,
    pub(super) pace: Arc<Pace>,
    pub(super) outage: Arc<Outage>,
}

impl Transport {
    /// A transport with these options. Nothing is read and nobody is asked yet.
    pub fn new(options: TransportOptions) -> Self {
        Self(Arc::new(Shared { options, hosts: Mutex::default() }))
    }

    /// What it was made of.
    pub fn options(&self) -> &TransportOptions {
        &self.0.options
    }

    /// The connections to the registry of `base`.
    pub(super) fn host(&self, base: &Url) -> Result<Host, Error> {
        let key = base.origin().ascii_serialization();
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&key) {
            return Ok(host.clone());
        }
        let host = Host {
            connections: Connections::of(base, self.options())?,
            pace: Arc::new(Pace::new(registry_host(base))),
            outage: Arc::default(),
        };
        hosts.insert(key, host.clone());
        Ok(host)
    }
}
