//! `buildcache list`, `check`, `check-index`, `download`, and the index that a push leaves behind.

use crate::support::exit_code::{CORRUPT, DISK, NOT_FOUND, SOME_FAILED, UNREACHABLE};
use crate::support::{World, text};
use serde_json::{Value, json};
use std::path::PathBuf;
use strata_oci::{ManifestRef, Repository, image_manifest};
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;

fn open(url: &str) -> Box<dyn Repository> {
    strata_oci::open(&url.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap()
}

/// The file of a package's layer or config in a layout.
fn blob(world: &World, cache: &str, package: &str, is_layer: bool) -> PathBuf {
    let repository = open(&world.layout(cache));
    let tags = repository.tags().unwrap();
    let tag = tags.iter().find(|tag| tag.starts_with(&format!("{package}-"))).unwrap();
    let (_, manifest) =
        image_manifest(&*repository, &ManifestRef::Tag(tag.parse().unwrap())).unwrap().unwrap();
    let digest = if is_layer { manifest.layers.last().unwrap().digest } else { manifest.config.digest };
    world.path(cache).join("blobs/sha256").join(digest.hex())
}

/// Puts another index in the place of a cache's own.
fn rewrite_index(world: &World, cache: &str, change: impl FnOnce(&mut Value)) {
    let repository = open(&world.layout(cache));
    let tag = "index.spack".parse().unwrap();
    let (_, mut manifest) = image_manifest(&*repository, &ManifestRef::Tag(tag)).unwrap().unwrap();
    let file = world.path(cache).join("blobs/sha256").join(manifest.layers[0].digest.hex());
    let mut index: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut index);
    let changed = strata_oci::BlobSource::bytes(index.to_string().into_bytes());
    let _ = repository.put_blob(&changed).unwrap();
    manifest.layers = vec![changed.descriptor(strata_oci::media_type::OCI_LAYER_GZIP)];
    let tag = "index.spack".parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

#[test]
fn a_push_leaves_the_index_up_to_date_unless_told_not_to() {
    let world = World::new();
    let store = world.sample_store();
    let (root, cache) = (text(&store.unpadded_root), world.layout("cache"));
    let push = |arguments: &[&str]| {
        let fixed = ["--json", "--store", root, "buildcache", "push", &cache];
        world.run([&fixed[..], arguments].concat()).json()["result"].clone()
    };
    let verify = || world.run(["buildcache", "check-index", &cache, "--verify", "all"]).code;
    assert_eq!(push(&["greet"])["index"]["packages"], 1);
    assert_eq!(verify(), Some(0));
    assert_eq!(push(&["runner", "--no-update-index"])["index"], Value::Null);
    let ran = world.run(["--json", "buildcache", "check-index", &cache]);
    assert_eq!(ran.code, Some(SOME_FAILED), "{}", ran.stderr);
    assert_eq!(ran.json()["result"]["manifests"]["unindexed"].as_array().unwrap().len(), 1);
    // What was left out before is taken in, too.
    let index = push(&["hello"])["index"].clone();
    assert_eq!((&index["packages"], &index["added"]), (&json!(3), &json!(2)));
    assert_eq!(verify(), Some(0));
    assert_eq!(push(&[])["index"]["written"], false);
}

#[test]
fn a_push_whose_index_cannot_be_written_has_pushed() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    registry.faults().add(|entry| {
        let is_index = entry.is("PUT", "/manifests/index.spack");
        is_index.then(|| Fault::Answer(Answer::error(403, "DENIED", "the index is not yours")))
    });
    let url = registry.url("cache");
    let push = ["--json", "--store", text(&store.unpadded_root), "buildcache", "push", &url];
    let ran = world.run(push);
    ran.fails(SOME_FAILED, &["the index is not yours", "strata buildcache update-index"]);
    assert_eq!(ran.json()["result"]["push"]["pushed"].as_array().unwrap().len(), 3);
    assert_eq!(ran.json()["result"]["index"], Value::Null);
}

