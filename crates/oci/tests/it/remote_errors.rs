//! How a registry's errors, and answers of what is no registry, come out.

use strata_oci::{
    Descriptor, Digest, Error, ErrorKind, RemoteRepository, Repository, RetryPolicy, Transport,
    TransportOptions,
};

use crate::fault_server::{FaultServer, html, raw, reply};
use crate::image::{Image, name};

/// Every kind of request, with its name.
fn each_request(repository: &RemoteRepository) -> Vec<(&'static str, Result<(), Error>)> {
    let blob = Descriptor::of("x", b"x");
    let source = strata_oci::BlobSource::bytes(b"x".to_vec());
    vec![
        ("resolve", repository.resolve(&name("t")).map(drop)),
        ("manifest by tag", repository.manifest(&name("t").into()).map(drop)),
        ("manifest by digest", repository.manifest(&blob.digest.into()).map(drop)),
        ("put manifest", Image::new("x").put_manifest(repository, "t").map(drop)),
        ("tags", repository.tags().map(drop)),
        ("blob size", repository.blob_size(&blob.digest).map(drop)),
        ("blob", repository.blob(&blob).map(drop)),
        ("put blob", repository.put_blob(&source).map(drop)),
    ]
}

#[test]
fn every_status_is_an_error_of_its_kind_in_every_request() {
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (405, ErrorKind::Invalid),
        (429, ErrorKind::TryAgain),
        (500, ErrorKind::TryAgain),
        (502, ErrorKind::TryAgain),
        (503, ErrorKind::TryAgain),
    ] {
        let body = r#"{"errors":[{"code":"CODE","message":"in the registry's words"}]}"#;
        let server =
            FaultServer::always(move || reply(status, &[("Content-Type", "application/json")], body));
        for (request, outcome) in each_request(&server.repository()) {
            let error = outcome.expect_err(request);
            assert_eq!(error.kind(), kind, "{request}: {error}");
            let message = error.to_string();
            assert!(message.contains(&format!("{}/v2/some/cache/", server.base())), "{request}: {message}");
            assert!(message.contains(&status.to_string()), "{request}: {message}");
            let by_head = message.starts_with("HEAD ");
            let quoted = message.contains("CODE: in the registry's words");
            assert!(quoted || (by_head && message.contains("no further words")), "{request}: {message}");
        }
    }
}

#[test]
fn a_registry_that_wants_credentials_says_what_to_do() {
    let server = FaultServer::always(|| reply(401, &[("WWW-Authenticate", "Basic realm=\"here\"")], ""));
    let error = server.repository().resolve(&name("t")).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("401 Unauthorized"), "{message}");
    assert!(message.contains("tried without credentials"), "{message}");
    assert!(message.contains("strata login"), "{message}");
}

#[test]
fn a_page_for_people_is_reported_as_one() {
    for status in [200, 404] {
        let server = FaultServer::always(move || html(status));
        for (request, outcome) in each_request(&server.repository()) {
            let error = outcome.expect_err(request);
            assert!(matches!(error, Error::Html { .. }), "{request}: {error}");
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            let message = error.to_string();
            assert!(message.contains("HTML page"), "{message}");
            let by_head = message.starts_with("HEAD ");
            assert!(by_head || message.contains("Sign in to the hotel network"), "{request}: {message}");
        }
    }
    let server = FaultServer::always(|| html(503));
    let error = server.repository().tags().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TryAgain);
    assert!(error.to_string().contains("503 Service Unavailable: an HTML page: Sign in"), "{error}");
}

#[test]
fn what_cannot_be_reached_says_why() {
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let plain = FaultServer::always(|| reply(200, &[], "{}"));
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let transport = Transport::new(TransportOptions { retry, ..TransportOptions::default() });
    for (url, words) in [
        (format!("oci+http://127.0.0.1:{unused}/some/cache"), "refused"),
        // No resolver is asked for a name with a label of more than 63 characters.
        (format!("oci+http://{}.invalid/some/cache", "x".repeat(70)), "dns"),
        (format!("oci://127.0.0.1:{}/some/cache", plain.port()), "begins with oci+http://"),
    ] {
        let repository = RemoteRepository::open(&url.parse().unwrap(), &transport, None).unwrap();
        for (request, outcome) in each_request(&repository) {
            let error = outcome.expect_err(request);
            assert!(matches!(error, Error::Transport { .. }), "{request}: {error}");
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            let message = error.to_string();
            assert!(message.to_lowercase().contains(words), "{request}: {message}");
            assert!(
                !message.contains("client error"),
                "the layers of the client are nobody's concern: {message}"
            );
            assert!(message.contains("/v2/some/cache/"), "{request}: {message}");
        }
    }
}

