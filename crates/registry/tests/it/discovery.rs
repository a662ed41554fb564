//! The conformance points of the workflow category "Content Discovery" (distribution specification 1.1).

use reqwest::StatusCode;
use serde_json::{Value, json};
use strata_oci::{Descriptor, Digest, ImageIndex, Manifest, media_type};

use crate::served::{Image, Served, header, json, refused};

/// Where the `Link` header points.
fn next(response: &reqwest::Response) -> Option<String> {
    let link = response.headers().get("link")?.to_str().unwrap();
    Some(link.strip_prefix('<').unwrap().strip_suffix(r#">; rel="next""#).unwrap().to_string())
}

#[tokio::test]
async fn tags_are_listed_sorted() {
    let served = Served::start().await;
    for tag in ["b", "a", "B", "1", "_", "a.1"] {
        served.put_image("x/y", tag, "one").await;
    }
    let document = json(served.get("/v2/x/y/tags/list").await).await;
    assert_eq!(document, json!({ "name": "x/y", "tags": ["1", "B", "_", "a", "a.1", "b"] }));
    refused(served.get("/v2/x/z/tags/list").await, 404, "NAME_UNKNOWN").await;
    // A repository into which only a blob was put has no tags.
    served.put_blob("x", b"blob").await;
    assert_eq!(served.tags("x").await, Vec::<String>::new());
}

#[tokio::test]
async fn long_lists_of_tags_are_walked_by_their_links() {
    let served = Served::start().await;
    let mut expected: Vec<String> = (0..250).map(|number| format!("tag-{number}")).collect();
    served.put_image("a", "tag-0", "one").await;
    let image = Image::new("one");
    for tag in &expected {
        let response = served.put_manifest("a", tag, media_type::OCI_MANIFEST, &image.manifest).await;
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    expected.sort();
    assert_eq!(served.tags("a").await, expected);
    for size in [1, 7, 100, 250, 1000] {
        let mut path = format!("/v2/a/tags/list?n={size}");
        let (mut found, mut pages) = (Vec::<String>::new(), 0);
        loop {
            let response = served.get(&path).await;
            let link = next(&response);
            let page: Vec<String> = serde_json::from_value(json(response).await["tags"].clone()).unwrap();
            assert!(page.len() <= size);
            found.extend(page);
            pages += 1;
            match link {
                Some(link) => path = link,
                None => break,
            }
        }
        assert_eq!(found, expected, "{size}");
        assert_eq!(pages, 250_usize.div_ceil(size));
    }
}

#[tokio::test]
async fn a_page_of_tags_begins_after_the_last_one_whether_it_is_there_or_not() {
    let served = Served::start().await;
    for tag in ["a", "b", "c", "d"] {
        served.put_image("x", tag, "one").await;
    }
    for (query, tags, more) in [
        ("n=2", json!(["a", "b"]), true),
        ("n=2&last=b", json!(["c", "d"]), false),
        ("last=b", json!(["c", "d"]), false),
        ("n=1&last=bb", json!(["c"]), true),
        ("last=d", json!([]), false),
        ("n=4", json!(["a", "b", "c", "d"]), false),
        ("n=0", json!([]), false),
        ("n=0&last=a", json!([]), false),
    ] {
        let response = served.get(&format!("/v2/x/tags/list?{query}")).await;
        assert_eq!(next(&response).is_some(), more, "{query}");
        assert_eq!(json(response).await["tags"], tags, "{query}");
    }
    for query in ["n=-1", "n=many", "n="] {
        let response = served.get(&format!("/v2/x/tags/list?{query}")).await;
        refused(response, 400, "PAGINATION_NUMBER_INVALID").await;
    }
}

/// Puts a manifest about `subject` by its digest; its descriptor as it is to be listed.
async fn refer(served: &Served, subject: Digest, kind: Option<&str>, comment: &str) -> Value {
    let image = Image::new("one");
    let mut manifest = Manifest::parse("", &image.manifest).unwrap();
    manifest.annotations.insert("comment".into(), comment.into());
    manifest.extra.set("subject", &Descriptor::new(media_type::OCI_MANIFEST, subject, 2)).unwrap();
    if let Some(kind) = kind {
        manifest.extra.set("artifactType", kind).unwrap();
    }
    let bytes = manifest.to_bytes().unwrap();
    let digest = Digest::of(&bytes);
    let response = served.put_manifest("a", &digest.to_string(), media_type::OCI_MANIFEST, &bytes).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    json!({
        "mediaType": media_type::OCI_MANIFEST,
        "digest": digest,
        "size": bytes.len(),
        "annotations": { "comment": comment },
        "artifactType": kind.unwrap_or(media_type::OCI_CONFIG),
    })
}

async fn referrers(served: &Served, path: &str) -> (Option<String>, Vec<Value>) {
    let response = served.get(path).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), media_type::OCI_INDEX);
    let applied =
        response.headers().get("oci-filters-applied").map(|value| value.to_str().unwrap().to_string());
    let document: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(document["schemaVersion"], 2);
    assert_eq!(document["mediaType"], media_type::OCI_INDEX);
    (applied, serde_json::from_value(document["manifests"].clone()).unwrap())
}

#[tokio::test]
async fn referrers_are_listed_and_filtered_by_their_kind() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    let path = format!("/v2/a/referrers/{}", image.digest());
    assert_eq!(referrers(&served, &path).await, (None, vec![]));
    let signature = refer(&served, image.digest(), Some("application/x.signature"), "1").await;
    let sbom = refer(&served, image.digest(), Some("application/x.sbom"), "2").await;
    let plain = refer(&served, image.digest(), None, "3").await;
    refer(&served, Digest::of(b"something else"), Some("application/x.sbom"), "4").await;
    let all = vec![signature.clone(), sbom.clone(), plain.clone()];
    assert_eq!(referrers(&served, &path).await, (None, all.clone()));
    for (kind, expected) in [
        ("application/x.sbom", vec![sbom.clone()]),
        ("application%2Fx.signature", vec![signature.clone()]),
        (media_type::OCI_CONFIG, vec![plain.clone()]),
        ("application/x.none", vec![]),
    ] {
        let kind = kind.replace('+', "%2B");
        let found = referrers(&served, &format!("{path}?artifactType={kind}")).await;
        assert_eq!(found, (Some("artifactType".to_string()), expected), "{kind}");
    }
    // One that is deleted is listed no more.
    let deleted = served.delete(&format!("/v2/a/manifests/{}", sbom["digest"].as_str().unwrap())).await;
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    assert_eq!(referrers(&served, &path).await, (None, vec![signature, plain]));
}

