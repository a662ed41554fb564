//! What is said when a token cannot be had, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strata_oci::{BlobSource, Credentials, ErrorKind, Identity, Repository, Secret, Transport, check_login};

use super::{
    PASSWORD, authorization, challenge, in_parallel, open, options, registry, scopes, token_allows,
    token_server, user,
};
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
fn a_blob_that_may_not_be_taken_from_elsewhere_is_sent() {
    let issuing = token_server();
    let issues = issuing.base();
    // Whoever asks for more than he may gets nothing at all, as GitHub has it.
    let tokens = FaultServer::start(move |request| match scopes(request).len() {
        1 => reply(307, &[("Location", &format!("{issues}{}", request.target))], ""),
        _ => reply(403, &[], "DENIED"),
    });
    let registry = registry(challenge(&tokens), token_allows);
    let blob =
        BlobSource { mount_from: Some("some/secret".to_string()), ..BlobSource::bytes(b"new".to_vec()) };
    let uploaded = open(&registry, None).put_blob(&blob).unwrap();
    assert!(!uploaded.mounted && !uploaded.existed);
    assert_eq!(tokens.log().iter().filter(|line| line.contains("secret")).count(), 1);
}

#[test]
fn a_login_that_a_token_server_refuses_is_no_matter_of_repositories() {
    let tokens = FaultServer::always(|| reply(401, &[], "no"));
    let registry = registry(challenge(&tokens), token_allows);
    let host = format!("127.0.0.1:{}", registry.port());
    let error = check_login(&host, false, user().unwrap(), &Transport::new(options())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let expected = format!("{host} does not let user in: the credentials (the test's own) are wrong");
    assert!(error.to_string().ends_with(&expected), "{error}");
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
