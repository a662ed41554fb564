//! Files that are not what they were when their digest was computed: whoever pushes has to be told which file it is.

use std::path::Path;

use strata_oci::{BlobError, BlobSource, Digest, Error, ErrorKind, Repository, TransportOptions, UploadMode};

use crate::flaky_registry::{Faults, FlakyRegistry, options};

const PROMISED: &[u8] = b"what it was when it was packed";

/// What comes of putting a file that has become `actual`, and how many requests it takes.
fn put(actual: &[u8], faults: Faults, uploads: UploadMode) -> (Error, usize, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), actual).unwrap();
    let registry = FlakyRegistry::start(faults);
    let source = BlobSource::file(file.path(), Digest::of(PROMISED), PROMISED.len() as u64);
    let error =
        registry.repository_with(TransportOptions { uploads, ..options() }).put_blob(&source).unwrap_err();
    assert!(!registry.has(&source.digest));
    assert_eq!(registry.sessions(), 0, "{:?}", registry.log());
    (error, registry.log().len(), file)
}

fn names(error: &Error, path: &Path) {
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn another_content_is_named_with_its_file_and_not_sent_again() {
    let single = Faults { single_post: true, ..Faults::default() };
    for (faults, uploads, requests) in [
        (Faults::default(), UploadMode::Monolithic, 4),
        (Faults::default(), UploadMode::Chunked(10), 7),
        (single, UploadMode::SinglePost, 2),
    ] {
        let (error, made, file) = put(b"what it was not when it packed", faults, uploads);
        names(&error, file.path());
        assert!(matches!(&error, Error::Blob(BlobError::DigestMismatch { .. })), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(made, requests, "{uploads:?}");
    }
}

#[test]
fn it_is_found_after_a_break_too() {
    let faults = Faults { break_first: 1, ..Faults::default() };
    let (error, made, file) = put(b"what it was not when it packed", faults, UploadMode::Monolithic);
    names(&error, file.path());
    assert!(made < 10, "{made} requests: {error}");
}

#[test]
fn a_file_that_became_shorter_is_named() {
    let (error, _, file) = put(b"short", Faults::default(), UploadMode::Monolithic);
    names(&error, file.path());
    assert!(error.to_string().contains("shorter"), "{error}");
}

#[test]
fn a_file_that_is_gone_is_named_before_anything_is_begun() {
    let registry = FlakyRegistry::start(Faults::default());
    let path = Path::new("/nowhere/at/all");
    let source = BlobSource::file(path, Digest::of(PROMISED), PROMISED.len() as u64);
    names(&registry.repository().put_blob(&source).unwrap_err(), path);
    assert_eq!(registry.log(), ["HEAD"]);
}

#[test]
fn a_registry_that_spoils_what_it_gets_is_not_blamed_on_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), PROMISED).unwrap();
    let source = BlobSource::file(file.path(), Digest::of(PROMISED), PROMISED.len() as u64);
    let server = crate::fault_server::FaultServer::start(|request| match request.method.as_str() {
        "HEAD" => crate::fault_server::reply(404, &[], ""),
        "POST" => crate::fault_server::reply(202, &[("Location", "/u")], ""),
        _ => crate::fault_server::reply(400, &[], "no good"),
    });
    let url = format!("oci+http://127.0.0.1:{}/some/cache", server.port()).parse().unwrap();
    let transport = strata_oci::Transport::new(options());
    let repository = strata_oci::RemoteRepository::open(&url, &transport, None).unwrap();
    let error = repository.put_blob(&source).unwrap_err();
    assert!(error.to_string().contains("no good"), "{error}");
}
