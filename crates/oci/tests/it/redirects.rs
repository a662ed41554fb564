//! Redirects: where they lead, and where not.

use strata_oci::{Error, ErrorKind, Repository, RetryPolicy, TlsOptions, TransportOptions, Trouble};

use crate::fault_server::{FaultServer, reply};
use crate::image::{Image, name};
use crate::tls_front::{Authority, TlsFront};

#[test]
fn the_method_and_headers_are_kept_whatever_the_redirects_status() {
    for status in [301, 302, 307, 308] {
        let storage = FaultServer::always(|| reply(200, &[], "{}"));
        let target = format!("{}/there?signed=x", storage.base());
        let server = FaultServer::always(move || reply(status, &[("Location", &target)], ""));
        let repository = server.repository();
        let _ = repository.resolve(&name("t"));
        let _ = repository.delete_manifest(&name("t").into());
        let _ = Image::new("x").put_manifest(&repository, "t");
        let requests = storage.requests();
        let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
        assert_eq!(methods, ["HEAD", "GET", "DELETE", "PUT"], "{status}");
        assert!(requests[0].header("accept").unwrap().contains("oci.image.manifest"));
        assert_eq!(requests[3].body, Image::new("x").manifest);
    }
}

#[test]
fn another_place_to_look_at_is_got() {
    let server = FaultServer::start(|request| match request.target.as_str() {
        "/answer" => reply(201, &[], ""),
        _ => reply(303, &[("Location", "/answer")], ""),
    });
    Image::new("x").put_manifest(&server.repository(), "t").unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.body.len()), ("GET", 0));
    let _ = server.repository().resolve(&name("t"));
    assert!(server.log().contains(&"HEAD /answer".to_string()));
}

#[test]
fn plain_http_is_not_gone_to_from_https() {
    let authority = Authority::new();
    let plain = FaultServer::always(|| reply(200, &[], r#"{"tags":["a"]}"#));
    let target = format!("{}/there?signature=secret", plain.base());
    let server = FaultServer::always(move || reply(307, &[("Location", &target)], ""));
    let front = TlsFront::start(&authority, server.port());
    let tls = TlsOptions { authorities: vec![authority.file()], ..TlsOptions::default() };
    let error = front.repository(TransportOptions { tls, ..TransportOptions::default() }).tags().unwrap_err();
    assert!(matches!(error, Error::Transport { trouble: Trouble::Redirect, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("refusing to follow a redirect from https to http"), "{message}");
    assert!(!message.contains("secret") && !message.contains("there"), "{message}");
    assert_eq!(server.log().len(), 1, "not tried again");
    assert!(plain.log().is_empty());
}

#[test]
fn a_signed_url_is_never_shown() {
    let target = "http://127.0.0.1:1/bucket?X-Signature=secret";
    for target in [target, "http://[nonsense?X-Signature=secret", "ftp://h/x?X-Signature=secret"] {
        let server = FaultServer::always(move || reply(307, &[("Location", target)], ""));
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        let repository = server.repository_with(TransportOptions { retry, ..TransportOptions::default() });
        let error = repository.tags().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().starts_with(&format!("GET {}/v2/some/cache/tags/list", server.base())));
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn a_list_of_tags_does_not_lead_to_another_server() {
    let other = FaultServer::always(|| reply(200, &[], r#"{"tags":["evil"]}"#));
    let link = format!("<{}/v2/some/cache/tags/list?last=a>; rel=\"next\"", other.base());
    let server = FaultServer::always(move || reply(200, &[("Link", &link)], r#"{"tags":["a"]}"#));
    let error = server.repository().tags().unwrap_err();
    assert!(error.to_string().contains("leads to another server"), "{error}");
    assert!(other.log().is_empty());
}
