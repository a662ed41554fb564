//! Who may use a registry: passwords and TLS.

use std::fs;

use reqwest::{Method, StatusCode};
use strata_oci::Digest;
use strata_registry::{Registry, RegistryOptions, ServerCertificate};
use tokio::io::AsyncWriteExt;

use crate::certificates::Authority;
use crate::raw::{sending, status};
use crate::served::{Served, header, refused};

fn users(lines: &[(&str, &str)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_users(&file, lines);
    file
}

fn write_users(file: &tempfile::NamedTempFile, lines: &[(&str, &str)]) {
    let lines =
        lines.iter().map(|(user, password)| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap()));
    fs::write(file.path(), lines.collect::<String>()).unwrap();
}

async fn with_users(file: &tempfile::NamedTempFile) -> Served {
    let htpasswd = Some(file.path().to_path_buf());
    Served::with(RegistryOptions { htpasswd, ..RegistryOptions::default() }).await
}

#[tokio::test]
async fn without_credentials_there_is_nothing_to_be_had_or_learnt() {
    let file = users(&[("ann", "secret")]);
    let served = with_users(&file).await;
    for (method, path) in [
        (Method::GET, "/v2/"),
        (Method::GET, "/v2/_catalog"),
        (Method::GET, "/nowhere"),
        (Method::POST, "/v2/a/blobs/uploads/"),
        (Method::PUT, "/v2/a/manifests/v1"),
        (Method::DELETE, "/v2/a/manifests/v1"),
    ] {
        let response = served.request(method.clone(), path).send().await.unwrap();
        assert_eq!(header(&response, "www-authenticate"), r#"Basic realm="strata""#);
        refused(response, 401, "UNAUTHORIZED").await;
        let response = served.request(method, path).basic_auth("ann", Some("wrong")).send().await.unwrap();
        refused(response, 401, "UNAUTHORIZED").await;
    }
    assert_eq!(served.files(), Vec::<String>::new());
    let response =
        served.request(Method::GET, "/v2/").basic_auth("ann", Some("secret")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_changed_password_file_is_read_again() {
    let file = users(&[("ann", "secret")]);
    let served = with_users(&file).await;
    let status = async |user: &str, password: &str| {
        let request = served.request(Method::GET, "/v2/").basic_auth(user, Some(password));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("ann", "secret").await, 200);
    write_users(&file, &[("ann", "changed"), ("bob", "new")]);
    assert_eq!(status("ann", "secret").await, 401);
    assert_eq!(status("ann", "changed").await, 200);
    assert_eq!(status("bob", "new").await, 200);
    fs::write(file.path(), "ann:plain").unwrap();
    assert_eq!(status("ann", "changed").await, 503);
}

#[tokio::test]
async fn a_refusal_for_want_of_credentials_reaches_a_client_that_is_still_sending() {
    let file = users(&[("ann", "secret")]);
    let served = with_users(&file).await;
    let bytes = vec![0; 10_000_000];
    let digest = Digest::of(&bytes);
    let location = "/v2/a/blobs/uploads/8c3b46c6-18fd-4ef8-a7a9-9c3f7c7a3d11";
    for _ in 0..5 {
        refused(served.complete(location, &digest, &bytes).await, 401, "UNAUTHORIZED").await;
    }
}

#[tokio::test]
async fn who_is_refused_is_not_asked_for_the_bytes() {
    let file = users(&[("ann", "secret")]);
    let served = with_users(&file).await;
    let head = sending("PUT", "/v2/a/blobs/uploads/8c3b46c6-18fd-4ef8-a7a9-9c3f7c7a3d11", 10_000_000);
    let answer = served.raw(head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")).await;
    assert_eq!(status(&answer), 401, "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
}

#[test]
fn a_password_file_of_other_hashes_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let open = |text: &str| {
        let file = directory.path().join("users");
        fs::write(&file, text).unwrap();
        let options = RegistryOptions { htpasswd: Some(file), ..RegistryOptions::default() };
        Registry::open(&directory.path().join("registry"), options).err().map(|error| error.to_string())
    };
    let error = open("# users\nann:$apr1$ab$cd\n").unwrap();
    assert!(error.contains("users: line 2") && error.contains("htpasswd -B"), "{error}");
    assert_eq!(open(&format!("ann:{}", bcrypt::hash("x", 4).unwrap())), None);
}

#[test]
fn what_htpasswd_writes_is_understood() {
    let Some(program) = strata_testkit::docker_registry::find_program("htpasswd") else {
        return strata_testkit::golden::skipped(
            "access::what_htpasswd_writes_is_understood",
            "htpasswd is not installed",
        );
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut child = std::process::Command::new(program)
        .args(["-i", "-B", "-C", "5", "-c"])
        .arg(file.path())
        .arg("ann")
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"secret\n").unwrap();
    assert!(child.wait().unwrap().success());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let served = with_users(&file).await;
        for (password, status) in [("secret", 200), ("Secret", 401)] {
            let request = served.request(Method::GET, "/v2/").basic_auth("ann", Some(password));
            assert_eq!(request.send().await.unwrap().status().as_u16(), status);
        }
    });
}

#[tokio::test]
async fn tls_is_spoken_with_the_certificate_given() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let served = Served::over(directory.path(), RegistryOptions::default(), Some(authority.server())).await;
    let trusted = reqwest::Certificate::from_pem(&fs::read(authority.file()).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
    let url = format!("https://localhost:{}/v2/", served.address.port());
    // Somebody connects and says nothing: nobody else waits for it.
    let mut silent = served.connect().await;
    silent.write_all(b"\x16").await.unwrap();
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert!(reqwest::get(&url).await.is_err(), "the authority is not known to everybody");
    // Plain HTTP is not answered.
    assert_eq!(status(&served.raw(sending("GET", "/v2/", 0)).await), 0);
    drop(client);
    served.stop().await;
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let [one, other] = [Authority::new(), Authority::new()];
    let rubbish = one.path().join("rubbish");
    fs::write(&rubbish, "rubbish").unwrap();
    let absent = one.path().join("absent");
    let good = one.server();
    assert!(good.check().is_ok());
    for (certificate, key, file) in [
        (&absent, &good.key, "absent: cannot be read"),
        (&good.certificate, &absent, "absent: cannot be read"),
        (&rubbish, &good.key, "rubbish: there is no certificate in it"),
        (&good.certificate, &rubbish, "rubbish: no private key"),
        (&good.certificate, &other.server().key, "server.pem: cannot be used with its key"),
    ] {
        let certificate = ServerCertificate { certificate: certificate.clone(), key: key.clone() };
        let error = certificate.check().unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
    }
}
