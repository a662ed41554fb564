//! The conformance points of the workflow category "Push" (distribution specification 1.1).

use std::os::unix::fs::MetadataExt;

use reqwest::{Method, StatusCode};
use strata_oci::{Descriptor, Digest, ImageIndex, Manifest, media_type};

use crate::served::{Image, Served, content, header, refused};

#[tokio::test]
async fn a_blob_is_put_with_post_and_put() {
    let served = Served::start().await;
    let bytes = content(3_000_001);
    let digest = Digest::of(&bytes);
    let location = served.begin("a/b").await;
    assert!(location.starts_with("/v2/a/b/blobs/uploads/"), "{location}");
    let response = served.complete(&location, &digest, &bytes).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&response, "location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
    assert!(served.get(&header(&response, "location")).await.bytes().await.unwrap() == bytes);
    refused(served.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(std::fs::read(served.directory.join("a/b/blobs/sha256").join(digest.hex())).unwrap(), bytes);
}

#[tokio::test]
async fn a_blob_is_put_with_a_single_post() {
    let served = Served::start().await;
    let post = async |digest: &Digest, bytes: &'static [u8]| {
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        served.request(Method::POST, &path).body(bytes).send().await.unwrap()
    };
    let digest = Digest::of(b"at once");
    let response = post(&digest, b"at once").await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&response, "location"), format!("/v2/a/blobs/{digest}"));
    assert_eq!(served.get(&format!("/v2/a/blobs/{digest}")).await.text().await.unwrap(), "at once");
    refused(post(&digest, b"something else").await, 400, "DIGEST_INVALID").await;
    assert!(!served.files().iter().any(|file| file.contains("uploads")), "{:?}", served.files());
}

#[tokio::test]
async fn a_blob_is_put_in_chunks() {
    let served = Served::start().await;
    let bytes = content(1_000_000);
    let mut location = served.begin("a").await;
    let status = served.get(&location).await;
    assert_eq!((status.status(), header(&status, "range")), (StatusCode::NO_CONTENT, "0-0".into()));
    for (start, end) in [(0, 400_000), (400_000, 400_001), (400_001, 900_000)] {
        let response = served.patch(&location, start, &bytes[start..end]).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(header(&response, "range"), format!("0-{}", end - 1));
        location = header(&response, "location");
        let status = served.get(&location).await;
        assert_eq!(status.status(), StatusCode::NO_CONTENT);
        assert_eq!(header(&status, "range"), format!("0-{}", end - 1));
        assert_eq!(header(&status, "location"), location);
    }
    let digest = Digest::of(&bytes);
    let response = served.complete(&location, &digest, &bytes[900_000..]).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(served.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap() == bytes);
}

