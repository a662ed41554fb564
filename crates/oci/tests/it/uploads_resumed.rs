//! Uploads that break off: what was sent is not sent again, and what the registry did not like is sent otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};

use strata_oci::{
    BlobSource, Digest, ErrorKind, Repository, RetryPolicy, TransportOptions, UploadMode, Uploaded,
};

use crate::flaky_registry::{Faults, FlakyRegistry, options};

const MIB: u64 = 1 << 20;

const SENT: Uploaded = Uploaded { existed: false, mounted: false };

/// So many bytes that are nowhere alike.
pub(crate) fn content(bytes: u64) -> Vec<u8> {
    let mut content = vec![0; usize::try_from(bytes).unwrap()];
    fastrand::Rng::with_seed(bytes).fill(&mut content);
    content
}

fn source(bytes: u64) -> BlobSource {
    BlobSource::bytes(content(bytes))
}

/// How a blob of so many bytes gets to such a registry.
fn put(faults: Faults, bytes: u64, uploads: UploadMode) -> FlakyRegistry {
    let registry = FlakyRegistry::start(faults);
    let source = source(bytes);
    let repository = registry.repository_with(TransportOptions { uploads, ..options() });
    assert_eq!(repository.put_blob(&source).unwrap(), SENT, "{:?}", registry.log());
    assert!(registry.has(&source.digest));
    assert_eq!(registry.sessions(), 0, "{:?}", registry.log());
    registry
}

