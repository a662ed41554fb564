//! What strata pushes, against what real Spack pushed from the same store.

use crate::support::{Ran, World, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use strata_oci::{ManifestRef, Repository, RepositoryUrl, blob_bytes, image_config, image_manifest};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;

/// Config and manifest of each package, by tag.
type Packages = BTreeMap<String, (String, String)>;

/// What a push without specs would push, by tag, and whether that is all that is recorded as installed.
fn whole_store(world: &World, store: &Path) -> (BTreeSet<String>, bool) {
    let url = world.layout("never-made");
    let plan = world.run(["--json", "--store", text(store), "buildcache", "push", "-n", &url]).json();
    let to_push = plan["result"]["to_push"].as_array().unwrap();
    let tags = to_push.iter().map(|package| package["tag"].as_str().unwrap().to_owned()).collect();
    (tags, plan["ok"] == true)
}

/// The golden configs and manifests of packages that `store` has.
fn golden_packages(world: &World, store: &Path) -> Packages {
    let installed = world.run(["--json", "--store", text(store), "find"]).json();
    let hashes: Vec<&str> = installed["result"]["specs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|spec| Path::new(spec["prefix"].as_str().unwrap()).is_dir())
        .map(|spec| spec["hash"].as_str().unwrap())
        .collect();
    let tags: Vec<String> = golden::file("push/tags.json")
        .map(|path| serde_json::from_str(&golden::text(&path)).unwrap())
        .unwrap_or_default();
    let file = |kind: &str, tag: &str| golden::text(&golden::dir().join(format!("push/{kind}/{tag}.json")));
    tags.into_iter()
        .filter(|tag| hashes.iter().any(|h| tag.ends_with(&format!("-{h}.spack"))))
        .map(|tag| (tag.clone(), (file("configs", &tag), file("manifests", &tag))))
        .collect()
}

/// The specs to name so that all of `golden` is pushed: none if a push without specs, of `tags`, does.
fn to_name(golden: &Packages, tags: &BTreeSet<String>) -> Vec<String> {
    if golden.keys().all(|tag| tags.contains(tag)) {
        return Vec::new();
    }
    golden::skipped("pushing without naming specs", "golden/push has more than the explicit specs");
    golden.keys().map(|tag| format!("/{}", hash(tag))).collect()
}

fn hash(tag: &str) -> &str {
    tag.strip_suffix(".spack").and_then(|name| name.rsplit('-').next()).unwrap()
}

/// Compares a cache that strata filled with the golden data, as far as compressors and clocks do not matter.
fn compare(repository: &dyn Repository, golden: &Packages) {
    let tags = repository.tags().unwrap();
    for tag in golden.keys() {
        assert!(tags.contains(tag), "{tag} was not pushed");
    }
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
fn compare_index(repository: &dyn Repository, tags: &BTreeSet<String>) {
    let Some(path) = golden::file("push/index.json") else {
        return golden::skipped("index", "no push/index.json in the golden data");
    };
    let text = golden::text(&path);
    let index: Value = serde_json::from_str(&text).unwrap();
    let installs = index["database"]["installs"].as_object().unwrap();
    let in_golden: BTreeSet<&str> = installs
        .iter()
        .filter(|(_, record)| record["in_buildcache"] == true)
        .map(|(hash, _)| hash.as_str())
        .collect();
    let ours: BTreeSet<&str> = tags.iter().map(|tag| hash(tag)).collect();
    if ours != in_golden {
        return golden::skipped("index", "golden/push/index.json is about other packages than this store");
    }
    let reference = ManifestRef::Tag("index.spack".parse().unwrap());
    let (_, manifest) = image_manifest(repository, &reference).unwrap().unwrap();
    let ours = blob_bytes(repository, &manifest.layers[0], 1 << 30).unwrap();
    assert_eq!(String::from_utf8(ours).unwrap(), text);
    assert_eq!(blob_bytes(repository, &manifest.config, 10).unwrap(), b"{}");
    assert!(manifest.annotations.is_empty());
}

fn push(world: &World, store: &Path, url: &str, jobs: &str, specs: &[String]) -> Ran {
    let fixed = ["--json", "--store", text(store), "buildcache", "push", "--update-index", "-j", jobs, url];
    world.run(fixed.into_iter().chain(specs.iter().map(String::as_str)))
}

/// The roots of `golden/push/configs/devenv.json`, in order.
const ENVIRONMENT: [&str; 5] = ["python", "libxml2", "zstd", "curl", "vim"];

/// Tags an image of several roots, and compares it with the one that Spack made of them.
fn compare_environment(world: &World, store: &Path, url: &str, repository: &dyn Repository) {
    let Some(path) = golden::file("push/configs/devenv.json") else {
        return golden::skipped("environment", "no push/configs/devenv.json in the golden data");
    };
    let config: Value = serde_json::from_str(&golden::text(&path)).unwrap();
    let fixed = ["--store", text(store), "buildcache", "push", "--tag", "devenv", url];
    world.ok(fixed.iter().chain(&ENVIRONMENT));
    let reference = ManifestRef::Tag("devenv".parse().unwrap());
    let (_, manifest) = image_manifest(repository, &reference).unwrap().unwrap();
    let ours = image_config(repository, &manifest).unwrap();
    let diff_ids: Vec<String> = ours.root_fs.diff_ids.iter().map(ToString::to_string).collect();
    assert_eq!(serde_json::to_value(diff_ids).unwrap(), config["rootfs"]["diff_ids"]);
    // Directories of externals are in it as far as this machine has them.
    let is_here = |path: &&str| !path.starts_with("/usr/") || Path::new(path).is_dir();
    let here = |entry: &Value| {
        let (name, value) = entry.as_str().unwrap().split_once('=').unwrap();
        format!("{name}={}", value.split(':').filter(is_here).collect::<Vec<_>>().join(":"))
    };
    let expected: Vec<String> = config["config"]["Env"].as_array().unwrap().iter().map(here).collect();
    assert_eq!(ours.config.env, expected);
}

fn leave_out_incomplete(pushed: &Value, golden: &mut Packages) {
    for package in pushed.as_array().unwrap() {
        if package["missing_layers"].as_array().is_some_and(|missing| !missing.is_empty()) {
            let tag = package["tag"].as_str().unwrap();
            golden.remove(tag);
            golden::skipped(tag, "some of what it needs is not on disk in this store");
        }
    }
}

#[test]
fn a_cache_is_the_one_spack_makes() {
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped("a_cache_is_the_one_spack_makes", "STRATA_STORES is not set");
    }
    for store in stores {
        let world = World::new();
        let (mut tags, is_complete) = whole_store(&world, &store);
        let mut golden = golden_packages(&world, &store);
        let specs = to_name(&golden, &tags);
        if golden.is_empty() {
            golden::skipped("a_cache_is_the_one_spack_makes", "golden/push is not about this store");
            continue;
        }
        let mut digests = Vec::new();
        for jobs in ["1", "3"] {
            let url = world.layout(&format!("cache-{jobs}"));
            let ran = push(&world, &store, &url, jobs, &specs);
            if is_complete {
                assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            } else {
                // Where prefixes are not on disk, what needs them has fewer layers than Spack's.
                leave_out_incomplete(&ran.json()["result"]["push"]["pushed"], &mut golden);
            }
            let parsed: RepositoryUrl = url.parse().unwrap();
            let repository = strata_oci::open(&parsed, &strata_oci::Transport::default(), None).unwrap();
            compare(&*repository, &golden);
            tags = repository.tags().unwrap().into_iter().filter(|tag| tag != "index.spack").collect();
            compare_index(&*repository, &tags);
            digests.push(ran.json()["result"]["push"]["pushed"].clone());
        }
        assert_eq!(digests[0], digests[1], "the bytes do not depend on the number of threads");

        // A second push has nothing to do, and says so.
        let again = push(&world, &store, &world.layout("cache-1"), "2", &specs).json();
        assert_eq!(again["result"]["push"]["pushed"].as_array().unwrap().len(), 0);
        assert_eq!(again["result"]["push"]["present"].as_array().unwrap().len(), tags.len());
        assert_eq!(again["result"]["index"]["written"], false);

        if is_complete {
            let url = world.layout("cache-1");
            let repository =
                strata_oci::open(&url.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap();
            compare_environment(&world, &store, &url, &*repository);
        } else {
            golden::skipped("environment", "some of the packages are not on disk in this store");
        }

        let Some(registry) = DockerRegistry::start() else {
            golden::skipped("a_cache_is_the_one_spack_makes", "there is no docker-registry");
            continue;
        };
        let url = registry.url("a/cache");
        let ran = push(&world, &store, &url, "2", &specs);
        assert!(!is_complete || ran.code == Some(0), "{}", ran.stderr);
        let parsed: RepositoryUrl = url.parse().unwrap();
        let repository = strata_oci::open(&parsed, &strata_oci::Transport::default(), None).unwrap();
        compare(&*repository, &golden);
        compare_index(&*repository, &tags);
        assert_eq!(
            ran.json()["result"]["push"]["pushed"],
            digests[0],
            "the same layers in both kinds of cache"
        );
    }
}
