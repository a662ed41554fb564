//! Blobs on their way to a registry: what is sent, where, and what if the other side does not take it.

use std::time::{Duration, Instant};

use strata_oci::{BlobSource, Digest, Error, ErrorKind, Repository};

use crate::fault_server::{FaultServer, Reply, reply};

/// A registry without the blob, whose answer to POST points at `location` and whose answer to PUT is `put`.
fn registry(location: &'static str, put: impl Fn() -> Reply + Send + Sync + 'static) -> FaultServer {
    FaultServer::start(move |request| match request.method.as_str() {
        "HEAD" => reply(404, &[], ""),
        "POST" => reply(202, &[("Location", location)], ""),
        _ => put(),
    })
}

#[test]
fn a_blob_is_sent_whole_to_the_latest_location() {
    let content = vec![b'q'; 700_000];
    let digest = Digest::of(&content);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    for source in [
        BlobSource::bytes(content.clone()),
        BlobSource::file(file.path(), digest, content.len() as u64),
        BlobSource::bytes(Vec::new()),
    ] {
        for (location, target) in [
            ("/up/1?_state=a%2Bb%3D%3d&blank=&flag", "/up/1?_state=a%2Bb%3D%3d&blank=&flag&digest="),
            ("/up/2", "/up/2?digest="),
            ("3?x", "/v2/some/cache/blobs/uploads/3?x&digest="),
        ] {
            let server = registry(location, || reply(201, &[], ""));
            assert!(!server.repository().put_blob(&source).unwrap().existed);
            let requests = server.requests();
            let [_, post, put] = requests.as_slice() else { panic!("{:?}", server.log()) };
            assert_eq!(post.target, "/v2/some/cache/blobs/uploads/");
            assert_eq!(post.header("content-length"), Some("0"));
            assert_eq!(
                (put.method.as_str(), put.target.as_str()),
                ("PUT", &*format!("{target}{}", source.digest))
            );
            assert_eq!(put.header("content-length"), Some(source.size.to_string().as_str()));
            assert_eq!(put.header("transfer-encoding"), None);
            assert_eq!(put.header("content-range"), None);
            assert_eq!(put.header("content-type"), Some("application/octet-stream"));
            assert_eq!(Digest::of(&put.body), source.digest);
        }
    }
}

#[test]
fn a_location_may_be_on_another_host() {
    let other = FaultServer::always(|| reply(201, &[], ""));
    let location = format!("{}/there", other.base());
    let server = FaultServer::start(move |request| match request.method.as_str() {
        "HEAD" => reply(404, &[], ""),
        _ => reply(202, &[("Location", &location)], ""),
    });
    let source = BlobSource::bytes(b"x".to_vec());
    assert!(!server.repository().put_blob(&source).unwrap().existed);
    assert_eq!(other.log(), [format!("PUT /there?digest={}", source.digest)]);
}

#[test]
fn a_blob_that_is_there_is_not_sent() {
    let server = FaultServer::always(|| reply(200, &[], "x"));
    assert!(server.repository().put_blob(&BlobSource::bytes(b"x".to_vec())).unwrap().existed);
    assert_eq!(server.log().len(), 1);
}

#[test]
fn what_a_registry_says_to_an_upload_is_passed_on() {
    let source = BlobSource::bytes(b"x".to_vec());
    for (status, kind) in [(400, ErrorKind::Invalid), (413, ErrorKind::Invalid), (503, ErrorKind::TryAgain)] {
        let server = registry("/up?state=secret", move || reply(status, &[], "no thanks"));
        let error = server.repository().put_blob(&source).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("PUT {}/up: {status}", server.base())), "{message}");
        assert!(message.contains("no thanks") && !message.contains("secret"), "{message}");
    }
    let nowhere = FaultServer::start(|request| match request.method.as_str() {
        "HEAD" => reply(404, &[], ""),
        _ => reply(202, &[], ""),
    });
    let error = nowhere.repository().put_blob(&source).unwrap_err();
    assert!(error.to_string().contains("does not say where to upload"), "{error}");
    let error = registry("ftp://x/", || reply(201, &[], "")).repository().put_blob(&source).unwrap_err();
    assert!(error.to_string().contains("ftp://x/"), "{error}");
}

#[test]
fn an_upload_that_does_not_move_is_given_up() {
    // More than what the sockets between us hold.
    let big = BlobSource::bytes(vec![0; 32 << 20]);
    let server = registry("/up", || reply(201, &[], "").deaf());
    let begun = Instant::now();
    let error = server.repository().put_blob(&big).unwrap_err();
    assert!(error.to_string().contains("nothing was heard for 1 s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));

    // All taken, and then no answer: the registry has longer for that.
    let small = BlobSource::bytes(vec![0; 10]);
    let server = registry("/up", || reply(201, &[], "").cut(0).then_silence());
    let begun = Instant::now();
    let error = server.repository().put_blob(&small).unwrap_err();
    assert!(error.to_string().contains("nothing was heard for 2 s"), "{error}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_file_that_shrank_is_the_files_fault() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"short").unwrap();
    let source = BlobSource::file(file.path(), Digest::of(b"short"), 1_000_000);
    let server = registry("/up", || reply(201, &[], ""));
    let error = server.repository().put_blob(&source).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path == file.path()), "{error}");
    assert!(error.to_string().contains("shorter"), "{error}");
}
