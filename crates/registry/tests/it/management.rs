//! The conformance points of the workflow category "Content Management" (distribution specification 1.1).

use reqwest::StatusCode;
use strata_oci::{Digest, media_type};

use crate::served::{Served, refused};

#[tokio::test]
async fn deleting_a_tag_leaves_its_manifest_and_other_tags() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    served.put_image("a", "v2", "one").await;
    for (tag, left) in [("v1", vec!["v2"]), ("v2", vec![])] {
        assert_eq!(served.delete(&format!("/v2/a/manifests/{tag}")).await.status(), StatusCode::ACCEPTED);
        assert_eq!(served.manifest_status("a", tag).await, StatusCode::NOT_FOUND);
        assert_eq!(served.tags("a").await, left);
        assert_eq!(served.manifest_status("a", &image.digest().to_string()).await, StatusCode::OK);
        refused(served.delete(&format!("/v2/a/manifests/{tag}")).await, 404, "MANIFEST_UNKNOWN").await;
    }
}

#[tokio::test]
async fn deleting_a_manifest_takes_its_tags_along() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    served.put_image("a", "v2", "one").await;
    let other = served.put_image("a", "v3", "other").await;
    let path = format!("/v2/a/manifests/{}", image.digest());
    assert_eq!(served.delete(&path).await.status(), StatusCode::ACCEPTED);
    assert_eq!(served.tags("a").await, ["v3"]);
    assert_eq!(served.manifest_status("a", "v1").await, StatusCode::NOT_FOUND);
    assert_eq!(served.manifest_status("a", &image.digest().to_string()).await, StatusCode::NOT_FOUND);
    assert_eq!(served.manifest_status("a", &other.digest().to_string()).await, StatusCode::OK);
    refused(served.delete(&path).await, 404, "MANIFEST_UNKNOWN").await;
    // Its blobs are there still, so that it can be put again.
    let response = served.put_manifest("a", "v1", media_type::OCI_MANIFEST, &image.manifest).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(served.manifest_status("a", "v1").await, StatusCode::OK);
}

#[tokio::test]
async fn deleting_a_blob_makes_it_unknown() {
    let served = Served::start().await;
    let digest = served.put_blob("a", b"blob").await;
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(served.delete(&path).await.status(), StatusCode::ACCEPTED);
    assert_eq!(served.head(&path).await.status(), StatusCode::NOT_FOUND);
    refused(served.delete(&path).await, 404, "BLOB_UNKNOWN").await;
    served.put_blob("a", b"blob").await;
    assert_eq!(served.head(&path).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_manifest_and_a_blob_are_not_deleted_under_each_others_paths() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    refused(served.delete(&format!("/v2/a/blobs/{}", image.digest())).await, 404, "BLOB_UNKNOWN").await;
    let config = Digest::of(&image.config);
    refused(served.delete(&format!("/v2/a/manifests/{config}")).await, 404, "MANIFEST_UNKNOWN").await;
    assert_eq!(served.manifest_status("a", "v1").await, StatusCode::OK);
    assert_eq!(served.head(&format!("/v2/a/blobs/{config}")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn deleting_where_there_is_nothing_makes_nothing() {
    let served = Served::start().await;
    let digest = Digest::of(b"x");
    for path in
        [format!("/v2/a/blobs/{digest}"), format!("/v2/a/manifests/{digest}"), "/v2/a/manifests/x".into()]
    {
        refused(served.delete(&path).await, 404, "NAME_UNKNOWN").await;
    }
    assert!(!served.directory.join("a").exists());
}
