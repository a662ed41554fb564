//! Downloads that break off: they go on where they were, and only the rest is asked for.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use strata_oci::{
    BlobError, BlobSource, Descriptor, Digest, ErrorKind, Listener, Notice, RemoteRepository, Repository,
    RetryPolicy, Timeouts, Transport, TransportOptions, blob_bytes,
};
use strata_testkit::docker_registry::DockerRegistry;

use crate::cutting_proxy::CuttingProxy;
use crate::fault_server::{FaultServer, Reply, raw, reply};
use crate::flaky_registry::{Faults, FlakyRegistry, options};
use crate::uploads_resumed::content;

const MIB: u64 = 1 << 20;

/// The digest and the number of bytes that a reader gives.
pub(crate) fn digest_of(reader: &mut dyn Read) -> io::Result<(Digest, u64)> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok((Digest::of(&bytes), bytes.len() as u64))
}

/// A repository on a fault server, through a client that tries again at once but not often.
fn repository(server: &FaultServer, attempts: u32) -> RemoteRepository {
    let retry = RetryPolicy { attempts, ..options().retry };
    let timeouts = Timeouts { idle: Duration::from_secs(1), ..Timeouts::default() };
    let url = format!("oci+http://127.0.0.1:{}/some/cache", server.port()).parse().unwrap();
    let options = TransportOptions { retry, timeouts, ..options() };
    RemoteRepository::open(&url, &Transport::new(options), None).unwrap()
}

#[test]
fn a_blob_arrives_though_every_connection_breaks() {
    for seed in [1, 2] {
        let faults = Faults { seed, break_within: Some(6 * MIB), refuse: 100, ..Faults::default() };
        let registry = FlakyRegistry::start(faults);
        let content = content(64 * MIB);
        registry.keep("some/cache", &content);
        let descriptor = Descriptor::of("x", &content);
        let repository = registry.repository();
        let (digest, size) = digest_of(&mut *repository.blob(&descriptor).unwrap()).unwrap();
        assert_eq!((digest, size), (descriptor.digest, 64 * MIB));
        assert!(registry.sent() <= 96 * MIB, "{} bytes were sent", registry.sent());
        assert!(registry.log().len() > 15, "it did break");
    }
}

#[test]
fn a_blob_gets_to_and_from_a_real_registry_over_a_bad_line() {
    let Some(registry) = DockerRegistry::start() else {
        strata_testkit::golden::skipped("downloads_resumed", "docker-registry is not installed");
        return;
    };
    let content = content(64 * MIB);
    let source = BlobSource::bytes(content);
    let through = |proxy: &CuttingProxy| {
        let url = proxy.url("some/cache").parse().unwrap();
        RemoteRepository::open(&url, &Transport::new(options()), None).unwrap()
    };
    // It loses a session when a connection breaks: the blob is begun anew.
    let proxy = CuttingProxy::start(registry.port(), |number| match number {
        0..3 => (20 * MIB, u64::MAX),
        _ => (u64::MAX, u64::MAX),
    });
    assert!(!through(&proxy).put_blob(&source).unwrap().existed);
    assert!(proxy.passed().0 > 64 * MIB, "it did break");

    let random = Mutex::new(fastrand::Rng::with_seed(1));
    let proxy =
        CuttingProxy::start(registry.port(), move |_| (u64::MAX, random.lock().unwrap().u64(1000..6 * MIB)));
    let mut reader = through(&proxy).blob(&source.descriptor("x")).unwrap();
    assert_eq!(digest_of(&mut *reader).unwrap(), (source.digest, 64 * MIB));
    assert!(proxy.passed().1 <= 96 * MIB, "{:?} bytes passed", proxy.passed());
}

