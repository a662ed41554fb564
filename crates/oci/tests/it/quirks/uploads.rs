//! Q15–Q18: where blobs are put, and in what pieces.

use std::sync::atomic::{AtomicUsize, Ordering};

use strata_oci::{Repository, UploadMode};
use strata_testkit::faults::rules::{on, when};
use strata_testkit::faults::{Answer, Fault, rewrite};
use strata_testkit::registry::TestRegistry;

use crate::client::{NAME, blob, open, open_at, options, read};

const UPLOADS: &str = "/blobs/uploads/";

/// A `Location` without scheme and host, and without its query.
fn path(location: &str) -> &str {
    let from = location.find("/v2/").unwrap();
    location[from..].split('?').next().unwrap()
}

/// The place to upload to may be on another host, or named from where one is, and have a query that is to come back
/// byte for byte.
#[test]
fn q15_location_of_an_upload_is_taken_as_it_is() {
    let registry = TestRegistry::start();
    let port = registry.port();
    let elsewhere =
        move |location: &str| format!("http://localhost:{port}{}?_state=a%2Bb+c%3D&blank=&z", path(location));
    is_taken(&registry, 1, elsewhere, "localhost", "_state=a%2Bb+c%3D&blank=&z");
    let from_the_root = |location: &str| format!("{}?_state=%2F%2f&blank=&z", path(location));
    is_taken(&registry, 2, from_the_root, "127.0.0.1", "_state=%2F%2f&blank=&z");
    let from_here = |location: &str| format!("{}?z", path(location).rsplit('/').next().unwrap());
    is_taken(&registry, 3, from_here, "127.0.0.1", "z");
}

/// With uploads at `place`, the blob comes to `host` with `query` and its digest, and arrives.
fn is_taken(
    registry: &TestRegistry,
    seed: u64,
    place: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
    host: &str,
    query: &str,
) {
    registry.log().clear();
    registry.faults().clear();
    registry.faults().add(on("POST", UPLOADS, move |_| rewrite::change_location(place.clone())));
    let repository = open(registry);
    let layer = blob(100_000, seed);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    read(&repository, &layer).unwrap();
    let puts = registry.log().matching("PUT", UPLOADS);
    assert_eq!(puts.len(), 1, "{:?}", registry.log().lines());
    let sent = puts[0].target.split_once('?').unwrap().1;
    let digest = layer.digest.to_string();
    let escaped = digest.replace(':', "%3A");
    let expected = [format!("{query}&digest={digest}"), format!("{query}&digest={escaped}")];
    assert!(expected.contains(&sent.to_string()), "{sent}");
    assert_eq!(puts[0].header("host"), Some(format!("{host}:{}", registry.port()).as_str()));
}

/// The other half of Q15: every answer has a new place, and only the latest counts.
#[test]
fn q15_latest_location_counts() {
    let registry = TestRegistry::start();
    let answered = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&answered);
    registry.faults().add(when(
        |entry| entry.target.contains(UPLOADS) && matches!(entry.method.as_str(), "POST" | "PATCH"),
        move |_| {
            let count = std::sync::Arc::clone(&count);
            rewrite::change_location(move |location| {
                format!("{}?state={}", path(location), count.fetch_add(1, Ordering::SeqCst))
            })
        },
    ));
    let mut chunked = options();
    chunked.uploads = UploadMode::Chunked(1 << 20);
    let repository = open_at(&registry.url(NAME), chunked, None);
    let layer = blob(3_500_000, 15);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    read(&repository, &layer).unwrap();
    let states: Vec<Option<String>> = registry
        .log()
        .entries()
        .iter()
        .filter(|entry| entry.target.contains(UPLOADS) && entry.method != "POST")
        .map(|entry| entry.parameter("state"))
        .collect();
    let expected: Vec<Option<String>> = (0..states.len()).map(|number| Some(number.to_string())).collect();
    assert_eq!(states, expected, "{:?}", registry.log().lines());
    assert!(answered.load(Ordering::SeqCst) >= 4);
}

/// How much a registry, or the proxy before it, takes at once is only said by refusing what is more.
#[test]
fn q16_too_large_at_once_goes_in_chunks() {
    const MOST: u64 = 5 << 20;
    let registry = TestRegistry::start();
    registry.faults().add(when(
        |entry| {
            let length = entry.header("content-length").and_then(|length| length.parse::<u64>().ok());
            entry.target.contains(UPLOADS) && length.is_some_and(|length| length > MOST)
        },
        |_| Fault::AnswerEarly(Answer::page(413)),
    ));
    let repository = open(&registry);
    let layer = blob(12 << 20, 16);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    assert_eq!(registry.log().matching("PUT", UPLOADS)[0].status(), Some(413));
    assert!(registry.log().count("PATCH", UPLOADS) >= 3, "{:?}", registry.log().lines());
    registry.faults().clear();
    read(&repository, &layer).unwrap();
}

/// The other half of Q16: some say how much it must be at least.
#[test]
fn q16_least_length_of_chunks_is_kept() {
    const LEAST: u64 = 3 << 20;
    let registry = TestRegistry::start();
    registry
        .faults()
        .add(on("POST", UPLOADS, |_| rewrite::set_header("oci-chunk-min-length", LEAST.to_string())));
    let mut chunked = options();
    chunked.uploads = UploadMode::Chunked(1 << 20);
    let repository = open_at(&registry.url(NAME), chunked, None);
    let layer = blob(7 << 20, 16);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    read(&repository, &layer).unwrap();
    let lengths: Vec<u64> =
        registry.log().matching("PATCH", UPLOADS).iter().map(|entry| entry.bytes_received()).collect();
    let (last, others) = lengths.split_last().unwrap();
    assert!(others.len() >= 2 && others.iter().all(|length| *length >= LEAST), "{lengths:?}");
    assert!(*last <= 7 << 20);
    // What is sent in chunks says which it is.
    for patch in registry.log().matching("PATCH", UPLOADS) {
        assert!(patch.header("content-range").is_some(), "{:?}", patch.headers);
    }
}

/// `Content-Range` is for chunks, and a registry that sees one takes the request for something else.
#[test]
fn q17_no_content_range_on_a_monolithic_put() {
    let registry = TestRegistry::start();
    registry.faults().add(|entry| {
        let ranged = entry.is("PUT", UPLOADS) && entry.header("content-range").is_some();
        ranged.then(|| Fault::AnswerEarly(Answer::error(416, "RANGE_INVALID", "not expected")))
    });
    let repository = open(&registry);
    let layer = blob(3 << 20, 17);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    read(&repository, &layer).unwrap();
    let log = registry.log();
    assert_eq!((log.count("PUT", UPLOADS), log.count("PATCH", UPLOADS)), (1, 0), "{:?}", log.lines());
}

/// Where a session that fails stays until an administrator removes it, there should not be one.
#[test]
fn q18_single_post() {
    let registry = TestRegistry::start();
    let mut single = options();
    single.uploads = UploadMode::SinglePost;
    let repository = open_at(&registry.url(NAME), single, None);
    let layer = blob(3 << 20, 18);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    read(&repository, &layer).unwrap();
    let log = registry.log();
    let posts = log.matching("POST", UPLOADS);
    assert_eq!((posts.len(), log.count("PUT", ""), log.count("PATCH", "")), (1, 0, 0), "{:?}", log.lines());
    assert_eq!(posts[0].bytes_received(), 3 << 20);
    assert_eq!(posts[0].parameter("digest"), Some(layer.digest.to_string()));
}
