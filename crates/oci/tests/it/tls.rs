//! TLS: whose certificates are trusted, and what is said when one is not.

use std::fs;

use strata_oci::{
    Error, ErrorKind, RemoteRepository, Repository, TlsOptions, Transport, TransportOptions, Trouble,
};

use crate::fault_server::{FaultServer, reply};
use crate::tls_front::{Authority, TlsFront};

fn tags() -> FaultServer {
    FaultServer::always(|| reply(200, &[], r#"{"tags":["a"]}"#))
}

fn with(tls: TlsOptions) -> TransportOptions {
    TransportOptions { tls, ..TransportOptions::default() }
}

#[test]
fn a_private_authority_is_trusted_once_it_is_given() {
    let (authority, server) = (Authority::new(), tags());
    let front = TlsFront::start(&authority, server.port());

    let error = front.repository(TransportOptions::default()).tags().unwrap_err();
    assert!(matches!(error, Error::Transport { trouble: Trouble::Tls, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let message = error.to_string();
    assert!(message.contains("--ca-file"), "{message}");
    let place = format!("/etc/docker/certs.d/127.0.0.1:{}/ca.crt", front.port());
    assert!(message.contains(&place), "{message}");
    assert!(!message.contains("tried"), "a certificate does not get better: {message}");

    let authorities = vec![authority.file()];
    let given = with(TlsOptions { authorities, ..TlsOptions::default() });
    assert_eq!(front.repository(given).tags().unwrap(), ["a"]);

    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join(format!("127.0.0.1:{}", front.port()));
    fs::create_dir(&own).unwrap();
    fs::copy(authority.file(), own.join("ca.crt")).unwrap();
    let host_directories = vec![directory.path().to_path_buf()];
    let found = with(TlsOptions { host_directories, ..TlsOptions::default() });
    assert_eq!(front.repository(found.clone()).tags().unwrap(), ["a"]);

    // Another registry with a certificate of the same authority is not trusted for that.
    let other = TlsFront::start(&authority, server.port());
    assert!(other.repository(found).tags().unwrap_err().to_string().contains("--ca-file"));
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let (authority, server) = (Authority::new(), tags());
    let front = TlsFront::with(&authority, server.port(), "registry.example.org", false);
    let authorities = vec![authority.file()];
    let error =
        front.repository(with(TlsOptions { authorities, ..TlsOptions::default() })).tags().unwrap_err();
    assert!(error.to_string().contains("registry.example.org"), "{error}");
}

#[test]
fn a_registry_that_shows_the_certificate_of_an_authority_is_told_what_is_wrong_with_it() {
    let (authority, server) = (Authority::new(), tags());
    let front = TlsFront::as_authority(&authority, server.port());
    let tls = TlsOptions { authorities: vec![authority.file()], ..TlsOptions::default() };
    let message = front.repository(with(tls)).tags().unwrap_err().to_string();
    assert!(message.contains("CA:FALSE"), "{message}");
}

#[test]
fn a_client_certificate_is_shown_to_who_asks_for_it() {
    let (authority, server) = (Authority::new(), tags());
    let front = TlsFront::with(&authority, server.port(), "127.0.0.1", true);
    let authorities = vec![authority.file()];
    let tls = TlsOptions { authorities, ..TlsOptions::default() };

    let error = front.repository(with(tls.clone())).tags().unwrap_err();
    assert!(matches!(error, Error::Transport { trouble: Trouble::Tls, .. }), "{error:?}");
    assert!(error.to_string().contains("--client-cert"), "{error}");

    let pair = authority.client("ada");
    let given = TlsOptions { client_certificate: Some(pair.clone()), ..tls.clone() };
    assert_eq!(front.repository(with(given)).tags().unwrap(), ["a"]);

    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join(format!("127.0.0.1:{}", front.port()));
    fs::create_dir(&own).unwrap();
    fs::copy(&pair.0, own.join("me.cert")).unwrap();
    fs::copy(&pair.1, own.join("me.key")).unwrap();
    let found = TlsOptions { host_directories: vec![directory.path().to_path_buf()], ..tls };
    assert_eq!(front.repository(with(found)).tags().unwrap(), ["a"]);
}

#[test]
fn a_client_certificate_is_not_shown_to_where_the_registry_leads() {
    let (authority, storage) = (Authority::new(), tags());
    let elsewhere = TlsFront::with(&authority, storage.port(), "127.0.0.1", true);
    let target = format!("https://127.0.0.1:{}/elsewhere", elsewhere.port());
    let server = FaultServer::always(move || reply(307, &[("Location", &target)], ""));
    let front = TlsFront::with(&authority, server.port(), "127.0.0.1", true);
    let tls = TlsOptions {
        authorities: vec![authority.file()],
        client_certificate: Some(authority.client("ada")),
        ..TlsOptions::default()
    };
    let error = front.repository(with(tls)).tags().unwrap_err().to_string();
    // Once or more: that the other server hangs up may be noticed before why.
    assert!(!server.log().is_empty(), "the registry itself was shown it");
    assert!(storage.log().is_empty(), "{:?}", storage.log());
    let expected = format!("127.0.0.1:{}, to which 127.0.0.1:{} leads", elsewhere.port(), front.port());
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn an_authority_is_to_be_given_to_the_registry_that_leads_to_what_it_signed() {
    let (authority, other, storage) = (Authority::new(), Authority::new(), tags());
    let elsewhere = TlsFront::start(&other, storage.port());
    let base = format!("https://127.0.0.1:{}", elsewhere.port());
    let directory = tempfile::tempdir().unwrap();
    for (asked_before, status) in [307, 401].into_iter().enumerate() {
        let (target, challenge) = (format!("{base}/x"), format!("Bearer realm=\"{base}/token\""));
        let server = FaultServer::always(move || {
            reply(status, &[("Location", &target), ("WWW-Authenticate", &challenge)], "")
        });
        let front = TlsFront::start(&authority, server.port());
        let own = directory.path().join(format!("127.0.0.1:{}", front.port()));
        fs::create_dir(&own).unwrap();
        fs::copy(authority.file(), own.join("ca.crt")).unwrap();
        let tls = with(TlsOptions {
            host_directories: vec![directory.path().to_path_buf()],
            ..TlsOptions::default()
        });
        let error = front.repository(tls.clone()).tags().unwrap_err().to_string();
        let place = format!("certs.d/127.0.0.1:{}/", front.port());
        assert!(error.contains(&place), "{error}");
        assert_eq!(storage.log().len(), asked_before);
        // It helps to do so.
        fs::copy(other.file(), own.join("other.crt")).unwrap();
        let _ = front.repository(tls).tags();
        assert_eq!(storage.log().len(), asked_before + 1);
    }
}

#[test]
fn a_key_that_does_not_fit_is_said_before_anything_is_sent() {
    let authority = Authority::new();
    let (certificate, key) = authority.client("ada");
    let kept = certificate.with_extension("kept");
    fs::rename(&certificate, &kept).unwrap();
    let (_, other_key) = authority.client("bob");
    assert_eq!(key, other_key);
    let tls = TlsOptions { client_certificate: Some((kept, key)), ..TlsOptions::default() };
    let url = "oci://127.0.0.1:1/some/cache".parse().unwrap();
    let error =
        RemoteRepository::open(&url, &Transport::new(with(tls)), None).err().expect("it does not fit");
    assert!(error.to_string().contains("client.kept"), "{error}");
    assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
}

#[test]
fn tls_and_plain_http_are_told_apart() {
    let words = "Client sent an HTTP request to an HTTPS server.";
    let server = FaultServer::always(move || reply(400, &[], words));
    let error = server.repository().tags().unwrap_err();
    assert!(error.to_string().contains("begin the URL with oci:// in place of oci+http://"), "{error}");

    // It answers to whatever comes, as many servers do, in plain words.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 16 << 10]);
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    });
    let url = format!("oci://127.0.0.1:{port}/some/cache").parse().unwrap();
    let error = RemoteRepository::open(&url, &Transport::default(), None).unwrap().tags().unwrap_err();
    plain.join().unwrap();
    assert!(matches!(error, Error::Transport { trouble: Trouble::NoTls, .. }), "{error}");
    assert!(error.to_string().contains("begins with oci+http://"), "{error}");
}
