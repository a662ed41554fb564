//! What strata pushes, against what real Spack pushed from the same store.

use crate::support::{Ran, World, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use strata_oci::{ManifestRef, Repository, RepositoryUrl, blob_bytes, image_config, image_manifest};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;

/// The golden configs and manifests of packages that `store` has, by tag.
fn golden_packages(world: &World, store: &Path) -> BTreeMap<String, (String, String)> {
    let installed = world.run(["--json", "--store", text(store), "find"]).json();
    let hashes: Vec<&str> = installed["result"]["specs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["hash"].as_str().unwrap())
        .collect();
    let tags: Vec<String> =
        serde_json::from_str(&golden::text(&golden::dir().join("push/tags.json"))).unwrap();
    let file = |kind: &str, tag: &str| golden::text(&golden::dir().join(format!("push/{kind}/{tag}.json")));
    tags.into_iter()
        .filter(|tag| tag != "index.spack" && hashes.iter().any(|h| tag.ends_with(&format!("-{h}.spack"))))
        .map(|tag| (tag.clone(), (file("configs", &tag), file("manifests", &tag))))
        .collect()
}

/// Compares a cache that strata filled with the golden data, as far as compressors and clocks do not matter.
fn compare(repository: &dyn Repository, golden: &BTreeMap<String, (String, String)>) {
    let mut tags = repository.tags().unwrap();
    tags.retain(|tag| tag != "index.spack");
    assert_eq!(tags, golden.keys().cloned().collect::<Vec<_>>());
    for (tag, (config, manifest)) in golden {
        let reference = ManifestRef::Tag(tag.parse().unwrap());
        let (_, ours) = image_manifest(repository, &reference).unwrap().unwrap();
        let our_config = image_config(repository, &ours).unwrap();
        let (config, manifest): (Value, Value) =
            (serde_json::from_str(config).unwrap(), serde_json::from_str(manifest).unwrap());
        let diff_ids: Vec<String> = our_config.root_fs.diff_ids.iter().map(ToString::to_string).collect();
        assert_eq!(
            serde_json::to_value(diff_ids).unwrap(),
            config["rootfs"]["diff_ids"],
            "{tag}: order of layers"
        );
        assert_eq!(ours.layers.len(), our_config.root_fs.diff_ids.len(), "{tag}");
        assert_eq!(our_config.architecture, config["architecture"], "{tag}");
        assert_eq!(our_config.os, config["os"], "{tag}");
        assert_eq!(serde_json::to_value(&ours.annotations).unwrap(), manifest["annotations"], "{tag}");
        assert_eq!(ours.media_type, manifest["mediaType"], "{tag}");
        // Key order is part of the comparison: the texts are equal, not only the values.
        assert_eq!(our_config.extra.get("spec").unwrap().get(), config["spec"].to_string(), "{tag}: spec");
        let keys: Vec<&str> = our_config.extra.iter().map(|(key, _)| key).collect();
        let golden_keys: Vec<&str> = config.as_object().unwrap().keys().skip(4).map(String::as_str).collect();
        assert_eq!(keys, golden_keys, "{tag}: keys beside the image config");
        let checksum: Value =
            serde_json::from_str(our_config.extra.get("binary_cache_checksum").unwrap().get()).unwrap();
        let own = ours.layers.last().unwrap();
        assert_eq!(checksum["hash"], own.digest.hex(), "{tag}");
        assert_eq!(our_config.extra.get("archive_size").unwrap().get(), own.size.to_string(), "{tag}");
    }
}

/// Compares the index with the golden one, byte for byte, if the golden one is about the same packages.
fn compare_index(repository: &dyn Repository, golden: &BTreeMap<String, (String, String)>) {
    let text = golden::text(&golden::dir().join("push/index.json"));
    let index: Value = serde_json::from_str(&text).unwrap();
    let installs = index["database"]["installs"].as_object().unwrap();
    let in_golden = installs.values().filter(|r| r["in_buildcache"] == true).count();
    if in_golden != golden.len() {
        return golden::skipped("index", "golden/push/index.json is about other packages than this store");
    }
    let reference = ManifestRef::Tag("index.spack".parse().unwrap());
    let (_, manifest) = image_manifest(repository, &reference).unwrap().unwrap();
    let ours = blob_bytes(repository, &manifest.layers[0], 1 << 30).unwrap();
    assert_eq!(String::from_utf8(ours).unwrap(), text);
    assert_eq!(blob_bytes(repository, &manifest.config, 10).unwrap(), b"{}");
    assert!(manifest.annotations.is_empty());
}

fn push(world: &World, store: &Path, url: &str, jobs: &str) -> Ran {
    world.run(["--json", "--store", text(store), "buildcache", "push", "--update-index", "-j", jobs, url])
}

#[test]
fn a_cache_is_the_one_spack_makes() {
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped("a_cache_is_the_one_spack_makes", "STRATA_STORES is not set");
    }
    for store in stores {
        let world = World::new();
        let golden = golden_packages(&world, &store);
        if golden.is_empty() {
            golden::skipped("a_cache_is_the_one_spack_makes", "golden/push is not about this store");
            continue;
        }
        let mut digests = Vec::new();
        for jobs in ["1", "3"] {
            let url = world.layout(&format!("cache-{jobs}"));
            let ran = push(&world, &store, &url, jobs);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            let parsed: RepositoryUrl = url.parse().unwrap();
            let repository = strata_oci::open(&parsed).unwrap();
            compare(&*repository, &golden);
            compare_index(&*repository, &golden);
            digests.push(ran.json()["result"]["push"]["pushed"].clone());
        }
        assert_eq!(digests[0], digests[1], "the bytes do not depend on the number of threads");

        // A second push has nothing to do, and says so.
        let again = push(&world, &store, &world.layout("cache-1"), "2").json();
        assert_eq!(again["result"]["push"]["pushed"].as_array().unwrap().len(), 0);
        assert_eq!(again["result"]["push"]["present"].as_array().unwrap().len(), golden.len());
        assert_eq!(again["result"]["index"]["written"], false);

        let Some(registry) = DockerRegistry::start() else {
            golden::skipped("a_cache_is_the_one_spack_makes", "there is no docker-registry");
            continue;
        };
        let url = registry.url("a/cache");
        let ran = push(&world, &store, &url, "2");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let parsed: RepositoryUrl = url.parse().unwrap();
        let repository = strata_oci::open(&parsed).unwrap();
        compare(&*repository, &golden);
        compare_index(&*repository, &golden);
        assert_eq!(
            ran.json()["result"]["push"]["pushed"],
            digests[0],
            "the same layers in both kinds of cache"
        );
    }
}
