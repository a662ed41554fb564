//! Requests that mean no good, or that somebody got badly wrong.

use std::fs;

use reqwest::{Method, StatusCode};
use strata_oci::{Digest, media_type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::{sending, status};
use crate::served::{Served, content, refused};

#[tokio::test]
async fn no_name_leads_out_of_the_directory() {
    let served = Served::start().await;
    served.put_image("a", "v1", "one").await;
    let outside = served.directory.parent().unwrap().join("outside");
    fs::create_dir_all(outside.join("blobs/sha256")).unwrap();
    fs::write(outside.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(outside.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    for name in [
        "..",
        "../outside",
        "a/../../outside",
        "%2e%2e/outside",
        "%2E%2E%2Foutside",
        "..%2foutside",
        "a/..",
        "/outside",
        "//outside",
        "a//b",
        "%2foutside",
        "a%00",
        "a%00/../outside",
        "a\\..\\outside",
        "A",
        "a%20b",
        "%ff",
        "blobs",
        "a/blobs",
        "a/.strata",
        ".strata",
        "a/index.json",
        "oci-layout",
        &outside.display().to_string(),
        &"x".repeat(256),
        &"x/".repeat(2000),
    ] {
        let answer = served.raw_get(&format!("/v2/{name}/tags/list")).await;
        assert!(matches!(status(&answer), 400 | 404 | 414), "{name}: {answer}");
        assert!(!answer.contains("\"tags\""), "{name}: {answer}");
        let post = format!(
            "POST /v2/{name}/blobs/uploads/ HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = served.raw(post).await;
        assert!(matches!(status(&answer), 400 | 404 | 414), "{name}: {answer}");
    }
    let mut names: Vec<_> =
        fs::read_dir(&served.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a"]);
    assert_eq!(served.tags("a").await, ["v1"]);
}

#[tokio::test]
async fn no_reference_or_upload_leads_out_of_the_repository() {
    let served = Served::start().await;
    served.put_image("a", "v1", "one").await;
    fs::write(served.directory.join("secret"), "secret").unwrap();
    for path in [
        "/v2/a/manifests/../../../../secret",
        "/v2/a/manifests/..%2f..%2fsecret",
        "/v2/a/blobs/sha256:../../../../secret",
        "/v2/a/blobs/sha256%3a..%2f..%2f..%2f..%2fsecret",
        "/v2/a/blobs/uploads/..%2f..%2f..%2fsecret",
        "/v2/a/blobs/uploads/../../../secret",
        "/v2/a/referrers/../secret",
        "/secret",
        "/../secret",
    ] {
        let answer = served.raw_get(path).await;
        assert!(matches!(status(&answer), 400 | 404), "{path}: {answer}");
        assert!(!answer.ends_with("secret"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_the_specifications_words() {
    let served = Served::start().await;
    let digest = served.put_blob("a", b"x").await;
    let location = served.begin("a").await;
    for path in ["/", "/v1/", "/favicon.ico", "/v2/a", "/v2/a/tags", "/v2/a/unknown/x"] {
        refused(served.get(path).await, 404, "NOT_FOUND").await;
    }
    for (method, path, allowed) in [
        (Method::POST, "/v2/".to_string(), "GET, HEAD"),
        (Method::DELETE, "/v2/_catalog".to_string(), "GET, HEAD"),
        (Method::PUT, "/v2/a/tags/list".to_string(), "GET, HEAD"),
        (Method::PUT, format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        (Method::GET, "/v2/a/blobs/uploads/".to_string(), "POST"),
        (Method::POST, location, "GET, PATCH, PUT, DELETE"),
        (Method::POST, "/v2/a/manifests/v1".to_string(), "GET, HEAD, PUT, DELETE"),
        (Method::PATCH, format!("/v2/a/referrers/{digest}"), "GET, HEAD"),
        (Method::OPTIONS, "/v2/".to_string(), "GET, HEAD"),
    ] {
        let response = served.request(method.clone(), &path).send().await.unwrap();
        assert_eq!(crate::served::header(&response, "allow"), allowed, "{method} {path}");
        refused(response, 405, "UNSUPPORTED").await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_too_long_is_refused_before_it_is_read() {
    let served = Served::start().await;
    served.put_image("a", "v1", "one").await;
    let long = vec![b' '; (4 << 20) + 1];
    let response = served.put_manifest("a", "v2", media_type::OCI_MANIFEST, &long).await;
    let message = refused(response, 413, "SIZE_INVALID").await;
    assert!(message.contains("4194304"), "{message}");
    // Without a length, as it comes.
    let stream =
        futures_util::stream::iter(long.chunks(100_000).map(|c| Ok::<_, std::io::Error>(c.to_vec())));
    let stream: Vec<_> = futures_util::StreamExt::collect(stream).await;
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(stream));
    let response = served.request(Method::PUT, "/v2/a/manifests/v2").body(body).send().await.unwrap();
    refused(response, 413, "SIZE_INVALID").await;
    // A length that is a lie, and the connection held open: the answer does not wait.
    let mut stream = served.connect().await;
    stream.write_all(sending("PUT", "/v2/a/manifests/v2", usize::MAX / 2).as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
    assert_eq!(served.tags("a").await, ["v1"]);
    // As long as is allowed, and nonsense.
    let response = served.put_manifest("a", "v2", media_type::OCI_MANIFEST, &long[1..]).await;
    refused(response, 400, "MANIFEST_INVALID").await;
}

#[tokio::test]
async fn a_length_that_is_a_lie_makes_no_blob() {
    let served = Served::start().await;
    let bytes = content(100_000);
    let digest = Digest::of(&bytes);
    let location = served.begin("a").await;
    let path = format!("{location}?digest={digest}");
    // More is announced than comes.
    let mut stream = served.connect().await;
    stream.write_all(sending("PUT", &path, 200_000).as_bytes()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_ne!(status(&String::from_utf8_lossy(&answer)), 201);
    assert_eq!(served.head(&format!("/v2/a/blobs/{digest}")).await.status(), StatusCode::NOT_FOUND);
    // Less is announced than comes: what is beyond is not part of it.
    let location = served.begin("a").await;
    let mut request = sending("PUT", &format!("{location}?digest={digest}"), 50_000).into_bytes();
    request.extend_from_slice(&bytes);
    let answer = served.raw(request).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("DIGEST_INVALID"), "{answer}");
    assert_eq!(served.head(&format!("/v2/a/blobs/{digest}")).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let served = Served::start().await;
    let bytes = content(20_000_000);
    let digest = Digest::of(&bytes);
    let nowhere = "/v2/a/blobs/uploads/8c3b46c6-18fd-4ef8-a7a9-9c3f7c7a3d11";
    served.put_blob("a", b"x").await;
    for _ in 0..5 {
        let response = served.complete(nowhere, &digest, &bytes).await;
        refused(response, 404, "BLOB_UPLOAD_UNKNOWN").await;
    }
}

#[tokio::test]
async fn rubbish_on_a_connection_harms_nobody() {
    let served = Served::start().await;
    for rubbish in
        ["\0\0\0\0", "GET\r\n\r\n", "GET /v2/ HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\n\n"]
    {
        let answer = served.raw(format!("{rubbish}\r\n\r\n")).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert_eq!(served.get("/v2/").await.status(), StatusCode::OK);
}