#[test]
fn it_is_the_registry_that_is_asked_again_and_for_the_rest() {
    let storage = FaultServer::start(|request| match request.header("range") {
        None => reply(200, &[("Content-Length", "10")], "0123"),
        Some("bytes=4-") => reply(206, &[("Content-Range", "bytes 4-9/10")], "456789"),
        Some(other) => panic!("{other}"),
    });
    let signatures = std::sync::atomic::AtomicU32::new(0);
    let target = format!("{}/bucket?signature=", storage.base());
    let server = FaultServer::start(move |_| {
        let signature = signatures.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        reply(307, &[("Location", &format!("{target}{signature}"))], "")
    });
    let descriptor = Descriptor::of("x", b"0123456789");
    assert_eq!(blob_bytes(&repository(&server, 3), &descriptor, 100).unwrap(), b"0123456789");
    assert_eq!(
        storage.log(),
        ["GET /bucket?signature=0", "GET /bucket?signature=1"],
        "a URL of its own each time"
    );
    assert_eq!(server.log().len(), 2);
}

/// How `0123456789` is read if it breaks off after four bytes and `again` is answered to further requests.
fn after_a_break(again: fn() -> Reply) -> (Result<Vec<u8>, strata_oci::Error>, usize) {
    let server = FaultServer::start(move |request| match request.header("range") {
        None => reply(200, &[("Content-Length", "10")], "0123"),
        Some(_) => again(),
    });
    let outcome = blob_bytes(&repository(&server, 3), &Descriptor::of("x", b"0123456789"), 100);
    (outcome, server.log().len())
}

#[test]
fn whatever_part_is_sent_is_put_where_it_belongs() {
    for again in [
        || reply(206, &[("Content-Range", "bytes 4-9/10")], "456789"),
        || reply(206, &[("Content-Range", "bytes 2-9/*")], "23456789"),
        || reply(200, &[], "0123456789"),
    ] {
        let (outcome, requests) = after_a_break(again);
        assert_eq!((outcome.unwrap(), requests), (b"0123456789".to_vec(), 2));
    }
}

#[test]
fn parts_that_are_shorter_than_asked_for_are_put_together() {
    let server = FaultServer::start(|request| match request.header("range") {
        None => reply(200, &[("Content-Length", "10")], "0123"),
        Some(range) => {
            let first: usize = range["bytes=".len()..range.len() - 1].parse().unwrap();
            let range = format!("bytes {first}-{}/10", first + 1);
            reply(206, &[("Content-Range", &range)], &"0123456789"[first..first + 2])
        }
    });
    let descriptor = Descriptor::of("x", b"0123456789");
    assert_eq!(blob_bytes(&repository(&server, 2), &descriptor, 100).unwrap(), b"0123456789");
    assert_eq!(server.log().len(), 4);
}

#[test]
fn what_ends_with_the_connection_may_have_ended_too_early() {
    let server = FaultServer::start(|request| match request.header("range") {
        None => raw(200, [], b"0123"),
        Some(_) => reply(206, &[("Content-Range", "bytes 4-9/10")], "456789"),
    });
    let descriptor = Descriptor::of("x", b"0123456789");
    assert_eq!(blob_bytes(&repository(&server, 3), &descriptor, 100).unwrap(), b"0123456789");
}

#[test]
fn an_answer_that_does_not_fit_ends_it() {
    for (again, words) in [
        ((|| reply(416, &[], "")) as fn() -> Reply, "416"),
        (|| reply(206, &[("Content-Range", "bytes 6-9/10")], "6789"), "begins at byte 6 instead of 4"),
        (|| reply(206, &[], "456789"), "Content-Range"),
        (|| reply(404, &[], "gone"), "404"),
        (|| reply(200, &[("Content-Type", "text/html")], "<html>hotel"), "hotel"),
    ] {
        let (outcome, requests) = after_a_break(again);
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("after 4 bytes"), "{error}");
        assert_eq!(requests, 2, "{error}");
    }
}

