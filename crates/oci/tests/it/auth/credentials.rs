//! Who is shown which credentials, and when they are looked up.

use std::sync::{Arc, Mutex};

use strata_oci::{
    BlobSource, CredentialStore, Credentials, Error, ErrorKind, Identity, Repository, Secret,
    TransportOptions,
};

use super::{
    BASIC, PASSWORD, authorization, challenge, in_parallel, open, open_with, options, registry, token_allows,
    token_server, user,
};
use crate::fault_server::{FaultServer, reply};

#[test]
fn a_password_is_shown_when_it_is_asked_for_and_not_before() {
    let registry = registry("Basic realm=\"x\"".into(), |request| authorization(request) == BASIC);
    let repository = open(&registry, user());
    for _ in 0..3 {
        assert_eq!(repository.tags().unwrap(), ["t"]);
    }
    let shown: Vec<bool> = registry.requests().iter().map(|it| !authorization(it).is_empty()).collect();
    assert_eq!(shown, [false, true, true, true]);

    let wrong = Credentials::password("user", Secret::new("wrong"), "the test's own");
    let repository = open(&registry, Some(wrong));
    let before = registry.log().len();
    for _ in 0..2 {
        assert_eq!(repository.tags().unwrap_err().kind(), ErrorKind::Denied);
    }
    assert_eq!(registry.log().len() - before, 3, "accounts are locked for less");
}

#[test]
fn a_registry_token_is_shown_as_it_is() {
    let registry = registry("Bearer realm=\"not asked\"".into(), |it| authorization(it) == "Bearer opaque");
    let identity = Identity::RegistryToken(Secret::new("opaque"));
    let repository = open(&registry, Some(Credentials { identity, origin: "a test".into() }));
    assert_eq!(repository.tags().unwrap(), ["t"]);
}

#[test]
fn a_storage_that_asks_for_credentials_gets_none() {
    for basic in [true, false] {
        let tokens = token_server();
        let asks = if basic { "Basic realm=\"x\"".to_string() } else { challenge(&tokens) };
        let storage = registry(asks, |_| false);
        let place = storage.base();
        let registry = FaultServer::start(move |request| match request.method.as_str() {
            "POST" => reply(202, &[("Location", &format!("{place}/upload"))], ""),
            "HEAD" => reply(404, &[], ""),
            _ => reply(307, &[("Location", &format!("{place}{}", request.target))], ""),
        });
        let repository = open(&registry, user());
        assert!(repository.tags().is_err());
        assert!(repository.put_blob(&BlobSource::bytes(b"new".to_vec())).is_err());
        assert!(!storage.log().is_empty());
        assert!(storage.requests().iter().all(|request| authorization(request).is_empty()));
        assert!(tokens.log().is_empty(), "{:?}", tokens.log());
    }
}

#[test]
fn a_token_server_that_redirects_takes_no_credentials_along_to_another_host() {
    let elsewhere = token_server();
    let place = elsewhere.base();
    let tokens = FaultServer::start(move |request| match request.target.split(['?', '/']).nth(1) {
        Some("token") => reply(307, &[("Location", &request.target.replacen("token", "second", 1))], ""),
        _ => reply(307, &[("Location", &format!("{place}{}", request.target))], ""),
    });
    let registry = registry(challenge(&tokens), token_allows);
    assert_eq!(open(&registry, user()).tags().unwrap(), ["t"]);
    assert!(tokens.requests().iter().all(|request| authorization(request) == BASIC));
    assert_eq!((tokens.log().len(), elsewhere.log().len()), (2, 1));
    assert_eq!(authorization(&elsewhere.requests()[0]), "");

    let identity = Identity::RefreshToken(Secret::new(PASSWORD));
    let credentials = Credentials { identity, origin: "a test".into() };
    let message = open(&registry, Some(credentials)).tags().unwrap_err().to_string();
    assert!(message.contains("must not be taken"), "{message}");
    assert_eq!(elsewhere.log().len(), 1, "it was not even asked");
}

/// A helper that counts its runs and gives another password each time.
fn counting_helper() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = r#"#!/bin/sh
cd "$(dirname "$0")" && echo run >>runs
echo "{\"Username\":\"user\",\"Secret\":\"password-$(wc -l <runs | tr -d ' ')\"}"
"#;
    std::fs::write(directory.path().join("source"), script).unwrap();
    std::fs::write(directory.path().join("config.json"), r#"{"credsStore":"counting"}"#).unwrap();
    let status = std::process::Command::new("install")
        .current_dir(directory.path())
        .args(["-m", "755", "source", "docker-credential-counting"])
        .status();
    assert!(status.unwrap().success());
    directory
}

