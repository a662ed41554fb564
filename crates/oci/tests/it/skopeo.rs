//! skopeo reads what we write, and we read what it writes.

use std::path::Path;
use std::process::Command;

use strata_oci::{
    Descriptor, Digest, ImageIndex, ImageReference, LayoutRepository, Platform, RemoteRepository, Repository,
    RepositoryUrl, Transport, blob_bytes, image_for, image_manifest, media_type,
};
use strata_testkit::docker_registry::{DockerRegistry, find_program};
use strata_testkit::golden::skipped;

use crate::image::{Image, name};

/// Runs skopeo; its standard output.
fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A registry for a test that wants skopeo, too; none, with the reason told, without either.
fn peers(test: &str) -> Option<DockerRegistry> {
    let registry = find_program("skopeo").and_then(|_| DockerRegistry::start());
    if registry.is_none() {
        skipped(test, "skopeo or docker-registry is not installed");
    }
    registry
}

fn layout(directory: &Path) -> LayoutRepository {
    LayoutRepository::open_or_create(&RepositoryUrl::from_directory(directory).unwrap()).unwrap()
}

fn check(repository: &dyn Repository, tag: &str, image: &Image) {
    let (digest, manifest) = image_manifest(repository, &name(tag).into()).unwrap().expect("it was copied");
    assert_eq!(digest, image.digest());
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        assert_eq!(Digest::of(&blob_bytes(repository, blob, 1 << 20).unwrap()), blob.digest);
    }
}

#[test]
fn skopeo_inspects_a_layout() {
    if find_program("skopeo").is_none() {
        return skipped("skopeo::skopeo_inspects_a_layout", "skopeo is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let repository = layout(&cache);
    let image = Image::new("inspected");
    image.put(&repository, "a-1.0-hash.spack");
    Image::new("another").put(&repository, "b");
    let answer = skopeo(&["inspect", &format!("oci:{}:a-1.0-hash.spack", cache.display())]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Digest"], image.digest().to_string());
    assert_eq!(answer["Architecture"], "amd64");
    assert_eq!(answer["Layers"], serde_json::json!([image.layer.digest]));
}

#[test]
fn skopeo_copies_between_layouts_and_a_registry() {
    const TEST: &str = "skopeo::skopeo_copies_between_layouts_and_a_registry";
    let Some(registry) = peers(TEST) else { return };
    let directory = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| directory.path().join(name));
    let image = Image::new("travelling");
    image.put(&layout(&ours), "start");

    // Our layout, to the registry, read over HTTP.
    let there = format!("docker://127.0.0.1:{}/some/cache:there", registry.port());
    skopeo(&["copy", "--dest-tls-verify=false", &format!("oci:{}:start", ours.display()), &there]);
    let remote =
        RemoteRepository::open(&registry.url("some/cache").parse().unwrap(), &Transport::default(), None)
            .unwrap();
    check(&remote, "there", &image);

    // What we put over HTTP, into a layout that skopeo makes, and into ours.
    let second = Image::new("travelling back");
    second.put(&remote, "back");
    let back = format!("docker://127.0.0.1:{}/some/cache:back", registry.port());
    for layout_directory in [&theirs, &ours] {
        let target = format!("oci:{}:back", layout_directory.display());
        skopeo(&["copy", "--src-tls-verify=false", &back, &target]);
        let repository = layout(layout_directory);
        check(&repository, "back", &second);
        // And we go on writing where skopeo wrote.
        let third = Image::new("third");
        third.put(&repository, "third");
        check(&repository, "third", &third);
        check(&repository, "back", &second);
    }
    check(&layout(&ours), "start", &image);
    skopeo(&["inspect", &format!("oci:{}:third", theirs.display())]);
}

#[test]
fn skopeo_copies_all_images_of_an_index() {
    const TEST: &str = "skopeo::skopeo_copies_all_images_of_an_index";
    let Some(registry) = peers(TEST) else { return };
    let directory = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| directory.path().join(name));
    let repository = layout(&ours);
    let image = Image::new("of an index");
    let _ = repository.put_blob(&image.layer).unwrap();
    let _ = repository.put_blob(&image.config).unwrap();
    let as_everybody: &dyn Repository = &repository;
    as_everybody.put_manifest_untagged(media_type::OCI_MANIFEST, &image.manifest).unwrap();
    let mut index = ImageIndex::default();
    for variant in [None, Some("v3")] {
        let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &image.manifest);
        let platform = serde_json::json!({"architecture": "amd64", "os": "linux", "variant": variant});
        entry.extra.set("platform", &platform).unwrap();
        index.manifests.push(entry);
    }
    repository.put_manifest(&name("all"), media_type::OCI_INDEX, &index.to_bytes().unwrap()).unwrap();
    assert_eq!(repository.entries().unwrap().len(), 1, "the index alone");

    let there = format!("docker://127.0.0.1:{}/some/cache:there", registry.port());
    let from_ours = format!("oci:{}:all", ours.display());
    skopeo(&["copy", "--all", "--dest-tls-verify=false", &from_ours, &there]);
    skopeo(&["copy", "--all", "--src-tls-verify=false", &there, &format!("oci:{}:there", theirs.display())]);
    // Docker's types, as skopeo makes them of ours.
    let docker = format!("docker://127.0.0.1:{}/some/cache:docker", registry.port());
    skopeo(&["copy", "--all", "--format=v2s2", "--dest-tls-verify=false", &from_ours, &docker]);
    let remote = |tag: &str| format!("{}:{tag}", registry.url("some/cache"));
    let local = |directory: &Path, tag: &str| format!("oci+file://{}:{tag}", directory.display());
    for reference in [local(&ours, "all"), remote("there"), local(&theirs, "there"), remote("docker")] {
        let reference: ImageReference = reference.parse().unwrap();
        let repository = strata_oci::open(reference.repository(), &Transport::default(), None).unwrap();
        let found = image_for(&*repository, &reference, Some(&Platform::linux("amd64"))).unwrap();
        let is_docker = found.manifest.media_type == media_type::DOCKER_MANIFEST;
        assert_eq!(is_docker, reference.to_string().ends_with(":docker"), "{}", found.manifest.media_type);
        assert_eq!(found.digest == image.digest(), !is_docker);
        assert_eq!(found.manifest.layers[0].digest, image.layer.digest);
        assert_eq!(found.config.extra.get("comment").unwrap().get(), "\"of an index\"");
        assert!(image_for(&*repository, &reference, Some(&Platform::linux("arm64"))).is_err());
    }
}
