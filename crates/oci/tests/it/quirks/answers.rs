//! Q14, Q29, Q33: answers that are not what they say.

use strata_oci::{BlobError, Digest, Error, ErrorKind, Repository, media_type};
use strata_testkit::faults::rules::{on, when};
use strata_testkit::faults::{Answer, Fault, rewrite};
use strata_testkit::registry::TestRegistry;

use crate::client::{blob, open, read};
use crate::image::{Image, name};

/// Proxies answer with pages of their own, and Google's registry with 200 and a page for some names.
#[test]
fn q14_error_page_with_status_200() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let image = Image::new("x");
    image.put(&repository, "t");
    let layer = blob(100_000, 14);
    let _ = repository.put_blob(&layer).unwrap();
    registry.faults().add(when(|_| true, |_| Fault::Answer(Answer::page(200))));
    let other = open(&registry);
    for (what, outcome) in [
        ("resolve", other.resolve(&name("t")).map(drop)),
        ("manifest", other.manifest(&name("t").into()).map(drop)),
        ("tags", other.tags().map(drop)),
        ("blob", read(&other, &layer).map(drop)),
        ("put", other.put_blob(&blob(10, 15)).map(drop)),
    ] {
        let error = outcome.expect_err(what);
        assert!(matches!(error, Error::Html { .. }), "{what}: {error}");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{what}");
        let by_head = error.to_string().starts_with("HEAD ");
        assert!(by_head || error.to_string().contains("Sign in to the hotel network"), "{what}: {error}");
    }
}

/// The other half of Q14: what is not the blob is not taken for it, whatever the headers say.
#[test]
fn q14_other_bytes_are_not_the_blob() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let layer = blob(100_000, 14);
    let _ = repository.put_blob(&layer).unwrap();
    registry
        .faults()
        .add(on("GET", "/blobs/", |_| rewrite::set_body("application/octet-stream", vec![b'x'; 100_000])));
    let error = read(&repository, &layer).unwrap_err();
    assert!(matches!(error, Error::Blob(BlobError::DigestMismatch { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// Registries give only what was asked for by type, and say what they give with parameters.
#[test]
fn q29_accept_lists_what_is_taken() {
    let registry = TestRegistry::start();
    registry.faults().add(|entry| {
        let accept = entry.header("accept").unwrap_or_default();
        let asks_for_all = media_type::ALL_MANIFESTS.iter().all(|media_type| accept.contains(media_type));
        let reads = matches!(entry.method.as_str(), "GET" | "HEAD") && entry.target.contains("/manifests/");
        let words = "OCI index found, but accept header does not support OCI indexes";
        (reads && !asks_for_all).then(|| Fault::Answer(Answer::error(404, "MANIFEST_UNKNOWN", words)))
    });
    registry.faults().add(|entry| {
        let change = || rewrite::change_header("content-type", |value| format!("{value}; charset=utf-8"));
        entry.target.contains("/manifests/").then(change)
    });
    let repository = open(&registry);
    let image = Image::new("x");
    image.put(&repository, "t");
    let resolved = repository.resolve(&name("t")).unwrap().unwrap();
    assert_eq!((resolved.digest, resolved.media_type.as_str()), (image.digest(), media_type::OCI_MANIFEST));
    let raw = repository.manifest(&name("t").into()).unwrap().unwrap();
    assert_eq!(raw.media_type, media_type::OCI_MANIFEST);
}

/// There is no way to put a manifest only if nobody else did; that at least this one arrived is checked.
#[test]
fn q33_another_manifest_than_the_one_put() {
    let registry = TestRegistry::start();
    let other = Digest::of(b"somebody else's").to_string();
    registry
        .faults()
        .add(on("PUT", "/manifests/", move |_| rewrite::set_header("docker-content-digest", other.clone())));
    let repository = open(&registry);
    let image = Image::new("x");
    let _ = repository.put_blob(&image.layer).unwrap();
    let _ = repository.put_blob(&image.config).unwrap();
    let error = image.put_manifest(&repository, "t").unwrap_err();
    assert!(matches!(error, Error::ManifestDigest { actual, .. } if actual == image.digest()), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