#[tokio::test]
async fn referrers_of_what_is_not_there_are_none_or_those_that_came_first() {
    let served = Served::start().await;
    let absent = Digest::of(b"absent");
    assert_eq!(referrers(&served, &format!("/v2/nowhere/referrers/{absent}")).await, (None, vec![]));
    served.put_image("a", "v1", "one").await;
    assert_eq!(referrers(&served, &format!("/v2/a/referrers/{absent}")).await, (None, vec![]));
    let early = refer(&served, absent, None, "early").await;
    assert_eq!(referrers(&served, &format!("/v2/a/referrers/{absent}")).await, (None, vec![early]));
    refused(served.get("/v2/a/referrers/latest").await, 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn an_index_can_refer_too_and_a_tag_does_not_list_it_twice() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    let mut index = ImageIndex::default();
    index.extra.set("subject", &Descriptor::of(media_type::OCI_MANIFEST, &image.manifest)).unwrap();
    index.extra.set("artifactType", "application/x.collection").unwrap();
    let bytes = index.to_bytes().unwrap();
    for reference in ["collection", "again", &Digest::of(&bytes).to_string()] {
        let response = served.put_manifest("a", reference, media_type::OCI_INDEX, &bytes).await;
        assert_eq!(header(&response, "oci-subject"), image.digest().to_string());
    }
    let (_, found) = referrers(&served, &format!("/v2/a/referrers/{}", image.digest())).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["mediaType"], media_type::OCI_INDEX);
    assert_eq!(found[0]["artifactType"], "application/x.collection");
}

#[tokio::test]
async fn repositories_are_listed_in_pages() {
    let served = Served::start().await;
    assert_eq!(json(served.get("/v2/_catalog").await).await, json!({ "repositories": [] }));
    for name in ["b", "a/b/c", "a", "c-d/e"] {
        served.put_image(name, "v1", "one").await;
    }
    let all = json!({ "repositories": ["a", "a/b/c", "b", "c-d/e"] });
    assert_eq!(json(served.get("/v2/_catalog").await).await, all);
    let response = served.get("/v2/_catalog?n=2").await;
    let link = next(&response).unwrap();
    assert_eq!(json(response).await, json!({ "repositories": ["a", "a/b/c"] }));
    let response = served.get(&link).await;
    assert_eq!(next(&response), None);
    assert_eq!(json(response).await, json!({ "repositories": ["b", "c-d/e"] }));
}
