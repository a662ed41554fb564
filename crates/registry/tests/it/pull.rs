//! The conformance points of the workflow category "Pull" (distribution specification 1.1).

use reqwest::{Method, StatusCode};
use strata_oci::{Digest, media_type};

use crate::served::{Served, content, header, refused};

#[tokio::test]
async fn the_base_says_that_this_is_a_registry() {
    let served = Served::start().await;
    for path in ["/v2/", "/v2"] {
        let response = served.get(path).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "docker-distribution-api-version"), "registry/2.0");
        assert_eq!(response.text().await.unwrap(), "{}");
    }
}

#[tokio::test]
async fn a_blob_is_got_whole_with_its_length_and_digest() {
    let served = Served::start().await;
    let bytes = content(1_000_003);
    let digest = served.put_blob("a/b", &bytes).await;
    let response = served.get(&format!("/v2/a/b/blobs/{digest}")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-length"), "1000003");
    assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    assert_eq!(header(&response, "accept-ranges"), "bytes");
    assert!(response.bytes().await.unwrap() == bytes);

    let empty = served.put_blob("a/b", b"").await;
    let response = served.get(&format!("/v2/a/b/blobs/{empty}")).await;
    assert_eq!(header(&response, "content-length"), "0");
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn head_of_a_blob_says_what_get_would_and_has_no_body() {
    let served = Served::start().await;
    let digest = served.put_blob("a", b"0123456789").await;
    let response = served.head(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-length"), "10");
    assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn parts_of_a_blob_are_got_by_range() {
    let served = Served::start().await;
    let bytes = content(700_001);
    let digest = served.put_blob("a", &bytes).await;
    let path = format!("/v2/a/blobs/{digest}");
    let part =
        async |range: &str| served.request(Method::GET, &path).header("range", range).send().await.unwrap();
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 700_001),
        ("bytes=262143-262145", 262_143, 262_146),
        ("bytes=700000-", 700_000, 700_001),
        ("bytes=699999-999999", 699_999, 700_001),
        ("bytes=-5", 699_996, 700_001),
    ] {
        let response = part(range).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let expected = format!("bytes {start}-{}/700001", end - 1);
        assert_eq!(header(&response, "content-range"), expected);
        assert_eq!(header(&response, "content-length"), (end - start).to_string());
        assert!(response.bytes().await.unwrap() == bytes[start..end], "{range}");
    }
    for range in ["bytes=0-1,5-6", "words=0-1", "bytes=5-2"] {
        let response = part(range).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert!(response.bytes().await.unwrap() == bytes);
    }
    let response = part("bytes=700001-").await;
    assert_eq!(header(&response, "content-range"), "bytes */700001");
    refused(response, 416, "UNKNOWN").await;
    let head = served.request(Method::HEAD, &path).header("range", "bytes=1-2").send().await.unwrap();
    assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, "700001".into()));
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_unknown() {
    let served = Served::start().await;
    served.put_blob("a", b"here").await;
    let absent = Digest::of(b"absent");
    refused(served.get(&format!("/v2/a/blobs/{absent}")).await, 404, "BLOB_UNKNOWN").await;
    let head = served.head(&format!("/v2/a/blobs/{absent}")).await;
    assert_eq!(head.status(), StatusCode::NOT_FOUND);
    assert!(head.bytes().await.unwrap().is_empty());
    let elsewhere = format!("/v2/b/blobs/{}", Digest::of(b"here"));
    refused(served.get(&elsewhere).await, 404, "NAME_UNKNOWN").await;
}

#[tokio::test]
async fn a_manifest_is_got_by_tag_and_by_digest_as_it_was_put() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    for reference in ["v1".to_string(), image.digest().to_string()] {
        let path = format!("/v2/a/manifests/{reference}");
        let response = served.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), media_type::OCI_MANIFEST);
        assert_eq!(header(&response, "docker-content-digest"), image.digest().to_string());
        assert_eq!(header(&response, "content-length"), image.manifest.len().to_string());
        assert_eq!(response.bytes().await.unwrap(), image.manifest);

        let head = served.head(&path).await;
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(header(&head, "content-type"), media_type::OCI_MANIFEST);
        assert_eq!(header(&head, "docker-content-digest"), image.digest().to_string());
        assert_eq!(header(&head, "content-length"), image.manifest.len().to_string());
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_unknown() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    for reference in ["v2", ".not-a-tag", &Digest::of(b"absent").to_string(), &"x".repeat(200)] {
        let path = format!("/v2/a/manifests/{reference}");
        refused(served.get(&path).await, 404, "MANIFEST_UNKNOWN").await;
        assert_eq!(served.head(&path).await.status(), StatusCode::NOT_FOUND);
    }
    refused(served.get("/v2/b/manifests/v1").await, 404, "NAME_UNKNOWN").await;
    // A blob is no manifest, whatever it looks like.
    let config = Digest::of(&image.config);
    refused(served.get(&format!("/v2/a/manifests/{config}")).await, 404, "MANIFEST_UNKNOWN").await;
    let shaped = served.put_blob("a", &crate::served::Image::new("shaped like one").manifest).await;
    refused(served.get(&format!("/v2/a/manifests/{shaped}")).await, 404, "MANIFEST_UNKNOWN").await;
}
