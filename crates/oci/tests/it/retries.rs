//! What is tried again, and what is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use strata_oci::{
    BlobSource, Descriptor, Error, ErrorKind, Notice, Repository, RetryPolicy, TransportOptions, media_type,
};

use crate::fault_server::{FaultServer, Reply, Request, html, raw, reply};
use crate::image::{Image, name};

type Notices = Arc<Mutex<Vec<Notice>>>;

/// Options that try `attempts` times and do not wait long, and what is told with them.
fn trying(attempts: u32) -> (TransportOptions, Notices) {
    let notices = Notices::default();
    let told = Arc::clone(&notices);
    let options = TransportOptions {
        retry: RetryPolicy { attempts, first_delay: Duration::from_millis(10), ..RetryPolicy::default() },
        listener: Arc::new(move |notice| told.lock().unwrap().push(notice.clone())),
        ..TransportOptions::default()
    };
    (options, notices)
}

/// A server whose first `count` answers are `fault`, and the rest a list of tags.
fn failing_at_first(count: usize, fault: impl Fn() -> Reply + Send + Sync + 'static) -> FaultServer {
    let asked = AtomicUsize::new(0);
    FaultServer::always(move || match asked.fetch_add(1, Ordering::SeqCst) {
        earlier if earlier < count => fault(),
        _ => reply(200, &[], r#"{"tags":["a"]}"#),
    })
}

#[test]
fn a_registry_that_asks_to_wait_is_left_alone_for_that_long() {
    let ghcr =
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 441.8ms, allowed: 2000/minute"}]}"#;
    // A date has whole seconds: it is between one second and two from now.
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    type Fault = fn(&str, &str) -> Reply;
    let cases: [(&str, u64, Fault); 4] = [
        ("seconds", 1000, |_, _| reply(429, &[("Retry-After", "1")], "")),
        ("a date", 990, |date, _| reply(429, &[("Retry-After", date)], "")),
        ("a message", 441, |_, ghcr| reply(429, &[("Content-Type", "application/json")], ghcr)),
        ("seconds of a 503", 1000, |_, _| reply(503, &[("Retry-After", "1")], "")),
    ];
    for (case, milliseconds, fault) in cases {
        let stated = date();
        let server = failing_at_first(1, move || fault(&stated, ghcr));
        let host = format!("127.0.0.1:{}", server.port());
        let (options, notices) = trying(3);
        let begun = Instant::now();
        assert_eq!(server.repository_with(options).tags().unwrap(), ["a"], "{case}");
        assert!(begun.elapsed() >= Duration::from_millis(milliseconds), "{case}: {:?}", begun.elapsed());
        assert_eq!(server.log().len(), 2, "{case}");
        let told = notices.lock().unwrap().clone();
        assert!(matches!(&told[..], [Notice::Waiting { host: told, .. }] if *told == host), "{told:?}");
    }
}

#[test]
fn what_may_pass_is_tried_again_whatever_was_asked() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let server = failing_at_first(2, move || html(status));
        let (options, _) = trying(3);
        assert_eq!(server.repository_with(options).tags().unwrap(), ["a"], "{status}");
        assert_eq!(server.log().len(), 3, "{status}");
    }
    let image = Image::new("x");
    let (manifest, digest) = (image.manifest.clone(), image.digest().to_string());
    let seen = Mutex::new(std::collections::HashSet::new());
    let server = FaultServer::start(move |request| {
        // Each request fails once.
        if seen.lock().unwrap().insert((request.method.clone(), request.target.clone())) {
            return reply(503, &[], "");
        }
        match request.method.as_str() {
            "DELETE" => reply(202, &[], ""),
            "PUT" => reply(201, &[], ""),
            _ => {
                let headers =
                    [("Content-Type", media_type::OCI_MANIFEST), ("Docker-Content-Digest", digest.as_str())];
                reply(200, &headers, &manifest)
            }
        }
    });
    let (options, notices) = trying(2);
    let repository = server.repository_with(options);
    assert_eq!(repository.resolve(&name("t")).unwrap().unwrap().digest, image.digest());
    assert_eq!(repository.manifest(&name("t").into()).unwrap().unwrap().bytes, image.manifest);
    assert_eq!(repository.blob_size(&image.digest()).unwrap(), Some(image.manifest.len() as u64));
    assert_eq!(image.put_manifest(&repository, "t").unwrap(), image.digest());
    assert!(repository.delete_manifest(&name("t").into()).unwrap());
    assert_eq!(server.log().len(), 10);
    let told = notices.lock().unwrap();
    assert_eq!(told.len(), 5);
    let Notice::Retrying { cause, .. } = &told[0] else { panic!("{told:?}") };
    let url = format!("HEAD {}/v2/some/cache/manifests/t: 503 Service Unavailable", server.base());
    assert_eq!(*cause, url);
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    type Fault = fn() -> Reply;
    let faults: [Fault; 3] = [
        || raw(200, [], b"").cut(0),
        || raw(200, [], b"").cut(9),
        // The head came, and half of the body.
        || reply(200, &[("Content-Length", "14")], r#"{"tags":"#),
    ];
    for fault in faults {
        let server = failing_at_first(2, fault);
        let (options, _) = trying(3);
        assert_eq!(server.repository_with(options).tags().unwrap(), ["a"]);
        assert_eq!(server.log().len(), 3);
        let server = FaultServer::always(fault);
        let (options, _) = trying(3);
        let error = server.repository_with(options).tags().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().ends_with("(tried 3 times)"), "{error}");
        assert_eq!(server.log().len(), 3);
    }
}

