//! A quarter of a gigabyte there and back through a registry on its worst day: every transfer breaks off somewhere,
//! and one answer in a few is that it is busy, broken, or has forgotten who one is.

use std::io::Read;
use std::thread;
use std::time::Duration;

use strata_oci::{BlobSource, Digest, Repository, TransportOptions};
use strata_testkit::certificates::Authority;
use strata_testkit::faults::Answer;
use strata_testkit::faults::rules::Random;
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{Rights, SERVICE, TokenOptions, TokenServer};

use crate::client::{NAME, credentials, open_at, options};

const MIB: u64 = 1 << 20;
const LENGTH: u64 = 256 * MIB;

/// Writes [`LENGTH`] random bytes into a file.
fn random_file(path: &std::path::Path) -> Digest {
    let mut random = fastrand::Rng::with_seed(256);
    let mut bytes = vec![0; LENGTH as usize];
    random.fill(&mut bytes);
    std::fs::write(path, &bytes).unwrap();
    Digest::of(&bytes)
}

#[test]
fn a_large_blob_survives_breaks_refusals_and_lost_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blob");
    let digest = random_file(&path);
    let source = BlobSource::file(&path, digest, LENGTH);
    for seed in [1, 2, 3] {
        let tokens = TokenServer::start(TokenOptions::only("me", "secret", Rights::Everything));
        let registry = TestRegistry::builder().tokens(&tokens).start();
        let challenge = format!("Bearer realm=\"{}\",service=\"{SERVICE}\"", tokens.realm());
        travel(seed, &registry, options(), &challenge, &source);
    }
    let registry = TestRegistry::builder().user("me", "secret").start();
    travel(4, &registry, options(), "Basic realm=\"here\"", &source);
    // With TLS it is HTTP/2: what breaks are streams, and not connections.
    let authority = Authority::new();
    let registry = TestRegistry::builder().user("me", "secret").tls(&authority).start();
    let mut trusting = options();
    trusting.tls.authorities.push(authority.ca_file());
    travel(5, &registry, trusting, "Basic realm=\"here\"", &source);
}

/// There and back.
fn travel(
    seed: u64,
    registry: &TestRegistry,
    mut patient: TransportOptions,
    challenge: &str,
    source: &BlobSource,
) {
    let answers = vec![
        Answer::error(429, "TOOMANYREQUESTS", "retry-after: 20ms, allowed: 2000/minute"),
        Answer::error(503, "UNAVAILABLE", "come back later"),
        Answer::error(401, "UNAUTHORIZED", "who are you?").header("WWW-Authenticate", challenge),
    ];
    registry.faults().add(Random { seed, breaks_after: MIB..48 * MIB, answers, one_in: 4 }.rule());
    patient.retry.attempts = 10;
    let repository = open_at(&registry.url(NAME), patient, Some(credentials("me", "secret")));

    let uploaded = repository.put_blob(source).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert!(!uploaded.existed && !uploaded.mounted);
    let log = registry.log();
    let received = log.bytes_received();
    assert!(received < LENGTH * 3 / 2, "seed {seed}: {received} bytes came: {:?}", log.lines());

    log.clear();
    let mut reader = repository.blob(&source.descriptor("application/octet-stream")).unwrap();
    let (mut buffer, mut total) = (vec![0; 1 << 20], 0);
    loop {
        // The reader verifies the digest: at the end, it has been seen to be right.
        match reader.read(&mut buffer).unwrap_or_else(|error| panic!("seed {seed}: {error}")) {
            0 => break,
            count => total += count as u64,
        }
    }
    assert_eq!(total, LENGTH);
    assert!(log.count("GET", "/blobs/") > 3, "seed {seed}: nothing broke: {:?}", log.lines());
    let sent = log.bytes_sent();
    assert!(sent <= LENGTH * 3 / 2, "seed {seed}: {sent} bytes travelled: {:?}", log.lines());
}

#[test]
fn an_upload_goes_on_when_the_registry_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blob");
    let source = BlobSource::file(&path, random_file(&path), LENGTH);
    let mut registry = TestRegistry::start();
    let mut patient = options();
    patient.retry.first_delay = Duration::from_millis(200);
    patient.retry.longest_delay = Duration::from_secs(2);
    let repository = open_at(&registry.url(NAME), patient, None);
    thread::scope(|scope| {
        let upload = scope.spawn(|| repository.put_blob(&source));
        while registry.log().bytes_received() < 16 * MIB && !upload.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        registry.restart();
        assert!(!upload.join().unwrap().unwrap().existed);
    });
    assert_eq!(repository.blob_size(&source.digest).unwrap(), Some(LENGTH));
    let log = registry.log();
    assert_eq!(log.count("POST", "/blobs/uploads/"), 1, "{:?}", log.lines());
    assert!(log.count("PATCH", "/blobs/uploads/") >= 1, "it was not interrupted: {:?}", log.lines());
    assert!(log.bytes_received() < LENGTH * 5 / 4, "{} bytes: {:?}", log.bytes_received(), log.lines());
}
