//! Manifests and blobs over HTTP: redirects, odd headers, and bytes that are not what they should be.

use std::io::Read;
use std::time::{Duration, Instant};

use strata_oci::{
    BlobError, Descriptor, Digest, Error, ErrorKind, ManifestRef, Repository, blob_bytes, media_type,
};

use crate::fault_server::{FaultServer, Reply, raw, reply};
use crate::image::{Image, name};

/// The error of reading `expected` from a server that answers every request with `answer`.
fn blob_error(expected: &Descriptor, answer: impl Fn() -> Reply + Send + Sync + 'static) -> Error {
    let server = FaultServer::always(answer);
    let error = blob_bytes(&server.repository(), expected, 1 << 20).unwrap_err();
    let url = format!("{}/v2/some/cache/blobs/{}", server.base(), expected.digest);
    assert!(error.to_string().contains(&url), "{error}");
    error
}

#[test]
fn a_blob_that_is_not_what_its_descriptor_says_is_an_error() {
    let expected = Descriptor::of("x", b"0123456789");
    let error = blob_error(&expected, || reply(200, &[], "0123456789ab"));
    assert!(matches!(error, Error::Blob(BlobError::TooLong { .. })), "{error}");
    let error = blob_error(&expected, || reply(200, &[], "0123456"));
    assert!(matches!(error, Error::Blob(BlobError::TooShort { received: 7, .. })), "{error}");
    // The body ends with the connection: nobody else says that it is cut off.
    let error = blob_error(&expected, || raw(200, [], b"0123456"));
    assert!(matches!(error, Error::Blob(BlobError::TooShort { received: 7, .. })), "{error}");
    let error = blob_error(&expected, || reply(200, &[], "012345678X"));
    assert!(matches!(error, Error::Blob(BlobError::DigestMismatch { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_blob_that_never_ends_is_cut_off() {
    let expected = Descriptor::of("x", b"0123456789");
    let server = FaultServer::always(|| raw(200, [], &vec![b'0'; 32 << 20]));
    let repository = server.repository();
    let mut received = Vec::new();
    let error = repository.blob(&expected).unwrap().read_to_end(&mut received).unwrap_err();
    assert!(matches!(BlobError::of(&error), Some(BlobError::TooLong { .. })), "{error}");
    assert!(received.len() < 10, "{}", received.len());
}

#[test]
fn a_transfer_that_breaks_off_is_the_connections_fault() {
    let expected = Descriptor::of("x", b"0123456789");
    let error = blob_error(&expected, || reply(200, &[("Content-Length", "10")], "01234"));
    assert!(matches!(error, Error::Blob(BlobError::Interrupted { received: 5, .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let begun = Instant::now();
    let error = blob_error(&expected, || reply(200, &[("Content-Length", "10")], "01234").then_silence());
    assert!(error.to_string().contains("nothing was heard for 1 s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_reader_that_is_dropped_early_does_no_harm() {
    let content = vec![b'z'; 64 << 20];
    let expected = Descriptor::of("x", &content);
    let server = FaultServer::start(move |_| reply(200, &[], &content));
    let repository = server.repository();
    for _ in 0..3 {
        let mut reader = repository.blob(&expected).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
    }
    assert_eq!(repository.blob_size(&expected.digest).unwrap(), Some(64 << 20));
}

#[test]
fn redirects_to_storage_are_followed_and_their_signatures_not_shown() {
    let storage = FaultServer::start(|request| {
        assert_eq!(request.target, "/bucket/x?X-Signature=secret%2F%3D&blank=");
        match request.method.as_str() {
            "HEAD" => reply(403, &[], ""),
            _ if request.header("range").is_some() => reply(206, &[("Content-Range", "bytes 0-0/10")], "0"),
            _ => reply(200, &[("Content-Length", "10")], "01234"),
        }
    });
    let target = format!("{}/bucket/x?X-Signature=secret%2F%3D&blank=", storage.base());
    let server = FaultServer::always(move || reply(307, &[("Location", &target)], ""));
    let repository = server.repository();
    let expected = Descriptor::of("x", b"0123456789");
    assert_eq!(repository.blob_size(&expected.digest).unwrap(), Some(10));
    let methods: Vec<String> = storage.requests().iter().map(|request| request.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "GET"], "the verb is kept");
    let error = blob_bytes(&repository, &expected, 100).unwrap_err();
    assert!(matches!(error, Error::Blob(BlobError::Interrupted { .. })), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn redirects_in_a_circle_end() {
    let server = FaultServer::start(|request| reply(307, &[("Location", &request.target)], ""));
    let error = server.repository().tags().unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    assert!(server.log().len() < 20);
}

#[test]
fn a_size_is_had_where_head_is_not_allowed() {
    let digest = Digest::of(b"");
    let size = |head: u16, get: fn() -> Reply| {
        let server = FaultServer::start(move |request| match request.method.as_str() {
            "HEAD" => reply(head, &[], ""),
            _ => {
                assert_eq!(request.header("range"), Some("bytes=0-0"));
                get()
            }
        });
        server.repository().blob_size(&digest)
    };
    for head in [401, 403, 405] {
        let part = || reply(206, &[("Content-Range", "bytes 0-0/12345678901")], "x");
        assert_eq!(size(head, part).unwrap(), Some(12_345_678_901));
    }
    assert_eq!(size(405, || reply(416, &[("Content-Range", "bytes */0")], "")).unwrap(), Some(0));
    assert_eq!(size(405, || reply(200, &[], "whole")).unwrap(), Some(5));
    assert_eq!(size(405, || reply(404, &[], "")).unwrap(), None);
    for nonsense in ["bytes 0-0/*", "bytes 0-0/-1", "x/"] {
        let server = FaultServer::start(move |request| match request.method.as_str() {
            "HEAD" => reply(405, &[], ""),
            _ => reply(206, &[("Content-Range", nonsense)], "x"),
        });
        let error = server.repository().blob_size(&digest).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    }
}

#[test]
fn all_manifest_types_are_asked_for() {
    let image = Image::new("x");
    let bytes = image.manifest.clone();
    let server = FaultServer::start(move |_| reply(200, &[("Content-Type", "application/json")], &bytes));
    let repository = server.repository();
    // Neither a digest nor a manifest's media type in the answer to HEAD: GET decides.
    assert_eq!(repository.resolve(&name("t")).unwrap().unwrap().digest, image.digest());
    assert_eq!(server.log(), ["HEAD /v2/some/cache/manifests/t", "GET /v2/some/cache/manifests/t"]);
    for request in server.requests() {
        let accept = request.header("accept").unwrap();
        for media_type in media_type::ALL_MANIFESTS {
            assert!(accept.contains(media_type), "{accept}");
        }
    }
    let raw = repository.manifest(&name("t").into()).unwrap().unwrap();
    assert_eq!(raw.parse().unwrap().layers.len(), 1);
}

#[test]
fn media_types_are_compared_without_parameters() {
    let image = Image::new("x");
    let (bytes, digest) = (image.manifest.clone(), image.digest().to_string());
    let server = FaultServer::start(move |_| {
        let content_type = format!("{}; charset=utf-8", media_type::OCI_MANIFEST);
        reply(200, &[("Content-Type", &content_type), ("Docker-Content-Digest", &digest)], &bytes)
    });
    let resolved = server.repository().resolve(&name("t")).unwrap().unwrap();
    assert_eq!(resolved, Descriptor::of(media_type::OCI_MANIFEST, &image.manifest));
    assert_eq!(server.log().len(), 1, "HEAD said it all");
}

#[test]
fn a_manifest_is_known_by_its_content_where_no_type_is_stated() {
    let image = Image::new("x");
    for headers in [&[][..], &[("Content-Type", "text/plain; charset=utf-8")]] {
        let bytes = image.manifest.clone();
        let server = FaultServer::always(move || reply(200, headers, &bytes));
        let raw = server.repository().manifest(&name("t").into()).unwrap().unwrap();
        assert_eq!(raw.parse().unwrap().layers.len(), 1, "{headers:?}");
    }
}

#[test]
fn a_manifest_with_another_digest_is_refused() {
    let image = Image::new("x");
    let other = Digest::of(b"other");
    let bytes = image.manifest.clone();
    let stated = other.to_string();
    let server = FaultServer::start(move |request| {
        let status = if request.method == "PUT" { 201 } else { 200 };
        reply(status, &[("Docker-Content-Digest", &stated)], &bytes)
    });
    let repository = server.repository();
    for outcome in [
        repository.manifest(&name("t").into()).map(drop),
        repository.manifest(&ManifestRef::Digest(Digest::of(b"third"))).map(drop),
        image.put_manifest(&repository, "t").map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::ManifestDigest { actual, .. } if actual == image.digest()), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_manifest_without_end_is_not_read() {
    let server = FaultServer::always(|| raw(200, [], &vec![b' '; 20 << 20]));
    let error = server.repository().manifest(&name("t").into()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
