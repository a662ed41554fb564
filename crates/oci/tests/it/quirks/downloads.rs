//! Q19–Q21: blobs that are somewhere else.

use std::io::Read;
use std::sync::Arc;

use strata_oci::{BlobKind, BlobSource, Repository};
use strata_testkit::faults::rules::{on, once, when};
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;
use strata_testkit::storage::Storage;

use crate::client::{blob, open, open_as, read};

/// A storage with what `source` is, and `registry` sending its clients there for it.
fn redirected(registry: &TestRegistry, source: &BlobSource) -> Arc<Storage> {
    let BlobKind::Bytes(bytes) = &source.kind else { panic!("a blob in memory") };
    let storage = Arc::new(Storage::start(bytes.clone()));
    let target = Arc::clone(&storage);
    registry.faults().add(when(
        // Only who may have it is sent there.
        |entry| entry.target.contains("/blobs/sha256:") && entry.header("authorization").is_some(),
        move |_| Fault::Redirect(target.signed_url()),
    ));
    storage
}

/// Storage services refuse whoever shows them two kinds of credentials; and they are not whom the password is for.
#[test]
fn q19_no_authorization_to_the_storage() {
    let registry = TestRegistry::builder().user("me", "secret").start();
    let layer = blob(1 << 20, 19);
    let storage = redirected(&registry, &layer);
    let repository = open_as(&registry, "me", "secret");
    read(&repository, &layer).unwrap();
    assert_eq!(storage.log().count("GET", "X-Blank=&X-Signature="), 1);
    assert!(storage.log().entries().iter().all(|entry| entry.header("authorization").is_none()));

    // And what is signed is not for anybody's log.
    storage.faults().add(when(|_| true, |_| Fault::Answer(Answer::error(404, "NoSuchKey", "gone"))));
    let error = read(&repository, &layer).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    for entry in storage.log().entries() {
        let signature = entry.parameter("X-Signature").unwrap();
        assert!(!format!("{error} {error:?}").contains(&signature), "{error:?}");
    }
}

/// A URL that was signed for GET is not good for HEAD: the size is had from the first byte instead.
#[test]
fn q20_head_is_refused_where_get_is_not() {
    let registry = TestRegistry::builder().user("me", "secret").start();
    let layer = blob(1 << 20, 20);
    let storage = redirected(&registry, &layer);
    let repository = open_as(&registry, "me", "secret");
    assert_eq!(repository.blob_size(&layer.digest).unwrap(), Some(1 << 20));
    let entries = storage.log().entries();
    let asked: Vec<_> = entries.iter().map(|entry| (entry.method.as_str(), entry.header("range"))).collect();
    assert_eq!(asked, [("HEAD", None), ("GET", Some("bytes=0-0"))], "the verb is kept");
}

/// The other half of Q20: Amazon's public registry answers 401 to HEAD, whoever one is.
#[test]
fn q20_head_is_refused_by_the_registry() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let layer = blob(1 << 20, 20);
    let _ = repository.put_blob(&layer).unwrap();
    for status in [401, 403] {
        registry.faults().clear();
        registry.faults().add(on("HEAD", "/blobs/", move |_| Fault::Answer(Answer::status(status))));
        assert_eq!(open(&registry).blob_size(&layer.digest).unwrap(), Some(1 << 20), "{status}");
    }
}

/// A signed URL is good for minutes, or for once: whoever goes on asks the registry for another.
#[test]
fn q21_signed_url_is_not_used_again() {
    let registry = TestRegistry::builder().user("me", "secret").start();
    let layer = blob(4 << 20, 21);
    let storage = redirected(&registry, &layer);
    storage.faults().add(once(on("GET", "", |_| Fault::BreakAnswerAfter(1 << 20))));
    storage
        .faults()
        .add(once(when(|entry| entry.header("range").is_some(), |_| Fault::BreakAnswerAfter(1 << 20))));
    let repository = open_as(&registry, "me", "secret");
    let mut received = Vec::new();
    let mut reader = repository.blob(&layer.descriptor("application/octet-stream")).unwrap();
    reader.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), 4 << 20);
    let entries = storage.log().matching("GET", "");
    assert_eq!(entries.len(), 3);
    let mut signatures: Vec<_> = entries.iter().map(|entry| entry.parameter("X-Signature")).collect();
    signatures.dedup();
    assert_eq!(signatures.len(), 3, "each with a URL of its own");
    assert!(entries[1..].iter().all(|entry| entry.header("range").is_some()));
    assert!(storage.log().bytes_sent() < 5 << 20, "{}", storage.log().bytes_sent());
}
