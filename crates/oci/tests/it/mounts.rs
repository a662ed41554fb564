//! Blobs that another repository of the registry has: they are mounted, or else sent, and never the reason to fail.

use strata_oci::{BlobSource, Repository, Uploaded};
use strata_testkit::faults::rules::{on, when};
use strata_testkit::faults::{Answer, Entry, Fault};
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{TokenOptions, TokenServer};

use crate::client::{NAME, blob, open_at, options, read};

const OTHER: &str = "other/cache";

const UPLOADS: &str = "/blobs/uploads/";

/// A blob that [`OTHER`] has.
fn there(registry: &TestRegistry) -> BlobSource {
    let layer = blob(100_000, 1);
    let _ = open_at(&registry.url(OTHER), options(), None).put_blob(&layer).unwrap();
    BlobSource { mount_from: Some(OTHER.to_string()), ..layer }
}

fn mounts(entry: &Entry) -> bool {
    entry.is("POST", UPLOADS) && entry.parameter("mount").is_some()
}

/// It gets there, sent.
fn is_sent(registry: &TestRegistry, layer: &BlobSource) {
    let repository = open_at(&registry.url(NAME), options(), None);
    let uploaded = repository.put_blob(layer).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(uploaded, Uploaded { existed: false, mounted: false });
    read(&repository, layer).unwrap();
}

#[test]
fn one_token_allows_both() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let layer = there(&registry);
    let uploaded = open_at(&registry.url(NAME), options(), None).put_blob(&layer).unwrap();
    assert_eq!(uploaded, Uploaded { existed: false, mounted: true });
    assert_eq!(tokens.count(&["repository:other/cache:pull", "repository:some/cache:pull,push"]), 1);
}

#[test]
fn no_token_for_the_other_repository_is_no_reason_to_fail() {
    for status in [401, 403, 400, 404] {
        let tokens = TokenServer::start(TokenOptions::default());
        let registry = TestRegistry::builder().tokens(&tokens).start();
        let layer = there(&registry);
        tokens.faults().add(when(
            |entry| entry.parameters().iter().any(|(_, scope)| scope.contains(OTHER)),
            move |_| Fault::Answer(Answer::error(status, "DENIED", "not that one")),
        ));
        is_sent(&registry, &layer);
    }
}

#[test]
fn a_registry_that_does_not_want_to_mount_gets_it_sent() {
    for status in [400, 401, 403, 404, 405, 501] {
        let registry = TestRegistry::start();
        let layer = there(&registry);
        registry.faults().add(move |entry| {
            mounts(entry).then(|| Fault::Answer(Answer::error(status, "UNSUPPORTED", "not that")))
        });
        is_sent(&registry, &layer);
    }
}

#[test]
fn a_refusal_to_mount_is_for_all_blobs() {
    let registry = TestRegistry::start();
    registry
        .faults()
        .add(|entry| mounts(entry).then(|| Fault::Answer(Answer::error(403, "DENIED", "not from there"))));
    let repository = open_at(&registry.url(NAME), options(), None);
    for seed in 0..5 {
        let layer = BlobSource { mount_from: Some(OTHER.to_string()), ..blob(1000, seed) };
        let _ = repository.put_blob(&layer).unwrap();
    }
    let asked = registry.log().matching("POST", UPLOADS).iter().filter(|entry| mounts(entry)).count();
    assert_eq!(asked, 1);
}

#[test]
fn who_may_not_write_is_not_told_of_the_other_repository() {
    let registry = TestRegistry::start();
    let layer = there(&registry);
    registry.faults().add(on("POST", UPLOADS, |_| Fault::Answer(Answer::error(403, "DENIED", "not here"))));
    let error = open_at(&registry.url(NAME), options(), None).put_blob(&layer).unwrap_err().to_string();
    assert!(error.contains("push to some/cache") && !error.contains(OTHER), "{error}");
}