#[test]
fn a_connection_that_breaks_or_falls_silent_is_an_error() {
    let hung_up = FaultServer::always(|| raw(200, [], b"").cut(5));
    let silent = FaultServer::always(|| raw(200, [], b"").cut(0).then_silence());
    let half = FaultServer::always(|| reply(200, &[("Content-Length", "100")], "{\"tags\":").then_silence());
    for (server, words) in [(&hung_up, "connection"), (&silent, "nothing was heard")] {
        for (request, outcome) in each_request(&server.repository()) {
            let error = outcome.expect_err(request);
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{request}");
            assert!(error.to_string().contains(words), "{request}: {error}");
        }
    }
    let error = half.repository().tags().unwrap_err();
    assert!(error.to_string().contains("nothing was heard for 1 s"), "{error}");
}

#[test]
fn pages_of_tags_are_followed_verbatim() {
    let server = FaultServer::start(|request| {
        let page = |tags: &str, link: &str| {
            reply(200, &[("Link", link)], format!(r#"{{"name":"some/cache","tags":[{tags}]}}"#))
        };
        match request.target.as_str() {
            "/v2/some/cache/tags/list" => {
                page(r#""c","a""#, r#"</v2/some/cache/tags/list?last=c&n=2&odd=%2f&blank=>; rel="next""#)
            }
            "/v2/some/cache/tags/list?last=c&n=2&odd=%2f&blank=" => {
                let host = request.header("host").unwrap();
                page(r#""b","a""#, &format!(r#"<http://{host}/elsewhere?next_page=x>; rel="next""#))
            }
            "/elsewhere?next_page=x" => page(r#""d""#, r#"</first>; rel="first""#),
            other => panic!("{other}"),
        }
    });
    assert_eq!(server.repository().tags().unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(server.log().len(), 3);
}

#[test]
fn a_list_of_tags_may_be_null_or_absent() {
    for body in [r#"{"name":"some/cache","tags":null}"#, r#"{"name":"some/cache"}"#, r#"{"tags":[]}"#] {
        let server = FaultServer::always(move || reply(200, &[], body));
        assert_eq!(server.repository().tags().unwrap(), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn part_of_a_list_of_tags_never_passes_for_the_whole() {
    let first = |target: &str| target == "/v2/some/cache/tags/list";
    let link = [("Link", "</v2/some/cache/tags/list?last=a>; rel=\"next\"")];
    let gone = FaultServer::start(move |request| match first(&request.target) {
        true => reply(200, &link, r#"{"tags":["a"]}"#),
        false => reply(404, &[], "gone"),
    });
    assert_eq!(gone.repository().tags().unwrap_err().kind(), ErrorKind::NotFound);

    let circle = FaultServer::always(move || reply(200, &link, r#"{"tags":["a"]}"#));
    let error = circle.repository().tags().unwrap_err();
    assert!(error.to_string().contains("does not end"), "{error}");
    assert_eq!(circle.log().len(), 2);

    for body in ["[]", "{\"tags\":[1]}", "plain", ""] {
        let server = FaultServer::always(move || reply(200, &[], body));
        let error = server.repository().tags().unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{body}: {error}");
        assert!(error.to_string().contains("not a list of tags"), "{error}");
    }
    let error = FaultServer::always(|| reply(200, &[("Link", "<ftp://x/y>; rel=next")], r#"{"tags":[]}"#))
        .repository()
        .tags()
        .unwrap_err();
    assert!(error.to_string().contains("ftp://x/y"), "{error}");
}

#[test]
fn only_a_registrys_own_404_means_that_there_is_none() {
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#;
    let server = FaultServer::always(move || reply(404, &[("Content-Type", "application/json")], body));
    let repository = server.repository();
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
    assert_eq!(repository.resolve(&name("t")).unwrap(), None);
    assert_eq!(repository.manifest(&name("t").into()).unwrap(), None);
    assert_eq!(repository.blob_size(&Digest::of(b"")).unwrap(), None);
    let error = repository.blob(&Descriptor::of("x", b"")).err().expect("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("NAME_UNKNOWN"), "{error}");
    // To put something where nothing can be put is an error, though.
    let error = repository.put_blob(&strata_oci::BlobSource::bytes(vec![1])).unwrap_err();
    assert!(error.to_string().starts_with("POST "), "{error}");
}
