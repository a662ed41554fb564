//! skopeo reads what we write, and we read what it writes.

use std::path::Path;
use std::process::Command;

use strata_oci::{
    Digest, LayoutRepository, RemoteRepository, Repository, RepositoryUrl, Transport, blob_bytes,
    image_manifest,
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
    if find_program("skopeo").is_none() {
        return skipped(TEST, "skopeo is not installed");
    }
    let Some(registry) = DockerRegistry::start() else {
        return skipped(TEST, "docker-registry is not installed");
    };
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