#[test]
fn what_is_gone_when_it_is_deleted_again_was_deleted() {
    let asked = AtomicUsize::new(0);
    let server = FaultServer::always(move || match asked.fetch_add(1, Ordering::SeqCst) {
        // It is deleted, and the answer is lost.
        0 => raw(202, [], b"").cut(0),
        _ => reply(404, &[], ""),
    });
    let (options, _) = trying(2);
    let repository = server.repository_with(options);
    assert!(repository.delete_manifest(&name("t").into()).unwrap());
    assert!(!repository.delete_manifest(&name("t").into()).unwrap());
}

#[test]
fn it_is_given_up_after_some_attempts_and_said_after_how_many() {
    let words = r#"{"errors":[{"code":"UNAVAILABLE","message":"storage is away"}]}"#;
    let server = FaultServer::always(move || reply(503, &[], words));
    let (options, notices) = trying(4);
    let error = server.repository_with(options).tags().unwrap_err();
    assert!(error.to_string().ends_with("UNAVAILABLE: storage is away (tried 4 times)"), "{error}");
    assert_eq!(error.kind(), ErrorKind::TryAgain);
    assert_eq!(server.log().len(), 4);
    assert_eq!(notices.lock().unwrap().len(), 3);
}

#[test]
fn a_registry_that_asks_for_too_long_is_given_up_on() {
    let server = FaultServer::always(|| reply(429, &[("Retry-After", "3600")], "quota of today"));
    let (options, notices) = trying(4);
    let error = server.repository_with(options).tags().unwrap_err();
    assert!(matches!(error, Error::Throttled { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("quota of today") && message.contains("3600 s"), "{message}");
    assert_eq!(server.log().len(), 1);
    assert!(notices.lock().unwrap().is_empty());
}

#[test]
fn what_will_not_pass_is_asked_for_once() {
    for status in [400, 401, 403, 404, 405, 406, 413, 416, 501] {
        let server = FaultServer::always(move || reply(status, &[], ""));
        let (options, _) = trying(4);
        let _ = server.repository_with(options).manifest(&name("t").into());
        assert_eq!(server.log().len(), 1, "{status}");
    }
    let server = failing_at_first(1, || reply(403, &[], "You have exceeded a secondary rate limit."));
    let (options, _) = trying(4);
    assert_eq!(server.repository_with(options).tags().unwrap(), ["a"]);
}

#[test]
fn a_rate_limit_that_is_a_403_is_no_sign_of_life() {
    let server = FaultServer::always(|| reply(403, &[], "API rate limit exceeded"));
    let (options, _) = trying(3);
    let error = server.repository_with(options).tags().unwrap_err();
    assert!(error.to_string().contains("tried 3 times"), "{error}");
    assert_eq!(server.log().len(), 3);
}

#[test]
fn what_was_just_put_is_waited_for() {
    let image = Image::new("x");
    let bytes = image.manifest.clone();
    let (gets, puts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = FaultServer::start(move |request: &Request| match request.method.as_str() {
        "HEAD" => reply(404, &[], ""),
        "POST" => reply(202, &[("Location", "/upload")], ""),
        "PUT" if request.target.starts_with("/upload") => reply(201, &[], ""),
        "PUT" => match puts.fetch_add(1, Ordering::SeqCst) {
            0 => reply(400, &[], r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}"#),
            _ => reply(201, &[], ""),
        },
        _ => match gets.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => reply(404, &[], r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            _ => reply(200, &[], &bytes),
        },
    });
    let (options, _) = trying(4);
    let repository = server.repository_with(options);
    // Before anything was put the same answers are believed.
    assert_eq!(repository.manifest(&name("never").into()).unwrap(), None);
    image.put(&repository, "t");
    assert_eq!(repository.manifest(&name("t").into()).unwrap().unwrap().bytes, image.manifest);
    let log = server.log();
    assert_eq!(log.iter().filter(|line| *line == "PUT /v2/some/cache/manifests/t").count(), 2, "{log:?}");
    assert_eq!(log.iter().filter(|line| *line == "GET /v2/some/cache/manifests/t").count(), 2, "{log:?}");
}

/// How many requests are in a server's hands, and were at the most.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Load {
    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.peak.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let done = work();
        self.now.fetch_sub(1, Ordering::SeqCst);
        done
    }
}

#[test]
fn a_registry_that_wants_fewer_requests_gets_fewer() {
    // It bears five at a time, and refuses more.
    const BEARS: usize = 5;
    let load = Arc::new(Load::default());
    let (refused, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&load), Arc::clone(&refused), Arc::clone(&late));
    let server = FaultServer::always(move || {
        let (load, refused, late) = &counted;
        load.during(|| {
            let crowded = load.now.load(Ordering::SeqCst) > BEARS;
            std::thread::sleep(Duration::from_millis(20));
            if crowded {
                refused.fetch_add(1, Ordering::SeqCst);
                return reply(429, &[], "retry-after: 100ms");
            }
            late.fetch_add(1, Ordering::SeqCst);
            reply(200, &[], "{}")
        })
    });
    let (options, notices) = trying(3);
    let repository = server.repository_with(options);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| repository.tags().unwrap());
        }
    });
    assert_eq!(late.load(Ordering::SeqCst), 100);
    assert!(load.peak.load(Ordering::SeqCst) <= 32, "{:?}", load.peak);
    // Without fewer at a time all but five of each round would be refused: more than a thousand.
    let refused = refused.load(Ordering::SeqCst);
    assert!((1..150).contains(&refused), "{refused} refusals");
    let told = notices.lock().unwrap().len();
    assert!(told < refused, "{told} notices of {refused} refusals");
}

