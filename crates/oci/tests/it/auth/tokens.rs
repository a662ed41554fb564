//! How often token servers are asked, and for what.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use strata_oci::{
    BlobSource, Credentials, ErrorKind, Identity, Notice, Repository, Secret, TransportOptions,
};

use super::{
    BASIC, authorization, challenge, in_parallel, open, open_with, options, refusals, registry, scopes,
    there, token_allows, token_server, url_of, user,
};
use crate::fault_server::{FaultServer, reply};
use crate::image::name;

#[test]
fn a_hundred_requests_cause_one_token_request_and_later_ones_no_401() {
    let tokens = token_server();
    let registry = registry(challenge(&tokens), token_allows);
    let repository = open(&registry, None);
    in_parallel(100, || assert_eq!(repository.blob_size(&there()).unwrap(), Some(5)));
    assert_eq!(tokens.log().len(), 1, "{:?}", tokens.log());
    let before = refusals(&registry);
    assert!(before <= 100, "{before}");
    in_parallel(100, || assert_eq!(repository.blob_size(&there()).unwrap(), Some(5)));
    assert_eq!(tokens.log().len(), 1);
    assert_eq!(refusals(&registry), before);
}

#[test]
fn a_token_is_asked_for_what_the_request_needs() {
    let tokens = token_server();
    let registry = registry(challenge(&tokens), token_allows);
    let repository = open(&registry, user());
    repository.blob_size(&there()).unwrap();
    repository.blob_size(&there()).unwrap();
    let _ = repository.put_blob(&BlobSource::bytes(b"new".to_vec())).unwrap();
    let _ = repository.put_blob(&BlobSource::bytes(b"newer".to_vec())).unwrap();
    repository.delete_manifest(&name("t").into()).unwrap();
    repository.tags().unwrap();
    let asked: Vec<Vec<String>> = tokens.requests().iter().map(scopes).collect();
    assert_eq!(
        asked,
        [
            ["repository:some/cache:pull"],
            ["repository:some/cache:pull,push"],
            ["repository:some/cache:pull,delete"]
        ]
    );
    for request in tokens.requests() {
        assert_eq!(authorization(&request), BASIC);
        assert!(
            url_of(&request).query_pairs().any(|(key, value)| key == "service" && value == "the registry")
        );
    }
    assert_eq!(refusals(&registry), 1, "the first challenge is remembered for all scopes");
}

#[test]
fn a_token_that_is_refused_midway_is_replaced_once_for_all() {
    let tokens = token_server();
    let revoked = Arc::new(AtomicUsize::new(0));
    let latest = Arc::clone(&revoked);
    let registry = registry(challenge(&tokens), move |request| {
        let number =
            authorization(request).trim_start_matches("Bearer ").split('.').next().unwrap_or_default();
        number.parse().unwrap_or(0) > latest.load(Ordering::SeqCst) && token_allows(request)
    });
    let repository = open(&registry, None);
    repository.blob_size(&there()).unwrap();
    revoked.store(1, Ordering::SeqCst);
    in_parallel(50, || assert_eq!(repository.blob_size(&there()).unwrap(), Some(5)));
    assert_eq!(tokens.log().len(), 2, "{:?}", tokens.log());
    // In the middle of an upload, too: its bytes are sent again, whole.
    let _ = repository.put_blob(&BlobSource::bytes(b"new".to_vec())).unwrap();
    revoked.store(3, Ordering::SeqCst);
    let _ = repository.put_blob(&BlobSource::bytes(b"newer".to_vec())).unwrap();
    assert_eq!(registry.requests().last().unwrap().body, b"newer");
}

#[test]
fn a_fresh_token_that_is_refused_is_not_replaced_for_ever() {
    // That it allows too little will be so with the next one, too; any other refusal may be a mistake.
    for (reason, times) in [(",error=\"insufficient_scope\"", 1), (",error=\"invalid_token\"", 2), ("", 2)] {
        let tokens = token_server();
        let registry = registry(challenge(&tokens) + reason, |_| false);
        let error = open(&registry, user()).tags().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("as user (from the test's own)"), "{error}");
        assert_eq!(tokens.log().len(), times, "{:?}", tokens.log());
    }
}

#[test]
fn an_access_token_is_a_token() {
    let tokens =
        FaultServer::always(|| reply(200, &[], r#"{"access_token":"1.repository:some/cache:pull"}"#));
    let registry = registry(challenge(&tokens), token_allows);
    assert_eq!(open(&registry, None).tags().unwrap(), ["t"]);
}

#[test]
fn an_identity_token_is_exchanged_in_a_form() {
    let tokens = FaultServer::always(|| {
        reply(200, &[], r#"{"access_token":"1.repository:some/cache:pull,push","refresh_token":"x"}"#)
    });
    let registry = registry(challenge(&tokens), token_allows);
    let identity = Identity::RefreshToken(Secret::new("the=refresh token"));
    let repository = open(&registry, Some(Credentials { identity, origin: "a test".into() }));
    repository.tags().unwrap();
    let request = &tokens.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/token"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        String::from_utf8_lossy(&request.body),
        "grant_type=refresh_token&service=the+registry&scope=repository%3Asome%2Fcache%3Apull&client_id=strata\
         &refresh_token=the%3Drefresh+token"
    );
}

#[test]
fn a_token_server_is_asked_again_when_it_is_busy_or_breaks_off() {
    let attempts = AtomicUsize::new(0);
    let tokens = FaultServer::start(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => reply(429, &[("Retry-After", "0")], "slowly"),
        1 => reply(200, &[], r#"{"token":"#).cut(20),
        _ => reply(200, &[], r#"{"token":"1.repository:some/cache:pull"}"#),
    });
    let registry = registry(challenge(&tokens), token_allows);
    let told = Arc::new(Mutex::new(Vec::new()));
    let notices = Arc::clone(&told);
    let listener = Arc::new(move |notice: &Notice| notices.lock().unwrap().push(notice.to_string()));
    let repository = open_with(&registry, TransportOptions { listener, ..options() }, None);
    assert_eq!(repository.tags().unwrap(), ["t"]);
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains("429 Too Many Requests: trying again in 0.0 s"), "{told}");

    let tokens = FaultServer::always(|| reply(503, &[], "down"));
    let registry = self::registry(challenge(&tokens), token_allows);
    assert_eq!(open(&registry, None).tags().unwrap_err().kind(), ErrorKind::TryAgain);
    assert_eq!(tokens.log().len(), 3, "and no more often than is allowed, by nobody");
}

#[test]
fn a_refusal_without_a_challenge_makes_nobody_forget_what_is_known() {
    let tokens = token_server();
    let asks = challenge(&tokens);
    let registry = FaultServer::start(move |request| match request.method.as_str() {
        "HEAD" => reply(401, &[], ""),
        _ if !token_allows(request) => reply(401, &[("WWW-Authenticate", &asks)], ""),
        _ => reply(200, &[], r#"{"tags":["t"]}"#),
    });
    let repository = open(&registry, None);
    repository.tags().unwrap();
    for _ in 0..3 {
        repository.blob_size(&there()).unwrap();
        repository.tags().unwrap();
    }
    assert_eq!(tokens.log().len(), 1, "{:?}", tokens.log());
    assert_eq!(refusals(&registry), 1, "{:?}", registry.log());
}