#[tokio::test]
async fn chunks_may_be_streamed_without_saying_where_and_closed_without_bytes() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    for chunk in ["one ", "two"] {
        let response = served.request(Method::PATCH, &location).body(chunk).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
    }
    let digest = Digest::of(b"one two");
    assert_eq!(served.complete(&location, &digest, b"").await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_chunk_out_of_order_is_refused_with_what_has_come() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, b"0123456789").await.status(), StatusCode::ACCEPTED);
    for start in [0, 5, 11, 1000] {
        let response = served.patch(&location, start, b"abc").await;
        assert_eq!(header(&response, "range"), "0-9");
        assert_eq!(header(&response, "location"), location);
        refused(response, 416, "BLOB_UPLOAD_INVALID").await;
    }
    let malformed =
        served.request(Method::PATCH, &location).header("content-range", "ten-twelve").body("abc");
    refused(malformed.send().await.unwrap(), 400, "BLOB_UPLOAD_INVALID").await;
    let contradictory = served.request(Method::PATCH, &location).header("content-range", "10-19").body("abc");
    refused(contradictory.send().await.unwrap(), 400, "SIZE_INVALID").await;
    let last = format!("{location}?digest={}", Digest::of(b"0123456789abc"));
    let put = |range: &'static str| {
        served.request(Method::PUT, &last).header("content-range", range).body("abc").send()
    };
    refused(put("11-13").await.unwrap(), 416, "BLOB_UPLOAD_INVALID").await;
    assert_eq!(put("10-12").await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_first_chunk_may_come_again_after_a_single_byte() {
    // What has come is 0-0 for no byte and for one: a client that takes it for none begins at 0.
    let served = Served::start().await;
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, b"0").await.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&served.get(&location).await, "range"), "0-0");
    assert_eq!(served.patch(&location, 0, b"0123").await.status(), StatusCode::ACCEPTED);
    let digest = Digest::of(b"0123");
    assert_eq!(served.complete(&location, &digest, b"").await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let served = Served::start().await;
    let digest = served.put_blob("from/here", b"shared").await;
    let mount = async |name: &str, query: String| {
        served.request(Method::POST, &format!("/v2/{name}/blobs/uploads/?{query}")).send().await.unwrap()
    };
    let response = mount("to/there", format!("mount={digest}&from=from/here")).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&response, "location"), format!("/v2/to/there/blobs/{digest}"));
    assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
    assert_eq!(served.get(&header(&response, "location")).await.text().await.unwrap(), "shared");
    let inode = |name: &str| {
        served.directory.join(name).join("blobs/sha256").join(digest.hex()).metadata().unwrap().ino()
    };
    assert_eq!(inode("from/here"), inode("to/there"), "no bytes are copied");

    // What is here already needs no other repository; what cannot be mounted is sent.
    let again = mount("to/there", format!("mount={digest}&from=nowhere")).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    let absent = Digest::of(b"absent");
    for query in [
        format!("mount={absent}&from=from/here"),
        format!("mount={absent}&from=nowhere"),
        format!("mount={absent}&from=../etc"),
        format!("mount={absent}"),
    ] {
        let response = mount("to/there", query.clone()).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{query}");
        let location = header(&response, "location");
        assert_eq!(served.complete(&location, &absent, b"absent").await.status(), StatusCode::CREATED);
        served.delete(&format!("/v2/to/there/blobs/{absent}")).await;
    }
    refused(mount("a", "mount=sha256:x&from=b".into()).await, 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn an_upload_is_given_up() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, b"some").await.status(), StatusCode::ACCEPTED);
    assert_eq!(served.delete(&location).await.status(), StatusCode::NO_CONTENT);
    refused(served.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(served.delete(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(served.patch(&location, 4, b"more").await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    assert!(!served.files().iter().any(|file| file.contains("uploads")), "{:?}", served.files());
}

#[tokio::test]
async fn bytes_that_are_not_the_blob_are_refused_and_leave_nothing() {
    let served = Served::start().await;
    let digest = Digest::of(b"what was promised");
    let location = served.begin("a").await;
    let response = served.complete(&location, &digest, b"what was delivered").await;
    let message = refused(response, 400, "DIGEST_INVALID").await;
    assert!(message.contains(&Digest::of(b"what was delivered").to_string()), "{message}");
    refused(served.get(&format!("/v2/a/blobs/{digest}")).await, 404, "BLOB_UNKNOWN").await;
    refused(served.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(served.files(), ["a/index.json", "a/oci-layout"]);
}

#[tokio::test]
async fn a_digest_that_is_missing_or_malformed_leaves_the_upload_as_it_is() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, b"some").await.status(), StatusCode::ACCEPTED);
    let put =
        async |query: &str| served.request(Method::PUT, &format!("{location}{query}")).send().await.unwrap();
    refused(put("").await, 400, "DIGEST_INVALID").await;
    refused(put("?digest=sha256:123").await, 400, "DIGEST_INVALID").await;
    let sha512 = format!("?digest=sha512:{}", "a".repeat(128));
    let message = refused(put(&sha512).await, 400, "UNSUPPORTED").await;
    assert!(message.contains("only sha256"), "{message}");
    // Escaped, as many clients write it.
    let escaped = Digest::of(b"some").to_string().replace(':', "%3A");
    assert_eq!(put(&format!("?digest={escaped}")).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    served.begin("b").await;
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    refused(served.get(&elsewhere).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(served.patch(&elsewhere, 0, b"x").await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    let unknown = served.get("/v2/c/blobs/uploads/8c3b46c6-18fd-4ef8-a7a9-9c3f7c7a3d11").await;
    refused(unknown, 404, "NAME_UNKNOWN").await;
    let id = location.rsplit('/').next().unwrap();
    for other in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), "x".into()] {
        let path = format!("/v2/a/blobs/uploads/{other}");
        assert_eq!(served.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_manifest_is_put_by_tag_and_by_digest() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    let response = served.put_manifest("a", "v2", media_type::OCI_MANIFEST, &image.manifest).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&response, "location"), format!("/v2/a/manifests/{}", image.digest()));
    assert_eq!(header(&response, "docker-content-digest"), image.digest().to_string());

    let untagged = Image::new("untagged");
    served.put_blob("a", &untagged.config).await;
    served.put_blob("a", &untagged.layer).await;
    let reference = untagged.digest().to_string();
    let response = served.put_manifest("a", &reference, media_type::OCI_MANIFEST, &untagged.manifest).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let response = served.get(&format!("/v2/a/manifests/{reference}")).await;
    assert_eq!(header(&response, "content-type"), media_type::OCI_MANIFEST);
    assert_eq!(response.bytes().await.unwrap(), untagged.manifest);
    assert_eq!(served.tags("a").await, ["v1", "v2"]);
}

#[tokio::test]
async fn a_manifest_keeps_the_type_it_was_put_with() {
    let served = Served::start().await;
    served.put_image("a", "v1", "one").await;
    let image = Image::new("one");
    let text = String::from_utf8(image.manifest.clone()).unwrap();
    let docker = text.replace(media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST);
    let silent = text.replace(&format!(r#""mediaType":"{}","schema"#, media_type::OCI_MANIFEST), "\"schema");
    for (tag, delivered, bytes, expected) in [
        ("docker", media_type::DOCKER_MANIFEST, &docker, media_type::DOCKER_MANIFEST),
        ("said", "application/json", &docker, media_type::DOCKER_MANIFEST),
        (
            "silent",
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            &silent,
            media_type::OCI_MANIFEST,
        ),
        ("shape", "application/json", &silent, media_type::OCI_MANIFEST),
    ] {
        let response = served.put_manifest("a", tag, delivered, bytes.as_bytes()).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{tag}");
        let response = served.get(&format!("/v2/a/manifests/{tag}")).await;
        assert_eq!(header(&response, "content-type"), expected, "{tag}");
    }
}

#[tokio::test]
async fn an_index_is_put_when_its_manifests_are_there() {
    let served = Served::start().await;
    let image = Image::new("one of several");
    let mut index = ImageIndex::default();
    index.manifests.push(Descriptor::of(media_type::OCI_MANIFEST, &image.manifest));
    let index = index.to_bytes().unwrap();
    let response = served.put_manifest("a", "all", media_type::OCI_INDEX, &index).await;
    let message = refused(response, 400, "MANIFEST_BLOB_UNKNOWN").await;
    assert!(message.contains(&image.digest().to_string()), "{message}");
    served.put_image("a", &image.digest().to_string(), "one of several").await;
    let response = served.put_manifest("a", "all", media_type::OCI_INDEX, &index).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&served.get("/v2/a/manifests/all").await, "content-type"), media_type::OCI_INDEX);
}

#[tokio::test]
async fn a_manifest_whose_blobs_are_missing_is_refused() {
    let served = Served::start().await;
    let image = Image::new("incomplete");
    let put = async || served.put_manifest("a", "v1", media_type::OCI_MANIFEST, &image.manifest).await;
    let message = refused(put().await, 400, "MANIFEST_BLOB_UNKNOWN").await;
    assert!(message.contains(&Digest::of(&image.config).to_string()), "{message}");
    assert!(!served.directory.join("a").exists(), "a refused manifest makes no repository");
    served.put_blob("a", &image.config).await;
    let message = refused(put().await, 400, "MANIFEST_BLOB_UNKNOWN").await;
    assert!(message.contains(&Digest::of(&image.layer).to_string()), "{message}");
    assert_eq!(served.tags("a").await, Vec::<String>::new());
    served.put_blob("a", &image.layer).await;
    assert_eq!(put().await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_manifest_with_a_subject_says_so_whether_the_subject_is_there_or_not() {
    let served = Served::start().await;
    served.put_image("a", "v1", "one").await;
    let image = Image::new("one");
    for subject in [image.digest(), Digest::of(b"not there")] {
        let mut manifest = Manifest::parse("", &image.manifest).unwrap();
        manifest.extra.set("subject", &Descriptor::new(media_type::OCI_MANIFEST, subject, 2)).unwrap();
        let bytes = manifest.to_bytes().unwrap();
        let response =
            served.put_manifest("a", &Digest::of(&bytes).to_string(), media_type::OCI_MANIFEST, &bytes).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(header(&response, "oci-subject"), subject.to_string());
    }
    let response = served.put_manifest("a", "v1", media_type::OCI_MANIFEST, &image.manifest).await;
    assert!(response.headers().get("oci-subject").is_none());
    // Nobody can ask for the referrers of such a digest, so the client is not told that they are listed.
    let subject = format!("sha512:{}", "0".repeat(128));
    let manifest = String::from_utf8(image.manifest.clone()).unwrap();
    let manifest = manifest.replacen(
        '{',
        &format!(
            r#"{{"subject":{{"mediaType":"{}","digest":"{subject}","size":2}},"#,
            media_type::OCI_MANIFEST
        ),
        1,
    );
    let response = served.put_manifest("a", "other", media_type::OCI_MANIFEST, manifest.as_bytes()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(response.headers().get("oci-subject").is_none());
}

#[tokio::test]
async fn what_is_no_manifest_is_refused_and_leaves_nothing() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    let before = served.files();
    for (media_type, bytes) in [
        (media_type::OCI_MANIFEST, &b"<html>"[..]),
        (media_type::OCI_MANIFEST, b""),
        (media_type::OCI_MANIFEST, b"{}"),
        (media_type::OCI_INDEX, &image.manifest),
        (media_type::DOCKER_MANIFEST, &image.manifest),
        ("text/plain", &image.manifest),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", &image.manifest),
    ] {
        let response = served.put_manifest("a", "v2", media_type, bytes).await;
        refused(response, 400, "MANIFEST_INVALID").await;
    }
    let wrong = Digest::of(b"something else").to_string();
    let response = served.put_manifest("a", &wrong, media_type::OCI_MANIFEST, &image.manifest).await;
    refused(response, 400, "DIGEST_INVALID").await;
    let sha512 = format!("sha512:{}", "0".repeat(128));
    let response = served.put_manifest("a", &sha512, media_type::OCI_MANIFEST, &image.manifest).await;
    refused(response, 400, "UNSUPPORTED").await;
    for tag in [".v1", "-v1", &"x".repeat(129)] {
        let response = served.put_manifest("a", tag, media_type::OCI_MANIFEST, &image.manifest).await;
        refused(response, 400, "TAG_INVALID").await;
    }
    assert_eq!(served.files(), before);
    assert_eq!(served.tags("a").await, ["v1"]);
}

#[tokio::test]
async fn a_moved_tag_leaves_its_manifest_to_be_had_by_digest() {
    let served = Served::start().await;
    let old = served.put_image("a", "v1", "old").await;
    let new = served.put_image("a", "v1", "new").await;
    let response = served.get("/v2/a/manifests/v1").await;
    assert_eq!(header(&response, "docker-content-digest"), new.digest().to_string());
    let response = served.get(&format!("/v2/a/manifests/{}", old.digest())).await;
    assert_eq!(header(&response, "content-type"), media_type::OCI_MANIFEST);
    assert_eq!(response.bytes().await.unwrap(), old.manifest);
    assert_eq!(served.tags("a").await, ["v1"]);
}