fn with_helper(directory: &tempfile::TempDir) -> TransportOptions {
    let store = CredentialStore::new(vec![directory.path().join("config.json")]);
    TransportOptions { credentials: store.with_helper_path(directory.path()), ..options() }
}

#[test]
fn a_helper_runs_once_and_only_for_a_registry_that_asks() {
    let helper = counting_helper();
    let runs = || std::fs::read_to_string(helper.path().join("runs")).unwrap_or_default().lines().count();
    let public = registry(String::new(), |_| true);
    open_with(&public, with_helper(&helper), None).tags().unwrap();
    assert_eq!(runs(), 0);

    let valid = Arc::new(Mutex::new("Basic dXNlcjpwYXNzd29yZC0x"));
    let current = Arc::clone(&valid);
    let registry =
        registry("Basic realm=\"x\"".into(), move |it| authorization(it) == *current.lock().unwrap());
    let repository = open_with(&registry, with_helper(&helper), None);
    in_parallel(50, || assert_eq!(repository.tags().unwrap(), ["t"]));
    assert_eq!(runs(), 1);
    // The password was good for some hours, and the helper has another one.
    *valid.lock().unwrap() = "Basic dXNlcjpwYXNzd29yZC0y";
    in_parallel(50, || assert_eq!(repository.tags().unwrap(), ["t"]));
    assert_eq!(runs(), 2);
}

#[test]
fn a_password_that_a_token_server_takes_no_more_is_looked_up_again() {
    let helper = counting_helper();
    let valid = Arc::new(Mutex::new("Basic dXNlcjpwYXNzd29yZC0x"));
    let current = Arc::clone(&valid);
    let tokens =
        FaultServer::start(move |request| match authorization(request) == *current.lock().unwrap() {
            // Good for long enough to be answered, and not for another request.
            true => reply(200, &[], r#"{"token":"1.repository:some/cache:pull,push","expires_in":0.000001}"#),
            false => reply(401, &[], ""),
        });
    let registry = registry(challenge(&tokens), token_allows);
    let repository = open_with(&registry, with_helper(&helper), None);
    repository.tags().unwrap();
    *valid.lock().unwrap() = "Basic dXNlcjpwYXNzd29yZC0y";
    repository.tags().unwrap();
    *valid.lock().unwrap() = "Basic nobodys";
    assert_eq!(repository.tags().unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn credentials_that_cannot_be_had_are_an_error_only_where_they_are_needed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"auths": "hunter2"}"#).unwrap();
    let options = || TransportOptions { credentials: CredentialStore::new(vec![file.clone()]), ..options() };
    let public = registry(String::new(), |_| true);
    open_with(&public, options(), None).tags().unwrap();
    let private = registry("Basic realm=\"x\"".into(), |_| false);
    let error = open_with(&private, options(), None).tags().unwrap_err();
    assert!(
        matches!(&error, Error::Authorization(cause) if matches!(**cause, Error::Credentials(_))),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("config.json: line 1") && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[test]
fn skopeo_and_we_read_what_the_other_wrote() {
    const TEST: &str = "auth::skopeo_and_we_read_what_the_other_wrote";
    if strata_testkit::docker_registry::find_program("skopeo").is_none() {
        return strata_testkit::golden::skipped(TEST, "skopeo is not installed");
    }
    let registry = registry("Basic realm=\"x\"".into(), |request| authorization(request) == BASIC);
    let host = format!("127.0.0.1:{}", registry.port());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    let skopeo = |arguments: &[&str]| {
        let mut command = std::process::Command::new("skopeo");
        let output = command.args(arguments).arg("--authfile").arg(&file).arg(&host).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    assert!(skopeo(&["login", "--tls-verify=false", "-u", "user", "-p", PASSWORD]).0);
    let store = CredentialStore::new(vec![file.clone()]);
    let credentials = store.lookup(&host, "some/cache").unwrap().unwrap();
    assert_eq!(credentials.identity, user().unwrap().identity);
    assert_eq!(open(&registry, Some(credentials)).tags().unwrap(), ["t"]);

    assert!(store.erase(&file, &host).unwrap());
    assert!(!skopeo(&["login", "--get-login"]).0, "it is not logged in any more");
    store.store(&file, &host, "user", &Secret::new(PASSWORD)).unwrap();
    assert_eq!(skopeo(&["login", "--get-login"]), (true, "user".to_string()));
    assert!(skopeo(&["logout"]).0);
    assert_eq!(store.lookup(&host, "some/cache").unwrap(), None);
}