/// The methods of all requests, alike ones in a row counted.
fn methods(registry: &FlakyRegistry) -> String {
    let log = registry.log();
    let methods: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    methods
        .chunk_by(|one, other| one == other)
        .map(
            |alike| {
                if alike.len() == 1 { alike[0].to_string() } else { format!("{}×{}", alike[0], alike.len()) }
            },
        )
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_blob_arrives_though_every_connection_breaks() {
    for (seed, uploads) in
        [(1, UploadMode::Monolithic), (2, UploadMode::Monolithic), (3, UploadMode::Chunked(5 * MIB))]
    {
        let faults = Faults { seed, break_within: Some(6 * MIB), refuse: 100, ..Faults::default() };
        let registry = put(faults, 64 * MIB, uploads);
        assert!(registry.received() < 96 * MIB, "{} bytes were received", registry.received());
        assert!(registry.log().len() > 15, "it did break");
    }
}

#[test]
fn a_file_is_resumed_in_its_middle() {
    let content = content(20 * MIB);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let source = BlobSource::file(file.path(), Digest::of(&content), content.len() as u64);
    let registry = FlakyRegistry::start(Faults { break_within: Some(3 * MIB), ..Faults::default() });
    assert_eq!(registry.repository().put_blob(&source).unwrap(), SENT);
    assert!(registry.has(&source.digest));
}

#[test]
fn without_progress_it_ends() {
    // Nothing is ever kept of what comes.
    let faults = Faults { break_within: Some(10_000), forgets: true, ..Faults::default() };
    let registry = FlakyRegistry::start(faults);
    let retry = RetryPolicy { attempts: 4, ..options().retry };
    let repository = registry.repository_with(TransportOptions { retry, ..options() });
    let error = repository.put_blob(&source(2 * MIB)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let log = registry.log();
    assert_eq!(log.iter().filter(|line| line.starts_with("POST")).count(), 4, "{log:?}");
    assert_eq!(log.last().unwrap(), "DELETE", "the session is not left behind");
}

#[test]
fn a_byte_at_a_time_is_no_progress() {
    let registry = FlakyRegistry::start(Faults { break_within: Some(2), ..Faults::default() });
    let retry = RetryPolicy { attempts: 4, ..options().retry };
    let repository = registry.repository_with(TransportOptions { retry, ..options() });
    let error = repository.put_blob(&source(MIB)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let log = registry.log();
    assert!(log.len() < 20, "{log:?}");
    assert_eq!(registry.sessions(), 0, "{log:?}");
}

#[test]
fn a_session_that_is_lost_is_begun_anew() {
    for tells in [true, false] {
        let faults = Faults { break_first: 2, forgets: true, tells, ..Faults::default() };
        let registry = put(faults, 100_000, UploadMode::Monolithic);
        let log = registry.log();
        assert_eq!(log.iter().filter(|line| *line == "POST").count(), 3, "{log:?}");
        assert_eq!(registry.received(), 200_000);
    }
}

#[test]
fn a_single_byte_that_was_left_behind_does_no_harm() {
    // A session with one byte says of itself what an empty one says.
    for (uploads, expected) in [
        (UploadMode::Monolithic, "HEAD POST PUT GET PUT DELETE HEAD POST PUT"),
        (UploadMode::Chunked(2), "HEAD POST PATCH GET PATCH GET DELETE HEAD POST PATCH PUT"),
    ] {
        let registry = put(Faults { break_first: 1, ..Faults::default() }, 2, uploads);
        assert_eq!(methods(&registry), expected);
    }
}

#[test]
fn an_acknowledgement_that_is_lost_is_no_reason_to_send_it_again() {
    for tells in [true, false] {
        let registry = put(Faults { swallow: 1, tells, ..Faults::default() }, MIB, UploadMode::Monolithic);
        assert_eq!(methods(&registry), "HEAD POST PUT GET DELETE HEAD");
        assert_eq!(registry.received(), MIB);
    }
}

#[test]
fn a_registry_that_takes_no_more_gets_chunks() {
    let faults = |says_too_large| Faults { body_limit: Some(3 * MIB), says_too_large, ..Faults::default() };
    // 16, 8 and 4 MiB are too much as well.
    let registry = put(faults(true), 40 * MIB, UploadMode::Monolithic);
    assert!(methods(&registry).ends_with("POST PATCH×20 PUT"), "{}", methods(&registry));
    assert_eq!(registry.received(), 40 * MIB);
    // The connection is closed on a body that is too large, without a word.
    let registry = put(faults(false), 40 * MIB, UploadMode::Monolithic);
    assert!(methods(&registry).contains("PATCH"), "{}", methods(&registry));
    assert_eq!(registry.received(), 40 * MIB);
}

#[test]
fn what_is_too_large_in_every_way_is_refused_as_too_large() {
    for faults in [
        Faults { body_limit: Some(1000), ..Faults::default() },
        Faults { body_limit: Some(MIB), least_chunk: Some(2 * MIB), ..Faults::default() },
        Faults { body_limit: Some(MIB), patch: false, ..Faults::default() },
    ] {
        let registry = FlakyRegistry::start(faults);
        let error = registry.repository().put_blob(&source(5 * MIB)).unwrap_err();
        assert!(error.to_string().contains("413"), "{error}");
        assert_eq!(registry.sessions(), 0, "{:?}", registry.log());
    }
}

#[test]
fn chunks_are_as_long_as_asked_for_and_as_the_registry_wants() {
    for (chunk, least, expected) in [
        (2 * MIB, None, vec!["0-2097151", "2097152-4194303", "4194304-5242879"]),
        (MIB, Some(4 * MIB), vec!["0-4194303", "4194304-5242879"]),
        (0, Some(5 * MIB), vec!["0-5242879"]),
    ] {
        let faults = Faults { least_chunk: least, ..Faults::default() };
        let registry = put(faults, 5 * MIB, UploadMode::Chunked(chunk));
        let log = registry.log();
        let ranges: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix("PATCH ")).collect();
        assert_eq!(ranges, expected);
        assert_eq!(log.last().unwrap(), "PUT");
    }
    let registry = put(Faults::default(), 0, UploadMode::Chunked(MIB));
    assert_eq!(methods(&registry), "HEAD POST PUT", "nothing is not cut into chunks");
}

#[test]
fn after_a_413_chunks_are_not_shorter_than_the_registry_wants() {
    let faults = Faults { body_limit: Some(6 * MIB), least_chunk: Some(6 * MIB), ..Faults::default() };
    let registry = put(faults, 14 * MIB, UploadMode::Monolithic);
    assert!(methods(&registry).ends_with("PATCH×3 PUT"), "{}", methods(&registry));
}

#[test]
fn one_post_is_enough_where_the_registry_can_do_that() {
    let single_post = |single_post| Faults { single_post, ..Faults::default() };
    let registry = put(single_post(true), MIB, UploadMode::SinglePost);
    assert_eq!(methods(&registry), "HEAD POST");
    let registry = put(single_post(false), MIB, UploadMode::SinglePost);
    assert_eq!(methods(&registry), "HEAD POST PUT");
    let faults = Faults { single_post: true, break_first: 1, ..Faults::default() };
    let registry = put(faults, MIB, UploadMode::SinglePost);
    assert_eq!(methods(&registry), "HEAD POST HEAD POST");
}

#[test]
fn a_blob_of_another_repository_is_mounted_or_else_sent() {
    let registry = FlakyRegistry::start(Faults::default());
    let mut there = source(1000);
    registry.keep("other/cache", &content(1000));
    there.mount_from = Some("other/cache".to_string());
    let uploaded = registry.repository().put_blob(&there).unwrap();
    assert_eq!(uploaded, Uploaded { existed: false, mounted: true });
    assert!(registry.has(&there.digest));
    assert_eq!(methods(&registry), "HEAD POST");

    let mut elsewhere = source(2000);
    elsewhere.mount_from = Some("other/cache".to_string());
    assert_eq!(registry.repository().put_blob(&elsewhere).unwrap(), SENT);
    assert!(registry.has(&elsewhere.digest));
    assert_eq!(methods(&registry), "HEAD POST HEAD POST PUT", "the session is made use of");
}

#[test]
fn many_threads_put_a_blob_once() {
    let registry = FlakyRegistry::start(Faults::default());
    let (source, repository) = (source(3 * MIB), registry.repository());
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                if !repository.put_blob(&source).unwrap().existed {
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(sent.into_inner(), 1);
    assert_eq!(methods(&registry), "HEAD POST PUT");
    assert_eq!(registry.received(), 3 * MIB);
}
