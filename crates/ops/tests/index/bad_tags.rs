//! Tags that end in `.spack` and are no packages: each is reported, and all others are in the index.

use crate::packages::{config, hash, in_index, manifest, node, open, put, put_package, spec, tag};
use serde_json::{Value, json};
use strata_oci::{BlobSource, Manifest, ManifestRef, Repository, TagName, media_type};
use strata_ops::index::{BadTag, IndexSummary};
use strata_ops::{Silent, index};
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;

/// Updates the index of a registry that has one good package, and something else under the tag of `odd`.
fn update(registry: &TestRegistry, repository: &dyn Repository) -> IndexSummary {
    put_package(repository, "good");
    let summary = index::update(&*open(&registry.url("cache")), &Silent).unwrap();
    assert_eq!(summary.packages, 1);
    assert_eq!(in_index(repository), ["good"]);
    summary
}

#[track_caller]
fn assert_reported(summary: &IndexSummary, reason: &str) {
    match &summary.bad_tags[..] {
        [BadTag { tag, reason: said, temporary: false }] => {
            assert!(tag.starts_with("odd-"), "{tag}");
            assert!(said.contains(reason), "{reason:?} is not in {said:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// What is under the tag of `odd` is found out to be bad for this reason.
#[track_caller]
fn is_bad(reason: &str, put_odd: impl FnOnce(&TestRegistry, &dyn Repository, &TagName)) {
    let registry = TestRegistry::start();
    let repository = open(&registry.url("cache"));
    put_odd(&registry, &*repository, &tag("odd"));
    assert_reported(&update(&registry, &*repository), reason);
}

/// A package of this config.
fn put_config(repository: &dyn Repository, tag: &TagName, config: &[u8]) {
    let config = BlobSource::bytes(config.to_vec());
    put_package(repository, "good");
    let _ = repository.put_blob(&config).unwrap();
    let manifest = manifest(&config);
    repository.put_manifest(tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

#[test]
fn an_image_index() {
    is_bad("image index", |_, repository, tag| {
        put_package(repository, "good");
        let good = repository.resolve(&self::tag("good")).unwrap().unwrap();
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [good]});
        repository.put_manifest(tag, media_type::OCI_INDEX, index.to_string().as_bytes()).unwrap();
    });
}

#[test]
fn a_config_without_a_spec() {
    is_bad("no spec", |_, repository, tag| {
        put_config(
            repository,
            tag,
            br#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}"#,
        );
    });
}

#[test]
fn a_spec_that_is_none() {
    for (spec, reason) in [
        (json!(7), "spec.json"),
        (json!({"nodes": []}), "_meta"),
        (json!({"_meta": {"version": 5}, "nodes": []}), "no nodes"),
        (json!({"_meta": {"version": 5}, "nodes": [{"name": "odd"}]}), "version"),
        (json!({"_meta": {"version": 99}, "nodes": [node("odd", &[])]}), "version 99"),
        (spec(&[node("odd", &["gone"])]), "missing"),
        (spec(&[node("odd", &["odd"])]), "itself"),
        // Spack would refuse an index with one of these.
        (spec(&[changed("dependencies", json!([{"name": "good", "hash": hash("good")}]))]), "parameters"),
        (spec(&[changed("compiler", json!({"name": "gcc", "version": "12"}))]), "compiler"),
        (spec(&[as_list()]), "not an object"),
        (json!({"_meta": {"version": 4}, "nodes": [as_list()]}), ""),
    ] {
        is_bad(reason, |_, repository, tag| put_config(repository, tag, &config(&spec)));
    }
}

/// The node of `odd`, never annotated, with another value for a key.
fn changed(key: &str, value: Value) -> Value {
    let mut node = node("odd", &[]);
    let keys = node.as_object_mut().unwrap();
    keys.remove("annotations");
    keys.insert(key.to_owned(), value);
    node
}

/// The node of `odd` as a list, which a lenient reader takes for an object without keys.
fn as_list() -> Value {
    let arch = node("odd", &[])["arch"].clone();
    json!(["odd", "1.0", arch, "test", {}, null, [], null, null, [], null, null, hash("odd")])
}

#[test]
fn a_page_for_people_instead_of_a_config_or_a_manifest() {
    is_bad("", |_, repository, tag| put_config(repository, tag, b"<!DOCTYPE html><html>Sign in</html>"));

    // A proxy that shows such a page says nothing of the package: it may be a good one.
    let registry = TestRegistry::start();
    let repository = open(&registry.url("cache"));
    put_package(&*repository, "odd");
    let path = format!("/manifests/{}", tag("odd"));
    registry.faults().add(move |entry| entry.is("GET", &path).then(|| Fault::Answer(Answer::page(200))));
    let summary = update(&registry, &*repository);
    assert!(summary.bad_tags[0].temporary && summary.bad_tags[0].reason.contains("HTML"), "{summary:?}");
}

#[test]
fn json_of_something_else() {
    is_bad("", |_, repository, tag| put_config(repository, tag, b"[1, 2, 3]"));
    is_bad("", |registry, repository, tag| {
        put_package(repository, "odd");
        let path = format!("/manifests/{tag}");
        let answer = Answer::status(200)
            .header("Content-Type", media_type::OCI_MANIFEST)
            .body(r#"{"hello": "world"}"#);
        registry.faults().add(move |entry| entry.is("GET", &path).then(|| Fault::Answer(answer.clone())));
    });
}

#[test]
fn a_config_that_is_not_there() {
    is_bad("", |registry, repository, tag| {
        put_package(repository, "odd");
        let ManifestRef::Tag(tag) = ManifestRef::Tag(tag.clone()) else { unreachable!() };
        let raw = repository.manifest(&tag.into()).unwrap().unwrap();
        let digest = raw.parse().unwrap().config.digest;
        std::fs::remove_file(registry.directory().join("cache/blobs/sha256").join(digest.hex())).unwrap();
    });
}

#[test]
fn a_manifest_without_layers() {
    is_bad("no layer", |_, repository, tag| {
        let config = BlobSource::bytes(config(&spec(&[node("odd", &[])])));
        let _ = repository.put_blob(&config).unwrap();
        let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), Vec::new());
        repository.put_manifest(tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
    });
}

#[test]
fn the_tag_of_another_package() {
    is_bad("holds strange@1.0", |_, repository, tag| {
        put(repository, tag, &spec(&[node("strange", &[])]));
    });
    is_bad("holds odd@1.0", |_, repository, _| {
        put(repository, &"odd-one-out.spack".parse().unwrap(), &spec(&[node("odd", &[])]));
    });
}

#[test]
fn a_tag_that_cannot_be_asked_for() {
    let registry = TestRegistry::start();
    let repository = open(&registry.url("cache"));
    put_package(&*repository, "good");
    let long = format!("odd-{}-{}.spack", "1".repeat(200), hash("odd"));
    let body = json!({"name": "cache", "tags": [long, tag("good").as_str()]}).to_string();
    registry.faults().add(move |entry| {
        let answer = || Answer::status(200).header("Content-Type", "application/json").body(body.clone());
        entry.is("GET", "/tags/list").then(|| Fault::Answer(answer()))
    });
    assert_reported(&update(&registry, &*repository), "is not a tag");
}

#[test]
fn a_tag_that_gives_no_answer_this_time() {
    let registry = TestRegistry::start();
    let repository = open(&registry.url("cache"));
    put_package(&*repository, "odd");
    let path = format!("/manifests/{}", tag("odd"));
    registry.faults().add(move |entry| {
        entry.is("GET", &path).then(|| Fault::Answer(Answer::error(403, "DENIED", "not you")))
    });
    let summary = update(&registry, &*repository);
    assert!(summary.bad_tags[0].temporary && summary.trouble.is_some(), "{summary:?}");

    // Once it answers it is in the index, and stays there when it does not.
    registry.faults().clear();
    let repository = open(&registry.url("cache"));
    let summary = index::update(&*repository, &Silent).unwrap();
    assert_eq!((summary.packages, summary.added, summary.bad_tags.len()), (2, 1, 0));
    let path = format!("/manifests/{}", tag("odd"));
    registry.faults().add(move |entry| {
        entry.is("GET", &path).then(|| Fault::Answer(Answer::error(403, "DENIED", "not you")))
    });
    put_package(&*repository, "more");
    let summary = index::update(&*open(&registry.url("cache")), &Silent).unwrap();
    assert_eq!((summary.packages, summary.dropped, summary.bad_tags.len()), (3, 0, 0));
}

#[test]
fn a_registry_that_gives_no_answer_at_all() {
    let registry = TestRegistry::start();
    let repository = open(&registry.url("cache"));
    for number in 0..100 {
        put_package(&*repository, &format!("p{number}"));
    }
    registry.log().clear();
    registry.faults().add(|entry| {
        let asks = entry.is("GET", "/manifests/p");
        asks.then(|| Fault::Answer(Answer::error(403, "DENIED", "not you")))
    });
    let error = index::update(&*open(&registry.url("cache")), &Silent).unwrap_err();
    assert!(error.to_string().contains("not you"), "{error}");
    assert!(registry.log().count("GET", "/manifests/p") < 60, "it goes on asking");
    assert_eq!(registry.log().count("PUT", "/manifests/"), 0);
}

fn put_index(repository: &dyn Repository, json: String) {
    let (index, config) = (BlobSource::bytes(json.into_bytes()), BlobSource::bytes(b"{ }".to_vec()));
    let _ = (repository.put_blob(&index).unwrap(), repository.put_blob(&config).unwrap());
    let layers = vec![index.descriptor(media_type::OCI_LAYER_GZIP)];
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers);
    let tag = "index.spack".parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

#[test]
fn an_index_that_is_none_is_replaced() {
    for foreign in [
        json!({"database": {"version": "9", "installs": {}}}).to_string(),
        json!({"database": {"version": "7", "installs": {}}}).to_string(),
        "<html>".to_owned(),
        // A record that lacks what it needs, and one that makes no sense.
        json!({"database": {"version": "8", "installs": {
            hash("good"): {"spec": node("good", &["shared"]), "in_buildcache": true, "ref_count": 0},
            hash("more"): {"spec": 7, "in_buildcache": true},
        }}})
        .to_string(),
    ] {
        let registry = TestRegistry::start();
        let repository = open(&registry.url("cache"));
        put_package(&*repository, "good");
        put_package(&*repository, "more");
        put_index(&*repository, foreign);
        let summary = index::update(&*open(&registry.url("cache")), &Silent).unwrap();
        assert_eq!((summary.packages, summary.written, summary.bad_tags.len()), (2, true, 0));
        assert_eq!(in_index(&*repository), ["good", "more"]);
    }
}

#[test]
fn an_index_with_a_record_twice_is_counted_once() {
    let scratch = tempfile::tempdir().unwrap();
    let repository = open(&format!("oci+file://{}/cache", scratch.path().display()));
    put_package(&*repository, "good");
    let record = json!({"spec": node("good", &[]), "ref_count": 0, "in_buildcache": true});
    let record = format!("\"{}\":{record}", hash("good"));
    put_index(
        &*repository,
        format!("{{\"database\":{{\"version\":\"8\",\"installs\":{{{record},{record}}}}}}}"),
    );
    let summary = index::update(&*repository, &Silent).unwrap();
    assert_eq!((summary.packages, summary.added, summary.dropped), (1, 0, 0));
}

#[test]
fn specs_of_before_spack_1_are_written_as_spack_writes_them() {
    let scratch = tempfile::tempdir().unwrap();
    let repository = open(&format!("oci+file://{}/cache", scratch.path().display()));
    let mut old = node("old", &[]);
    old.as_object_mut().unwrap().remove("annotations");
    old["compiler"] = json!({"name": "gcc", "version": "12.2.0"});
    put(&*repository, &tag("old"), &json!({"_meta": {"version": 4}, "nodes": [old]}));
    assert_eq!(index::update(&*repository, &Silent).unwrap().packages, 1);
    let (index, _) = index::read(&*repository).unwrap().unwrap();
    let json = index.records.values().next().unwrap().node.json().to_owned();
    assert!(
        json.contains(r#""annotations":{"original_specfile_version":4,"compiler":"gcc@=12.2.0"}"#),
        "{json}"
    );
    assert!(!json.contains(r#""compiler":{"#), "{json}");
}
