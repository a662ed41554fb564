//! Our own registry as tests have it: who is let in, and that it can be ended and started again.

#[allow(dead_code, missing_docs, unreachable_pub)]
mod http;

use http::send;
use strata_testkit::certificates::Authority;
use strata_testkit::faults::rules::on;
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{Grant, TokenOptions, TokenServer};

const UPLOADS: &str = "POST /v2/some/cache/blobs/uploads/";
const TAGS: &str = "GET /v2/some/cache/tags/list";
/// The digest of "hello".
const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn it_keeps_what_it_was_given_when_it_is_started_again() {
    let mut registry = TestRegistry::start();
    let put = send(registry.port(), &format!("{UPLOADS}?digest={DIGEST}"), &[], b"hello");
    assert_eq!(put.status(), Some(201), "{}", put.head);
    let port = registry.port();
    registry.restart();
    assert_eq!(registry.port(), port);
    let got = send(port, &format!("GET /v2/some/cache/blobs/{DIGEST}"), &[], b"");
    assert_eq!((got.status(), &got.body[..]), (Some(200), &b"hello"[..]));
    assert!(registry.directory().join("some/cache/oci-layout").is_file());
    assert_eq!(registry.log().entries().len(), 2);
    registry.faults().add(on("GET", "", |_| Fault::Answer(Answer::status(418))));
    assert_eq!(send(port, TAGS, &[], b"").status(), Some(418));
    drop(registry);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn passwords_are_asked_for() {
    let registry = TestRegistry::builder().user("me", "secret").start();
    assert_eq!(send(registry.port(), TAGS, &[], b"").status(), Some(401));
    let shown = ("Authorization", "Basic bWU6c2VjcmV0");
    assert_eq!(send(registry.port(), UPLOADS, &[shown], b"").status(), Some(202));
}

#[test]
fn a_token_is_good_for_what_it_was_given_for() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let refused = send(registry.port(), UPLOADS, &[], b"");
    let challenge = refused.header("www-authenticate").expect("a challenge");
    let scope = "scope=\"repository:some/cache:pull,push\"";
    assert!(challenge.contains(&tokens.realm()) && challenge.ends_with(scope), "{challenge}");
    let minute = std::time::Duration::from_secs(60);
    for (scope, pull, push) in [
        ("repository:some/cache:pull,push", true, true),
        ("repository:some/cache:pull", true, false),
        ("repository:other/cache:pull,push", false, false),
    ] {
        let token = tokens.book().issue(vec![Grant::parse(scope)], minute);
        let bearer = format!("Bearer {token}");
        let shown = [("Authorization", bearer.as_str())];
        let refused = |request| send(registry.port(), request, &shown, b"").status() == Some(401);
        assert_eq!((refused(TAGS), refused(UPLOADS)), (!pull, !push), "{scope}");
        tokens.book().revoke_all();
        assert!(refused(TAGS));
    }
}

#[test]
fn tls_and_nothing_else_is_spoken_where_there_is_a_certificate() {
    let authority = Authority::new();
    let registry = TestRegistry::builder().tls(&authority).start();
    assert!(registry.url("x").starts_with("oci://127.0.0.1:"));
    assert_ne!(send(registry.port(), TAGS, &[], b"").status(), Some(200));
}
