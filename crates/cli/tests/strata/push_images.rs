//! `buildcache push` with `--base-image`, `--tag` and `-e`: what it says, and what it refuses.

use crate::support::{Ran, World, exit_code, text};
use serde_json::{Value, json};
use std::path::Path;
use strata_oci::media_type::Family;
use strata_oci::{Repository, RepositoryUrl, Transport};
use strata_testkit::base_image::BaseImage;
use strata_testkit::registry::TestRegistry;
use strata_testkit::sample_store::SampleStore;

/// The name of this machine's architecture in images, and another one.
fn architectures() -> [&'static str; 2] {
    if std::env::consts::ARCH == "aarch64" { ["arm64", "amd64"] } else { ["amd64", "arm64"] }
}

/// A layout of bases.
fn bases(world: &World) -> Box<dyn Repository> {
    let url = RepositoryUrl::from_directory(world.path("bases")).unwrap();
    strata_oci::open_or_create(&url, &Transport::default(), None).unwrap()
}

fn push(world: &World, store: &SampleStore, options: &[&str]) -> Ran {
    let cache = world.layout("cache");
    let fixed = ["--store", text(&store.unpadded_root), "buildcache", "push", &cache];
    world.run(fixed.iter().chain(options))
}

fn database(store: &SampleStore) -> (std::path::PathBuf, Value) {
    let file = store.root.join(".spack-db/index.json");
    let json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    (file, json)
}

/// Says in the database that packages were built against glibc.
fn record_libc(store: &SampleStore) {
    let (file, mut json) = database(store);
    for record in json["database"]["installs"].as_object_mut().unwrap().values_mut() {
        let edges = record["spec"].get_mut("dependencies").and_then(Value::as_array_mut);
        for edge in edges.into_iter().flatten() {
            if edge["name"] == "glibc" {
                edge["parameters"]["virtuals"] = json!(["libc"]);
            }
        }
    }
    std::fs::write(file, json.to_string()).unwrap();
}

#[test]
fn bases_that_will_not_do_are_refused_before_anything_is_pushed() {
    let world = World::new();
    let store = world.sample_store();
    record_libc(&store);
    let bases = bases(&world);
    let [own, other] = architectures();
    let version = |version| BaseImage::of_glibc(own, version);
    version("2.17").push(&*bases, "old", Family::Docker).unwrap();
    version("2.36").push(&*bases, "new", Family::Oci).unwrap();
    BaseImage::of_glibc(other, "2.36").push(&*bases, "other", Family::Oci).unwrap();
    BaseImage::new(own).with_files(&[("etc/motd", b"")]).push(&*bases, "static", Family::Oci).unwrap();
    let base = |tag: &str| format!("{}:{tag}", world.layout("bases"));
    for (tag, code, words) in [
        ("old", exit_code::USAGE, &["has glibc@2.17, and", "needs glibc@2.36", "--no-libc-check"][..]),
        ("static", exit_code::USAGE, &["has no C library", "--no-libc-check"]),
        ("other", exit_code::NOT_FOUND, &[own, other]),
        ("missing", exit_code::NOT_FOUND, &["missing"]),
    ] {
        push(&world, &store, &["--base-image", &base(tag)]).fails(code, words);
        assert!(!world.path("cache/index.json").exists() || !listed(&world).contains("greet"), "{tag}");
    }
    push(&world, &store, &["--base-image", "docker://x"]).fails(exit_code::USAGE, &["docker://x"]);
    push(&world, &store, &["--no-libc-check"]).fails(exit_code::USAGE, &["--base-image"]);

    let pushed = push(&world, &store, &["--base-image", &base("old"), "--no-libc-check"]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    // What is there already keeps its image, unless it is said otherwise.
    let again = push(&world, &store, &["--base-image", &base("new")]);
    assert!(again.code == Some(0) && again.stderr.contains("--force"), "{}", again.stderr);
    let dry = push(&world, &store, &["--base-image", &base("new"), "--force", "--dry-run"]);
    assert_eq!(dry.stdout.matches("would tag anew").count(), 3, "{}", dry.stdout);
}

/// The index of the layout `cache`.
fn listed(world: &World) -> String {
    std::fs::read_to_string(world.path("cache/index.json")).unwrap()
}

#[test]
fn a_base_that_is_spoken_to_in_the_wrong_way_or_not_there() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let plain = format!("{}/base:1", registry.host());
    let refused = push(&world, &store, &["--base-image", &plain]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("oci+http://"), "{}", refused.stderr);
    let url = format!("oci+http://{plain}");
    push(&world, &store, &["--base-image", &url]).fails(exit_code::NOT_FOUND, &["base"]);
    drop(registry);
    push(&world, &store, &["--base-image", &url]).fails(exit_code::UNREACHABLE, &[&plain[..9]]);
}

