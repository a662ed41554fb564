//! The fault layer: each fault is what it says, and the log is what happened.

// In a test binary every function is part of a test; clippy allows it only within those marked as one.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, missing_docs, unreachable_pub)]
mod http;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use strata_testkit::faults::rules::{Random, first, on, once, when};
use strata_testkit::faults::{Answer, Fault, Faults, rewrite};
use strata_testkit::server::Server;

use http::send;

const LENGTH: usize = 300_000;

/// A server with one document of [`LENGTH`] bytes, which counts the bytes it is sent until they break off.
fn server(faults: &Faults) -> (Server, Arc<AtomicU64>) {
    let received = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&received);
    let take = move |body: Body| {
        let counted = Arc::clone(&counted);
        async move {
            match to_bytes(body, usize::MAX).await {
                Ok(bytes) => counted.fetch_add(bytes.len() as u64, Ordering::SeqCst),
                Err(_) => counted.fetch_add(1_000_000_000, Ordering::SeqCst),
            };
        }
    };
    let router = Router::new().route("/x", get(|| async { vec![7_u8; LENGTH] }).put(take));
    (Server::start(faults.around(router), None), received)
}

#[test]
fn without_faults_all_passes_and_is_written_down() {
    let faults = Faults::none();
    let (server, received) = server(&faults);
    let reply = send(server.port(), "GET /x?a=&b=%2F", &[("X-Mine", "1")], b"");
    assert_eq!((reply.status(), reply.body.len(), reply.broken), (Some(200), LENGTH, false));
    assert_eq!(reply.header("content-length"), Some("300000"));
    let reply = send(server.port(), "HEAD /x", &[], b"");
    assert_eq!((reply.status(), reply.header("content-length")), (Some(200), Some("300000")));
    send(server.port(), "PUT /x", &[], &[1; 1000]);
    assert_eq!(received.load(Ordering::SeqCst), 1000);
    let log = faults.log();
    assert_eq!(log.lines(), ["GET /x?a=&b=%2F 200", "HEAD /x 200", "PUT /x 200"]);
    let entries = log.entries();
    assert_eq!(entries[0].header("x-mine"), Some("1"));
    assert_eq!(entries[0].parameter("b").as_deref(), Some("/"));
    assert_eq!((log.bytes_sent(), log.bytes_received()), (LENGTH as u64, 1000));
    assert_eq!((log.count("GET", "/x"), log.count("GET", "/y"), log.count_status(200)), (1, 0, 3));
}

#[test]
fn a_fault_takes_the_place_of_an_answer() {
    let faults = Faults::none();
    let (server, received) = server(&faults);
    faults.add(once(on("GET", "/x", |_| Fault::Answer(Answer::error(429, "TOOMANYREQUESTS", "slow")))));
    faults.add(once(on("GET", "/x", |_| Fault::Redirect("http://elsewhere/y?z".to_string()))));
    faults.add(first(2, on("PUT", "", |_| Fault::AnswerEarly(Answer::status(413)))));
    let reply = send(server.port(), "GET /x", &[], b"");
    assert_eq!(reply.status(), Some(429));
    assert!(String::from_utf8_lossy(&reply.body).contains("TOOMANYREQUESTS"));
    // The second rule was asked the first time, too, and has given its one fault.
    assert_eq!(send(server.port(), "GET /x", &[], b"").status(), Some(200));
    faults.clear();
    faults.add(on("GET", "/x", |_| Fault::Redirect("http://elsewhere/y?z".to_string())));
    let reply = send(server.port(), "GET /x", &[], b"");
    assert_eq!((reply.status(), reply.header("location")), (Some(307), Some("http://elsewhere/y?z")));
    assert_eq!(received.load(Ordering::SeqCst), 0);
}

#[test]
fn answers_break_off_where_they_are_told_to() {
    for limit in [0, 1, 100_000, LENGTH - 1, LENGTH, LENGTH + 1] {
        let faults = Faults::none();
        faults.add(on("GET", "", move |_| Fault::BreakAnswerAfter(limit as u64)));
        let (server, _) = server(&faults);
        let reply = send(server.port(), "GET /x", &[], b"");
        let whole = limit >= LENGTH;
        assert_eq!(reply.broken, !whole, "{limit}: {}", reply.head);
        assert_eq!(reply.body.len(), limit.min(LENGTH), "{limit}");
        assert_eq!(faults.log().bytes_sent(), limit.min(LENGTH) as u64, "{limit}");
        assert_eq!(reply.status(), (limit > 0).then_some(200), "{limit}");
    }
}

#[test]
fn requests_break_off_where_they_are_told_to() {
    for (limit, whole) in [(0, false), (100_000, false), (LENGTH, true), (LENGTH + 1, true)] {
        let faults = Faults::none();
        faults.add(on("PUT", "", move |_| Fault::BreakRequestAfter(limit as u64)));
        let (server, received) = server(&faults);
        let reply = send(server.port(), "PUT /x", &[], &[1; LENGTH]);
        assert_eq!(reply.status(), whole.then_some(200), "{limit}");
        let expected = if whole { LENGTH as u64 } else { 1_000_000_000 };
        assert_eq!(received.load(Ordering::SeqCst), expected, "{limit}: the server sees that it breaks off");
        assert!(faults.log().bytes_received() >= limit.min(LENGTH) as u64);
        assert_eq!(faults.log().entries()[0].status(), whole.then_some(200), "{limit}");
    }
}

#[test]
fn changes_add_up_and_a_delay_delays() {
    let faults = Faults::none();
    faults.add(on("GET", "", |_| rewrite::set_header("x-one", "1")));
    faults.add(on("GET", "", |_| rewrite::set_body("text/plain", "other")));
    faults.add(when(|entry| entry.number == 0, |_| Fault::Delay(Duration::from_millis(60))));
    faults.add(on("HEAD", "", |_| rewrite::remove_header("content-length")));
    let (server, _) = server(&faults);
    let begun = Instant::now();
    let reply = send(server.port(), "GET /x", &[], b"");
    assert!(begun.elapsed() >= Duration::from_millis(60));
    assert_eq!((reply.header("x-one"), &reply.body[..]), (Some("1"), &b"other"[..]));
    assert_eq!(send(server.port(), "HEAD /x", &[], b"").header("content-length"), None);
}

#[test]
fn random_faults_are_the_same_for_the_same_seed() {
    let run = |seed| {
        let faults = Faults::none();
        let answers = vec![Answer::status(429), Answer::status(503)];
        faults.add(Random { seed, breaks_after: 1..400_000, answers, one_in: 4 }.rule());
        let (server, _) = server(&faults);
        let outcome = |_| {
            let reply = send(server.port(), "GET /x", &[], b"");
            (reply.status(), reply.body.len())
        };
        (0..40).map(outcome).collect::<Vec<_>>()
    };
    let outcomes = run(1);
    assert_eq!(outcomes, run(1));
    assert_ne!(outcomes, run(2));
    for status in [200, 429, 503] {
        assert!(outcomes.iter().any(|(s, _)| *s == Some(status)), "{outcomes:?}");
    }
    assert!(outcomes.iter().any(|(_, length)| (1..LENGTH).contains(length)), "{outcomes:?}");
}