#[test]
fn what_passes_is_waited_for_and_the_bytes_that_come_late_are_right() {
    let answers = Mutex::new(vec![503, 429, 408]);
    let server = FaultServer::start(move |request| match request.header("range") {
        None => reply(200, &[("Content-Length", "10")], "0123"),
        Some(_) => match answers.lock().unwrap().pop() {
            Some(status) => reply(status, &[], "not now"),
            None => reply(206, &[("Content-Range", "bytes 4-9/10")], "456789"),
        },
    });
    let descriptor = Descriptor::of("x", b"0123456789");
    assert_eq!(blob_bytes(&repository(&server, 5), &descriptor, 100).unwrap(), b"0123456789");
    assert_eq!(server.log().len(), 5);
}

#[test]
fn without_progress_it_ends() {
    let (outcome, requests) =
        after_a_break(|| reply(206, &[("Content-Range", "bytes 4-9/10"), ("Content-Length", "6")], ""));
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(requests, 3, "{error}");
}

#[test]
fn a_byte_at_a_time_is_no_progress() {
    let content = content(MIB);
    let descriptor = Descriptor::of("x", &content);
    let requests = std::sync::atomic::AtomicUsize::new(0);
    let server = FaultServer::start(move |request| {
        // Who is still there after so many would ask for every byte.
        if requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 100 {
            return reply(404, &[], "");
        }
        let range = request.header("range").map_or("bytes=0-", |range| range);
        let first: usize = range["bytes=".len()..range.len() - 1].parse().unwrap();
        let (range, length) =
            (format!("bytes {first}-{}/{MIB}", MIB - 1), (content.len() - first).to_string());
        let headers = [("Content-Range", range.as_str()), ("Content-Length", length.as_str())];
        reply(if first == 0 { 200 } else { 206 }, &headers, &content[first..=first])
    });
    let error = blob_bytes(&repository(&server, 4), &descriptor, MIB).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(server.log().len(), 4, "{error}");
}

#[test]
fn silence_is_a_break_too() {
    let server = FaultServer::start(|request| match request.header("range") {
        None => reply(200, &[("Content-Length", "10")], "0123").then_silence(),
        Some(_) => reply(206, &[("Content-Range", "bytes 4-9/10")], "456789"),
    });
    let descriptor = Descriptor::of("x", b"0123456789");
    let begun = Instant::now();
    assert_eq!(blob_bytes(&repository(&server, 2), &descriptor, 100).unwrap(), b"0123456789");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn a_corrupt_rest_is_found() {
    let (outcome, _) = after_a_break(|| reply(206, &[("Content-Range", "bytes 4-9/10")], "45678X"));
    let error = outcome.unwrap_err();
    assert!(matches!(error, strata_oci::Error::Blob(BlobError::DigestMismatch { .. })), "{error}");
}

#[test]
fn a_reader_that_is_dropped_ends_the_waiting() {
    // It would wait for an hour before the next attempt.
    let retry = RetryPolicy {
        first_delay: Duration::from_secs(3600),
        longest_delay: Duration::from_secs(3600),
        ..RetryPolicy::default()
    };
    let server = FaultServer::always(|| reply(200, &[("Content-Length", "10")], "0123"));
    let url = format!("oci+http://127.0.0.1:{}/some/cache", server.port()).parse().unwrap();
    let (said, notices) = mpsc::channel();
    let listener: Listener = Arc::new(move |notice| said.send(notice.clone()).unwrap());
    let transport = Transport::new(TransportOptions { retry, listener, ..TransportOptions::default() });
    let repository = RemoteRepository::open(&url, &transport, None).unwrap();
    let mut reader = repository.blob(&Descriptor::of("x", b"0123456789")).unwrap();
    reader.read_exact(&mut [0; 4]).unwrap();
    assert!(matches!(notices.recv().unwrap(), Notice::Retrying { .. }));
    drop((reader, repository, transport));
    // Whoever still waits can still say something.
    let after = notices.recv_timeout(Duration::from_secs(30));
    assert_eq!(after, Err(mpsc::RecvTimeoutError::Disconnected));
}