#[test]
fn the_same_manifest_is_put_by_one_at_a_time() {
    let load = Arc::new(Load::default());
    let counted = Arc::clone(&load);
    let server = FaultServer::always(move || {
        counted.during(|| {
            std::thread::sleep(Duration::from_millis(10));
            reply(201, &[], "")
        })
    });
    let repository = server.repository();
    let put_all = |images: &[Image]| {
        std::thread::scope(|scope| {
            for (index, image) in images.iter().enumerate() {
                let repository = &repository;
                scope.spawn(move || image.put_manifest(repository, &format!("t{index}")).unwrap());
            }
        });
        load.peak.swap(0, Ordering::SeqCst)
    };
    assert_eq!(put_all(&[(); 8].map(|()| Image::new("same"))), 1);
    assert!(put_all(&std::array::from_fn::<_, 8, _>(|index| Image::new(&index.to_string()))) > 1);
}

#[test]
fn the_stream_of_an_upload_is_begun_anew_when_redirected() {
    let server = FaultServer::start(|request| match (request.method.as_str(), request.target.as_str()) {
        ("HEAD", _) => reply(404, &[], ""),
        ("POST", _) => reply(202, &[("Location", "/upload")], ""),
        ("PUT", target) if target.starts_with("/upload") => {
            reply(307, &[("Location", "/elsewhere?state=x")], "moved")
        }
        _ => reply(201, &[], ""),
    });
    let content = vec![b'x'; 1 << 20];
    let _ = server.repository().put_blob(&BlobSource::bytes(content.clone())).unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.target.as_str()), ("PUT", "/elsewhere?state=x"));
    assert_eq!(Descriptor::of("x", &last.body), Descriptor::of("x", &content));
}

#[test]
fn a_registry_that_is_down_is_found_out_once_and_not_by_each_request() {
    let down = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&down);
    let server = FaultServer::always(move || match state.load(Ordering::SeqCst) {
        1 => reply(503, &[], ""),
        _ => reply(200, &[], r#"{"tags":["a"]}"#),
    });
    let (options, _) = trying(4);
    let repository = server.repository_with(options);
    let requests = |before: usize| server.log().len() - before;
    assert!(repository.tags().is_err());
    assert_eq!(requests(0), 4);
    assert!(repository.tags().unwrap_err().to_string().contains("tried 2 times"));
    assert_eq!(requests(4), 2);

    down.store(0, Ordering::SeqCst);
    assert_eq!(repository.tags().unwrap(), ["a"]);
    down.store(1, Ordering::SeqCst);
    assert!(repository.tags().is_err());
    assert_eq!(requests(7), 4, "it had answered, so that it is news");
}

#[test]
fn a_registry_that_was_there_a_moment_ago_is_waited_for_longer() {
    let server = failing_at_first(0, || reply(500, &[], ""));
    let (options, notices) = trying(6);
    let repository = server.repository_with(options);
    assert_eq!(repository.tags().unwrap(), ["a"]);
    drop(server);
    assert_eq!(repository.tags().unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(notices.lock().unwrap().len(), 5, "all attempts, and not the few that a wrong port gets");
}
