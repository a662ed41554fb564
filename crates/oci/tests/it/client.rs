//! Repositories as these tests open them, and blobs to put into them.

use std::time::Duration;

use strata_oci::{
    BlobSource, Credentials, Error, RemoteRepository, Repository, RetryPolicy, Secret, Timeouts, Transport,
    TransportOptions, blob_bytes,
};
use strata_testkit::registry::TestRegistry;

/// The repository that is used where the name does not matter.
pub(crate) const NAME: &str = "some/cache";

/// Options that lose no time: loopback needs no patience.
pub(crate) fn options() -> TransportOptions {
    TransportOptions {
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(10),
            commit: Duration::from_secs(20),
        },
        retry: RetryPolicy {
            attempts: 6,
            first_delay: Duration::from_millis(5),
            longest_delay: Duration::from_millis(50),
            patience: Duration::from_secs(10),
        },
        ..TransportOptions::default()
    }
}

/// The repository at `url`, through a transport of its own.
pub(crate) fn open_at(
    url: &str,
    options: TransportOptions,
    credentials: Option<Credentials>,
) -> RemoteRepository {
    RemoteRepository::open(&url.parse().unwrap(), &Transport::new(options), credentials).unwrap()
}

/// [`NAME`] in `registry`, as nobody in particular.
pub(crate) fn open(registry: &TestRegistry) -> RemoteRepository {
    open_at(&registry.url(NAME), options(), None)
}

/// [`NAME`] in `registry`, as somebody.
pub(crate) fn open_as(registry: &TestRegistry, user: &str, password: &str) -> RemoteRepository {
    open_at(&registry.url(NAME), options(), Some(credentials(user, password)))
}

pub(crate) fn credentials(user: &str, password: &str) -> Credentials {
    Credentials::password(user, Secret::new(password), "the test's own")
}

/// A blob of random bytes, the same ones for the same seed.
pub(crate) fn blob(length: usize, seed: u64) -> BlobSource {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    BlobSource::bytes(bytes)
}

/// Reads back what was put, digest and size verified.
pub(crate) fn read(repository: &dyn Repository, source: &BlobSource) -> Result<Vec<u8>, Error> {
    blob_bytes(repository, &source.descriptor("application/octet-stream"), u64::MAX)
}