#[test]
fn what_does_not_run_here_is_listed_with_the_reason() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let list = |arguments: &[&str]| world.run([&["buildcache", "list", "-m", &cache], arguments].concat());
    let hello = &store.package("hello").hash;
    assert_eq!(list(&["hello"]).stdout, "hello@2.1\n");
    assert_eq!(list(&["-l", "hello"]).stdout, format!("{} hello@2.1\n", &hello[..7]));
    assert_eq!(list(&["-L", "-N", "hello"]).stdout, format!("{hello} sample.hello@2.1\n"));
    assert!(list(&["--variants", "hello"]).stdout.contains("hello@=2.1 build_system=generic"));
    assert_eq!(list(&["-v", "hello"]).stdout, list(&["--variants", "hello"]).stdout);
    assert_eq!(list(&["^greet"]).stdout, "hello@2.1\n");
    list(&["hello@3"]).fails(NOT_FOUND, &["hello@3", "version 2.1, asked for @3", "hint: "]);
    let some = list(&["hello", "nothing"]);
    assert_eq!((some.code, &*some.stdout), (Some(0), "hello@2.1\n"));
    assert!(some.stderr.contains("warning: no spec matches `nothing` in "), "{}", some.stderr);

    // The same package for a platform that this machine is not.
    rewrite_index(&world, "cache", |index| {
        index["database"]["installs"][hello]["spec"]["arch"]["platform"] = json!("plan9");
    });
    let fit = list(&[]);
    assert_eq!((fit.code, &*fit.stdout), (Some(0), "greet@1.0\nrunner@0.3\n"));
    assert!(
        fit.stderr.contains("1 more do not run on this machine") && fit.stderr.contains("plan9"),
        "{}",
        fit.stderr
    );
    list(&["hello"]).fails(NOT_FOUND, &["1 binary", "plan9", "--all"]);
    for option in ["-a", "--all", "--allarch"] {
        let all = list(&[option, "hello"]);
        assert!(all.stdout.starts_with("hello@2.1  (") && all.stdout.contains("plan9"), "{}", all.stdout);
    }
    let rows = world.run(["--json", "buildcache", "list", "-a", "-m", &cache]).json()["result"].clone();
    let hello = rows["specs"].as_array().unwrap().iter().find(|row| row["name"] == "hello").unwrap();
    assert_eq!(hello["runs_here"], false);
    assert!(hello["hidden"].as_str().unwrap().contains("plan9"));
    assert_eq!(rows["specs"][0]["hidden"], Value::Null);
    // Its hash says that the index is wrong.
    world.run(["buildcache", "check-index", &cache, "--verify", "hashes"]).fails(CORRUPT, &["hello@2.1"]);
}

#[test]
fn hashes_that_cannot_be_computed_are_counted() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let check_index = |what| world.run(["--json", "buildcache", "check-index", &cache, "--verify", what]);
    let specs = check_index("hashes").json()["result"]["hashes"]["right"].as_u64().unwrap();
    assert!(specs >= 3, "{specs}");
    rewrite_index(&world, "cache", |index| {
        let hello = &mut index["database"]["installs"][&store.package("hello").hash]["spec"];
        hello["annotations"] = json!({"original_specfile_version": 4, "compiler": "gcc@=12.2.0"});
    });
    let ran = check_index("hashes");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let result = ran.json()["result"].clone();
    assert_eq!(result["hashes"], json!({"right": specs - 1, "wrong": [], "unknowable": 1}));
    assert_eq!((&result["manifests"], &result["blobs"]), (&Value::Null, &Value::Null), "not looked at");
    let text = world.ok(["buildcache", "check-index", &cache, "--verify", "hashes"]);
    assert!(text.contains("hash cannot be told: 1 of"), "{text}");
    assert_eq!(check_index("manifests").json()["result"]["hashes"], Value::Null);
}

#[test]
fn a_package_that_the_index_lacks_is_not_called_missing() {
    let world = World::new();
    let store = world.sample_store();
    let cache = world.layout("cache");
    let push = ["--store", text(&store.unpadded_root), "buildcache", "push", &cache];
    assert_eq!(world.run([&push[..], &["greet"]].concat()).code, Some(0));
    assert_eq!(world.run([&push[..], &["--no-update-index", "hello"]].concat()).code, Some(0));
    world
        .run(["buildcache", "list", "--all", "-m", &cache, "hello"])
        .fails(NOT_FOUND, &["no index lists `hello`", "have hello@2.1", "update-index"]);
}