#[test]
fn tags_and_budgets_that_cannot_be() {
    let world = World::new();
    let store = world.sample_store();
    for tag in ["greet.spack", "index.spack", ".bad", "a b"] {
        push(&world, &store, &["--tag", tag]).fails(exit_code::USAGE, &[tag]);
        assert!(!world.path("cache").exists(), "{tag}");
    }
    push(&world, &store, &["--max-layers", "0"]).fails(exit_code::USAGE, &["--max-layers"]);
    push(&world, &store, &["--allow-incomplete"]).fails(exit_code::USAGE, &["--tag"]);

    let few = push(&world, &store, &["--max-layers", "1", "--tag", "one"]);
    few.fails(exit_code::USAGE, &["needs 2 at least, and may have 1", "--max-layers 2"]);
    let big = (0..124).fold(BaseImage::new(architectures()[0]), |image, number: u32| {
        image.with_files(&[("etc/number", number.to_string().as_bytes())])
    });
    big.push(&*bases(&world), "big", Family::Oci).unwrap();
    let big = format!("{}:big", world.layout("bases"));
    let options = ["--force", "--no-libc-check", "--base-image", &big, "--max-layers", "5", "hello"];
    push(&world, &store, &options)
        .fails(exit_code::USAGE, &["the base has 124 layers", "room for 1 of the 125"]);
    let default = ["--no-libc-check", "--base-image", &big, "hello"];
    push(&world, &store, &default)
        .fails(exit_code::USAGE, &["room for 1 of the 125", "2 are wanted", "a base that has fewer"]);
    assert!(!world.path("cache/index.json").exists(), "nothing is pushed that cannot be tagged");
    // One package needs one layer, and what is neither here nor there none.
    let alone = ["--only", "package", "--no-libc-check", "--base-image", &big, "greet"];
    assert_eq!(push(&world, &store, &alone).code, Some(0));

    // What a package shares its layers with is no obstacle to installing it.
    let pushed = push(&world, &store, &["--force", "--max-layers", "2", "--tag", "two", "hello"]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    assert!(pushed.stdout.contains("two: 3 packages in 2 layers"), "{}", pushed.stdout);
    let target = world.path("target");
    let installed = crate::support::install(&world, &target, &world.layout("cache"), "hello");
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
}

/// An environment with that root.
fn environment(directory: &Path, store: &SampleStore, root: &str) {
    let (_, json) = database(store);
    let records = json["database"]["installs"].as_object().unwrap();
    let nodes: Value = records.iter().map(|(hash, record)| (hash.clone(), record["spec"].clone())).collect();
    let lockfile = json!({
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": [{"hash": store.package(root).hash, "spec": root}], "concrete_specs": nodes,
    });
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("spack.lock"), lockfile.to_string()).unwrap();
}

#[test]
fn an_environment_says_what_to_push() {
    let world = World::new();
    let store = world.sample_store();
    let root = world.path("spack");
    let named = root.join("var/spack/environments/group/mine");
    environment(&named, &store, "greet");
    let by_name = |options: &[&str]| -> Ran {
        let cache = world.layout("cache");
        let mut command = world.command();
        command.env("SPACK_ROOT", &root).args(["--json", "--store", text(&store.unpadded_root)]);
        command.args(["-e", "group/mine", "buildcache", "push", &cache]).args(options);
        command.output().unwrap().into()
    };
    let dry = by_name(&["--tag", "env", "--dry-run"]);
    let planned = dry.json()["result"]["image"].clone();
    assert_eq!(planned["packages"].as_array().unwrap().len(), 1);
    assert!(!world.path("cache").exists() || !listed(&world).contains("env"), "{}", dry.stderr);
    let ran = by_name(&["--tag", "env"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let image = &ran.json()["result"]["image"];
    assert!(image["reference"].as_str().unwrap().ends_with("/cache:env"), "{image}");
    assert_eq!((&image["layers"], &image["roots"]), (&json!(1), &image["packages"]));
    let index = listed(&world);
    assert!(index.contains("greet-1.0") && index.contains("\"env\"") && !index.contains("hello"));

    // In an environment, specs mean its packages.
    push(&world, &store, &["-e", text(&named), "hello"])
        .fails(exit_code::NOT_FOUND, &["`hello`", "the environment", text(&named)]);
    let ran = push(&world, &store, &["-e", text(&named), "greet", "--force"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    push(&world, &store, &["-e", "nowhere"]).fails(exit_code::USAGE, &["`nowhere`", "spack.lock"]);
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    push(&world, &store, &["-e", text(&empty)]).fails(exit_code::USAGE, &["neither a spack.yaml nor"]);
    std::fs::write(empty.join("spack.yaml"), "spack: {specs: [greet]}\n").unwrap();
    push(&world, &store, &["-e", text(&empty)]).fails(exit_code::USAGE, &["no spack.lock", "concretize"]);
    std::fs::write(empty.join("spack.lock"), "{").unwrap();
    push(&world, &store, &["-e", text(&empty)]).fails(exit_code::CORRUPT, &["spack.lock"]);
    let nothing = json!({"_meta": {"lockfile-version": 6}, "roots": [], "concrete_specs": {}}).to_string();
    std::fs::write(empty.join("spack.lock"), nothing).unwrap();
    push(&world, &store, &["-e", text(&empty)]).fails(exit_code::USAGE, &["has no specs"]);

    let (file, mut json) = database(&store);
    json["database"]["installs"].as_object_mut().unwrap().remove(&store.package("hello").hash);
    environment(&empty, &store, "hello");
    std::fs::write(file, json.to_string()).unwrap();
    push(&world, &store, &["-e", text(&empty)])
        .fails(exit_code::NOT_FOUND, &["not installed here: hello@2.1"]);
    world.run(["-e", "mine", "cache", "info"]).fails(exit_code::USAGE, &["no use for an environment"]);
}

#[test]
fn an_image_that_would_lack_a_layer_names_it() {
    let world = World::new();
    let store = world.sample_store();
    let alone = ["--only", "package", "--tag", "alone", "hello"];
    push(&world, &store, &alone)
        .fails(exit_code::SOME_FAILED, &["greet@1.0", "runner@0.3", "--allow-incomplete"]);
    assert!(!listed(&world).contains("alone"));
    let allowed = push(&world, &store, &[&alone[..], &["--allow-incomplete"]].concat());
    assert!(allowed.code == Some(0) && allowed.stderr.contains("greet@1.0"), "{}", allowed.stderr);
    assert!(listed(&world).contains("alone"));
}
