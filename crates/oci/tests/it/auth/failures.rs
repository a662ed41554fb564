//! What is said when a token cannot be had, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strata_oci::{Credentials, ErrorKind, Identity, Repository, Secret};

use super::{PASSWORD, authorization, challenge, in_parallel, open, registry, token_allows, user};
use crate::fault_server::{FaultServer, Reply, Request, html, reply};

#[test]
fn a_token_server_that_refuses_says_who_may_not_do_what() {
    let body = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    for status in [401, 403] {
        let tokens =
            FaultServer::always(move || reply(status, &[("Content-Type", "application/json")], body));
        let registry = registry(challenge(&tokens), token_allows);
        let host = format!("127.0.0.1:{}", registry.port());
        for (credentials, expected) in [
            (None, format!("{host} does not let anybody pull from some/cache without credentials")),
            (
                user(),
                format!(
                    "{host} does not let user pull from some/cache: the repository is private or does not"
                ),
            ),
            (user(), "or the credentials (the test's own) are wrong".to_string()),
        ] {
            let error = open(&registry, credentials).tags().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
            let message = error.to_string();
            assert!(message.contains(&expected), "{message}");
            assert!(message.starts_with(&format!("GET {}/token: {status}", tokens.base())), "{message}");
            assert!(message.contains("DENIED: requested access"), "{message}");
        }
        assert_eq!(tokens.log().len(), 3, "there is no use in asking again");
    }
}

#[test]
fn a_failure_is_for_all_that_wait_and_not_for_ever() {
    let broken = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&broken);
    let tokens = FaultServer::start(move |_| {
        std::thread::sleep(Duration::from_millis(200));
        match state.load(Ordering::SeqCst) {
            0 => reply(200, &[], r#"{"token":"1.repository:some/cache:pull"}"#),
            _ => reply(403, &[], ""),
        }
    });
    let registry = registry(challenge(&tokens), token_allows);
    let repository = open(&registry, None);
    in_parallel(20, || assert_eq!(repository.tags().unwrap_err().kind(), ErrorKind::Denied));
    assert!(tokens.log().len() < 10, "{:?}", tokens.log());
    broken.store(0, Ordering::SeqCst);
    assert_eq!(repository.tags().unwrap(), ["t"]);
}

#[test]
fn what_is_no_token_is_said_to_be_none() {
    type Answer = fn() -> Reply;
    let cases: [(Answer, &str); 4] = [
        (|| html(200), "but with an HTML page where a token was due: Sign in to the hotel network"),
        (|| reply(200, &[], "junk"), "not the JSON document with a token that was due"),
        (|| reply(200, &[], "{}"), "a JSON document without a token"),
        (|| reply(404, &[], "no such page"), "404 Not Found: no such page"),
    ];
    for (answer, expected) in cases {
        let tokens = FaultServer::always(answer);
        let registry = registry(challenge(&tokens), token_allows);
        let error = open(&registry, user()).tags().unwrap_err();
        assert_ne!(error.kind(), ErrorKind::NotFound, "it must not pass for a miss");
        let message = error.to_string();
        assert!(message.starts_with(&format!("GET {}/token: ", tokens.base())), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn no_failure_tells_a_secret() {
    let echo: fn(&Request) -> Reply = |request| {
        let shown = format!("{} {}", authorization(request), String::from_utf8_lossy(&request.body));
        reply(400, &[], format!("you said {shown}, which is {PASSWORD}"))
    };
    let leaky: fn(&Request) -> Reply = |_| reply(200, &[], r#"{"data":{"token":"a-token"}}"#);
    for answer in [echo, leaky] {
        let tokens = FaultServer::start(answer);
        let registry = registry(challenge(&tokens), token_allows);
        for identity in [
            Identity::Password { username: "user".into(), password: Secret::new(PASSWORD) },
            Identity::RefreshToken(Secret::new(PASSWORD)),
        ] {
            let credentials = Credentials { identity, origin: "a test".into() };
            let error = open(&registry, Some(credentials.clone())).tags().unwrap_err();
            let said = format!("{error} {error:?} {error:#?} {credentials:?}");
            for secret in ["hunter2", "dXNlcjpodW50ZXIy", "a-token", "scope=", "service="] {
                assert!(!said.contains(secret), "{said}");
            }
        }
    }
}

#[test]
fn an_identity_token_that_is_not_taken_says_so() {
    for (status, body, kind, expected) in [
        (404, "", ErrorKind::Denied, "takes no identity tokens; log in with a password"),
        (405, "", ErrorKind::Invalid, "takes no identity tokens; log in with a password"),
        (
            400,
            r#"{"error":"invalid_grant"}"#,
            ErrorKind::Denied,
            "does not let the owner of this token pull from some/cache",
        ),
    ] {
        let tokens = FaultServer::always(move || reply(status, &[], body));
        let registry = registry(challenge(&tokens), token_allows);
        let identity = Identity::RefreshToken(Secret::new(PASSWORD));
        let credentials = Credentials { identity, origin: "a test".into() };
        let error = open(&registry, Some(credentials)).tags().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