#[test]
fn a_check_says_what_is_missing_and_what_is_broken() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let root = text(&store.unpadded_root);
    let check = |arguments: &[&str]| {
        world.run([&["--store", root, "buildcache", "check", "-m", &cache], arguments].concat())
    };
    assert_eq!(check(&["hello", "greet"]).code, Some(0));
    assert_eq!(check(&[]).code, Some(0));
    check(&["nothing"]).fails(NOT_FOUND, &["nothing"]);
    check(&["hello@3"]).fails(NOT_FOUND, &["version 2.1, asked for @3", "hint: "]);
    // What only the cache knows of is asked of the cache.
    let elsewhere = world.run(["buildcache", "check", "-m", &cache, "hello@2:", "^greet"]);
    assert_eq!(elsewhere.code, Some(0), "{}", elsewhere.stderr);

    let empty = world.layout("empty");
    world.ok(["--store", root, "buildcache", "push", "--only", "package", &empty, "greet"]);
    // Every mirror has to have it, whichever of them knows of it.
    let both = world.run(["--json", "buildcache", "check", "-m", &cache, "-m", &empty, "hello"]);
    assert_eq!(both.code, Some(SOME_FAILED), "{}", both.stderr);
    let found: Vec<Value> = both.json()["result"]["checked"].as_array().unwrap().clone();
    let found: Vec<(&Value, &Value)> = found.iter().map(|row| (&row["mirror"], &row["ok"])).collect();
    assert_eq!(found, [(&json!(cache), &json!(true)), (&json!(empty), &json!(false))]);
    check(&["hello", "-o", "/nowhere/at/all"]).fails(DISK, &["cannot write /nowhere/at/all"]);
    let file = world.path("rebuild.json");
    let arguments = ["--store", root, "buildcache", "check", "-m", &empty, "-o", text(&file)];
    world.run([&arguments[..], &["hello"]].concat()).fails(NOT_FOUND, &["hello@2.1", "is not in"]);
    let rebuild: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(rebuild[&empty]["rebuildSpecs"][0]["hash"], json!(store.package("hello").hash));
    world.run([&arguments[..], &["hello", "greet"]].concat()).fails(SOME_FAILED, &["hello@2.1"]);

    let layer = blob(&world, "cache", "hello", true);
    let good = std::fs::read(&layer).unwrap();
    std::fs::write(&layer, b"short").unwrap();
    check(&["hello"]).fails(CORRUPT, &["hello@2.1", "5 bytes"]);
    std::fs::remove_file(&layer).unwrap();
    check(&["hello"]).fails(CORRUPT, &["hello@2.1", "missing"]);
    world
        .run(["buildcache", "check-index", &cache, "--verify", "blobs"])
        .fails(CORRUPT, &["hello@2.1", "missing"]);
    assert_eq!(world.run(["buildcache", "check-index", &cache]).code, Some(0), "the index itself is right");
    std::fs::write(&layer, good).unwrap();
    std::fs::write(blob(&world, "cache", "hello", false), b"{}").unwrap();
    check(&["hello"]).fails(CORRUPT, &["hello"]);
    check(&["hello", "greet"]).fails(SOME_FAILED, &["hello"]);
    let down = world.run(["--store", root, "buildcache", "check", "-m", "oci+http://127.0.0.1:1/x", "hello"]);
    assert_eq!(down.code, Some(UNREACHABLE), "{}", down.stderr);
}

#[test]
fn a_download_can_be_installed_from() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let copy = world.path("copy");
    let download = |arguments: &[&str]| {
        world.run([&["buildcache", "download", "-m", &cache, "-p", text(&copy)], arguments].concat())
    };
    download(&["nothing"]).fails(NOT_FOUND, &["nothing"]);
    download(&["hello@3"]).fails(NOT_FOUND, &["version 2.1, asked for @3", "hint: "]);
    download(&["hello", "--os", "plan9"]).fails(NOT_FOUND, &["plan9"]);
    assert!(!copy.join("index.json").exists(), "nothing was downloaded");
    // Of several that match, the one that would be installed.
    rewrite_index(&world, "cache", |index| {
        let installs = index["database"]["installs"].as_object_mut().unwrap();
        let mut older = installs[&store.package("hello").hash].clone();
        let hash = "a".repeat(32);
        (older["spec"]["version"], older["spec"]["hash"]) = (json!("2.0"), json!(hash));
        installs.insert(hash, older);
    });
    let ran = download(&["hello"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let url = world.layout("copy");
    assert!(ran.stdout.contains(&url), "{}", ran.stdout);
    assert_eq!(world.run(["buildcache", "check-index", &url, "--verify", "all"]).code, Some(0));
    // With nothing of the cache it came from.
    std::fs::rename(world.path("cache"), world.path("gone")).unwrap();
    let root = world.path("root");
    world.ok(["--store", text(&root), "install", "-m", &url, "hello"]);
    std::fs::rename(world.path("gone"), world.path("cache")).unwrap();
    let again = download(&["--spec", &format!("/{}", store.package("hello").hash)]);
    assert!(again.stdout.contains("0 bytes"), "what is there is not copied again: {}", again.stdout);

    // Where nothing can be written it is not the cache that is at fault. Not even root makes directories in /proc.
    if cfg!(target_os = "linux") {
        let refused = world.run(["buildcache", "download", "-m", &cache, "-p", "/proc/copy", "hello"]);
        refused.fails(DISK, &["/proc/copy"]);
        assert!(!refused.stderr.contains("whole") && refused.stdout.is_empty(), "{}", refused.stderr);
    }

    let alone = world.path("alone");
    let only = ["buildcache", "download", "-m", &cache, "-p", text(&alone), "--only", "package", "runner"];
    world.ok(only);
    let url = world.layout("alone");
    assert_eq!(world.ok(["buildcache", "list", "-m", &url]), "runner@0.3\n");

    std::fs::write(blob(&world, "cache", "hello", true), b"bad").unwrap();
    let arguments = ["buildcache", "download", "-m", &cache, "-p", text(&world.path("third")), "hello"]
        .map(str::to_owned);
    world.run(&arguments).fails(SOME_FAILED, &["hello@2.1"]);
}
