//! `strata image build`: images of what a cache has, and how little of it moves.

use crate::support::exit_code::{CORRUPT, DISK, NOT_FOUND, USAGE};
use crate::support::{Ran, World, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use strata_oci::media_type::{self, Family};
use strata_oci::{ImageConfig, Manifest, ManifestRef, Repository, image_config, image_manifest};
use strata_testkit::base_image::BaseImage;
use strata_testkit::docker_registry::{DockerRegistry, find_program};
use strata_testkit::golden;
use strata_testkit::registry::TestRegistry;
use strata_testkit::sample_store::SampleStore;

/// A processor that this machine does not have, and its architecture as images name it.
const OTHER: (&str, &str) =
    if cfg!(target_arch = "aarch64") { ("x86_64", "amd64") } else { ("aarch64", "arm64") };

pub(crate) fn open(url: &str) -> Box<dyn Repository> {
    strata_oci::open_or_create(&url.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap()
}

/// The image that a tag leads to.
pub(crate) fn image(url: &str, tag: &str) -> (Manifest, ImageConfig) {
    let repository = open(url);
    let (_, manifest) =
        image_manifest(&*repository, &ManifestRef::Tag(tag.parse().unwrap())).unwrap().unwrap();
    let config = image_config(&*repository, &manifest).unwrap();
    (manifest, config)
}

fn variable<'c>(config: &'c ImageConfig, name: &str) -> Option<&'c str> {
    config.config.env.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

/// `image build` of hello, with the result as JSON.
fn build(world: &World, arguments: &[&str]) -> Value {
    let ran = run(world, arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["result"].clone()
}

fn run(world: &World, arguments: &[&str]) -> Ran {
    world.run([&["--json", "--no-cache", "image", "build"], arguments].concat())
}

fn push(world: &World, store: &SampleStore, arguments: &[&str]) -> Value {
    let fixed = ["--json", "--store", text(&store.unpadded_root), "buildcache", "push"];
    let ran = world.run([&fixed, arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["result"].clone()
}

/// Digests of the configs in a cache.
fn configs(url: &str) -> BTreeSet<String> {
    let repository = open(url);
    let tags = repository.tags().unwrap();
    let manifest = |tag: &String| image(url, tag).0;
    tags.iter()
        .filter(|tag| *tag != "index.spack")
        .map(|tag| manifest(tag).config.digest.to_string())
        .collect()
}

/// The blob of an index, whose config is that of no image.
fn index_layer(url: &str) -> strata_oci::Digest {
    let tag = ManifestRef::Tag("index.spack".parse().unwrap());
    image_manifest(&*open(url), &tag).unwrap().unwrap().1.layers[0].digest
}

fn is_one_of(digests: &BTreeSet<String>, target: &str) -> bool {
    digests.iter().any(|digest| target.ends_with(digest.as_str()))
}

#[test]
fn only_configs_are_read_and_the_image_is_the_one_that_a_push_makes() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let url = registry.url("cache");
    push(&world, &store, &[&url]);
    for (epoch, tag) in [(None, "plain"), (Some("1700000123"), "dated")] {
        let (allowed, index) = (configs(&url), index_layer(&url).to_string());
        registry.log().clear();
        let mut command = world.command();
        command.args(["--json", "--no-cache", "image", "build", "hello", "runner", "-m", &url, "--tag", tag]);
        command.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
        let built = Ran::from(command.output().unwrap());
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        let built = built.json()["result"].clone();
        let log = registry.log();
        let read = log.matching("GET", "/blobs/");
        let configs_read = read.iter().filter(|entry| is_one_of(&allowed, &entry.target)).count();
        assert!(
            read.iter().all(|entry| entry.target.ends_with(&index) || is_one_of(&allowed, &entry.target))
        );
        assert_eq!((configs_read, read.len()), (3, 4), "{:?}", log.lines());
        // Three packages: a manifest and a config each. The image: a config and a manifest.
        assert_eq!(log.count("POST", "/uploads/"), 1, "{:?}", log.lines());
        assert_eq!(log.count("PUT", "/manifests/"), 1, "{:?}", log.lines());
        assert_eq!(log.count("GET", ".spack"), 4, "{:?}", log.lines());
        assert_eq!(
            built["images"][0]["moved"],
            json!({"there": 3, "mounted": 0, "sent": 0, "bytes_sent": 0})
        );

        let mut command = world.command();
        command.args(["--json", "--store", text(&store.unpadded_root), "buildcache", "push"]);
        command.args([&*url, "hello", "runner", "--tag", "pushed"]);
        command.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
        let pushed = Ran::from(command.output().unwrap());
        assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
        assert_eq!(pushed.json()["result"]["image"]["digest"], built["digest"]);
        assert_eq!(image(&url, tag), image(&url, "pushed"));
    }
    let (manifest, config) = image(&url, "plain");
    assert_eq!(manifest.layers.len(), 3);
    assert!(config.extra.get("spec").is_none());
    let bin = |package: &str| store.package(package).prefix.join("bin").display().to_string();
    let path = variable(&config, "PATH").unwrap();
    assert!(path.starts_with(&bin("hello")) && path.contains(&bin("runner")), "{path}");
}

#[test]
fn docker_registry_serves_no_layer() {
    const TEST: &str = "docker_registry_serves_no_layer";
    let Some(registry) = DockerRegistry::start() else {
        return golden::skipped(TEST, "there is no docker-registry");
    };
    let world = World::new();
    let store = world.sample_store();
    let url = registry.url("cache");
    push(&world, &store, &[&url]);
    let layers: BTreeSet<String> =
        image(&url, &tag_of(&store, "hello")).0.layers.iter().map(|layer| layer.digest.to_string()).collect();
    let before = registry.access_log().len();
    let built = build(&world, &["hello", "-m", &url, "--tag", "hello"]);
    let log = registry.access_log()[before..].to_owned();
    assert_eq!(built["images"][0]["layers"], 3);
    let is_read =
        |line: &&str| line.contains("\"GET ") && layers.iter().any(|layer| line.contains(layer.as_str()));
    assert_eq!(log.lines().filter(is_read).collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(log.matches("\"PUT /v2/cache/manifests/").count(), 1, "{log}");
    assert_eq!(log.matches("\"POST ").count(), 1, "{log}");

    // Another repository of the registry takes the layers by itself.
    let other = registry.url("images");
    let reference = format!("{other}:hello");
    let mounted = build(&world, &["hello", "-m", &url, "--tag", &reference]);
    assert_eq!(mounted["images"][0]["moved"], json!({"there": 0, "mounted": 3, "sent": 0, "bytes_sent": 0}));
    assert_eq!(mounted["digest"], built["digest"]);
    assert_eq!(image(&other, "hello"), image(&url, "hello"));
}

fn tag_of(store: &SampleStore, name: &str) -> String {
    let package = store.package(name);
    format!("{name}-{}-{}.spack", package.version, package.hash)
}

#[test]
fn layers_of_another_registry_are_copied() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let registry = TestRegistry::start();
    let url = registry.url("images");
    let reference = format!("{url}:hello");
    let copied = build(&world, &["hello", "-m", &cache, "--tag", &reference]);
    let moved = &copied["images"][0]["moved"];
    assert_eq!((&moved["sent"], &moved["there"]), (&json!(3), &json!(0)), "{moved}");
    assert_eq!(moved["bytes_sent"], copied["images"][0]["size"]);
    let (manifest, _) = image(&url, "hello");
    let repository = open(&url);
    for layer in &manifest.layers {
        assert_eq!(repository.blob_size(&layer.digest).unwrap(), Some(layer.size));
    }
    assert_eq!(manifest.layers, image(&cache, &tag_of(&store, "hello")).0.layers);
    // Again: there is nothing to send.
    let again = build(&world, &["hello", "-m", &cache, "--tag", &reference]);
    assert_eq!(again["images"][0]["moved"]["there"], 3);
    assert_eq!(again["digest"], copied["digest"]);
}

#[test]
fn of_layers_that_are_merged_only_the_outcome_moves() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let directory = world.path("merged");
    let reference = format!("oci+file://{}:hello", text(&directory));
    let built = build(&world, &["hello", "-m", &cache, "--max-layers", "1", "--tag", &reference]);
    let image = &built["images"][0];
    assert_eq!((&image["layers"], &image["merged"], &image["packages"]), (&json!(1), &json!(1), &json!(3)));
    assert_eq!(image["moved"]["sent"], 0);
    let blobs = std::fs::read_dir(directory.join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 3, "a layer, a config and a manifest");
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let ran = world.run(["image", "build", "hello", "-m", &cache, "--tag", "x", "--dry-run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in ["would make x for linux/", "hello@2.1/", "greet@1.0/", "runner@0.3/"] {
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
    }
    assert!(!open(&cache).tags().unwrap().contains(&"x".to_owned()));
}

#[test]
fn how_a_container_is_started() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    build(
        &world,
        &[
            "hello",
            "-m",
            &cache,
            "--tag",
            "x",
            "--entrypoint",
            r#"["hello","--loud"]"#,
            "--cmd",
            "-a",
            "--cmd",
            "b c",
            "--env",
            "A=1=2",
            "--env",
            "PATH=/mine",
            "--label",
            "k=v",
            "--workdir",
            "/work",
            "--user",
            "1000:1000",
        ],
    );
    let (_, config) = image(&cache, "x");
    let runtime = &config.config;
    assert_eq!(runtime.entrypoint().unwrap().unwrap(), ["hello", "--loud"]);
    assert_eq!(runtime.cmd().unwrap().unwrap(), ["-a", "b c"]);
    assert_eq!((variable(&config, "A"), variable(&config, "PATH")), (Some("1=2"), Some("/mine")));
    assert_eq!(runtime.labels().unwrap()["k"], "v");
    assert_eq!(runtime.working_dir().unwrap().unwrap(), "/work");
    assert_eq!(runtime.user().unwrap().unwrap(), "1000:1000");
}

#[test]
fn a_base_is_below_and_its_family_counts() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let (url, bases) = (registry.url("cache"), registry.url("bases"));
    push(&world, &store, &[&url]);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let base = BaseImage::of_glibc(architecture, "2.36");
    for (tag, family) in [("oci", Family::Oci), ("docker", Family::Docker)] {
        base.push(&*open(&bases), tag, family).unwrap();
        let reference = format!("{bases}:{tag}");
        let built = build(&world, &["hello", "-m", &url, "--tag", tag, "--base-image", &reference]);
        assert_eq!(built["images"][0]["base"]["reference"], reference);
        assert_eq!(built["images"][0]["layers"], 4);
        let (manifest, config) = image(&url, tag);
        assert_eq!(manifest.media_type, family.manifest());
        assert!(manifest.layers.iter().all(|layer| layer.media_type == family.layer()));
        assert_eq!(manifest.layers[0].digest, image(&bases, tag).0.layers[0].digest);
        let path = variable(&config, "PATH").unwrap();
        assert!(path.ends_with(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), "{path}");
    }
    // One for another processor.
    BaseImage::of_glibc(OTHER.1, "2.36").push(&*open(&bases), "other", Family::Oci).unwrap();
    for (reference, words) in [("other", OTHER.1), ("nothing", "no image")] {
        let reference = format!("{bases}:{reference}");
        let ran = run(&world, &["hello", "-m", &url, "--tag", "x", "--base-image", &reference]);
        assert_ne!(ran.code, Some(0));
        assert!(ran.stderr.contains(words) && ran.stderr.contains(&reference), "{}", ran.stderr);
    }
    assert!(!open(&url).tags().unwrap().contains(&"x".to_owned()));
}

#[test]
fn a_view_has_what_the_roots_have() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let arguments = ["hello", "runner", "-m", &cache, "--tag", "viewed", "--view", "/opt/view"];
    let built = build(&world, &arguments);
    assert_eq!((&built["images"][0]["layers"], &built["images"][0]["packages"]), (&json!(4), &json!(3)));
    let (manifest, config) = image(&cache, "viewed");
    let path = variable(&config, "PATH").unwrap();
    assert_eq!(path, "/opt/view/bin:/bin:/usr/bin");
    assert_eq!(variable(&config, "CMAKE_PREFIX_PATH"), Some("/opt/view"));
    let repository = open(&cache);
    let layer = repository.blob(manifest.layers.last().unwrap()).unwrap();
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(layer));
    let mut links = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let target = entry.link_name().unwrap().map(|target| target.display().to_string());
        links.extend(target.map(|target| (name, target)));
    }
    let prefix = |package: &str| store.package(package).prefix.display().to_string();
    for (name, target) in [
        ("opt/view/bin/hello", prefix("hello") + "/bin/hello"),
        ("opt/view/bin/runner", prefix("runner") + "/bin/runner"),
        ("opt/view/etc/hello.conf", prefix("hello") + "/etc/hello.conf"),
    ] {
        assert!(links.contains(&(name.to_owned(), target.clone())), "{name}: {links:?}");
    }
    assert!(!links.iter().any(|(name, _)| name.contains(".spack") || name.contains("libgreet")), "{links:?}");
    assert_eq!(build(&world, &arguments)["digest"], built["digest"]);
    run(&world, &["hello", "-m", &cache, "--tag", "x", "--view", "/"]).fails(USAGE, &["view"]);
    run(&world, &["hello", "-m", &cache, "--tag", "x", "--view", "view"]).fails(USAGE, &["absolute"]);
}

#[test]
fn archives_are_written_whole_or_not_at_all() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let directory = world.path("archives");
    std::fs::create_dir(&directory).unwrap();
    let (oci, docker) = (directory.join("oci.tar"), directory.join("docker.tar"));
    let tag = format!("oci-archive:{}:hello", oci.display());
    let built = build(&world, &["hello", "-m", &cache, "--tag", &tag]);
    let tag = format!("docker-archive:{}:hello", docker.display());
    build(&world, &["hello", "-m", &cache, "--tag", &tag]);
    let names = |directory: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(&directory), ["docker.tar", "oci.tar"].map(str::to_owned).into());
    assert_eq!(build(&world, &["hello", "-m", &cache, "--tag", "hello"])["digest"], built["digest"]);
    if find_program("skopeo").is_some() {
        for (place, name) in [
            (format!("oci-archive:{}:hello", oci.display()), "oci"),
            (format!("docker-archive:{}", docker.display()), "docker"),
        ] {
            let output = Command::new("skopeo").args(["inspect", &place]).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    } else {
        golden::skipped("archives_are_written_whole_or_not_at_all", "there is no skopeo");
    }
    // What cannot be made leaves nothing behind, and what was there as it was.
    let before = std::fs::read(&oci).unwrap();
    let tag = format!("oci-archive:{}", oci.display());
    run(&world, &["nothing", "-m", &cache, "--tag", &tag]).fails(NOT_FOUND, &["nothing"]);
    let nowhere = format!("oci-archive:{}/none/x.tar", directory.display());
    assert_ne!(run(&world, &["hello", "-m", &cache, "--tag", &nowhere]).code, Some(0));
    assert_eq!(std::fs::read(&oci).unwrap(), before);
    assert_eq!(names(&directory).len(), 2);
}

#[test]
fn an_archive_that_cannot_be_written_costs_no_download() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let url = registry.url("cache");
    push(&world, &store, &[&url]);
    let directory = world.path("archives");
    std::fs::create_dir(&directory).unwrap();
    registry.log().clear();
    let at = |scheme: &str, rest: &str| format!("{scheme}:{}{rest}", directory.display());
    for (tag, code, words) in [
        (at("docker-archive", "/x.tar:Bad/Name"), USAGE, "Bad/Name"),
        (at("docker-archive", "/x.tar:a:b:c"), USAGE, "a:b:c"),
        (at("docker-archive", ""), DISK, "Is a directory"),
        (at("oci-archive", "/none/x.tar"), DISK, "/none"),
    ] {
        run(&world, &["hello", "-m", &url, "--tag", &tag]).fails(code, &[words]);
    }
    run(&world, &["hello", "-m", &url, "--tag", "x", "--view", "/"]).fails(USAGE, &["root directory"]);
    assert_eq!(registry.log().count("GET", "/blobs/"), 0);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn what_a_killed_build_left_is_removed_by_the_next_one() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let directory = world.path("archives");
    let abandoned = directory.join(".strata-image-abandoned");
    std::fs::create_dir_all(&abandoned).unwrap();
    std::fs::write(abandoned.join("layer"), "big").unwrap();
    let tag = format!("oci-archive:{}", directory.join("x.tar").display());
    build(&world, &["hello", "-m", &cache, "--tag", &tag]);
    let left = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["x.tar"]);
}

#[test]
fn what_no_cache_has_is_named() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let repository = open(&cache);
    let tag = tag_of(&store, "greet");
    assert!(repository.delete_manifest(&ManifestRef::Tag(tag.parse().unwrap())).unwrap());
    assert!(
        repository.delete_manifest(&ManifestRef::Tag(tag_of(&store, "runner").parse().unwrap())).unwrap()
    );
    for is_indexed in [true, false] {
        if !is_indexed {
            world.ok(["buildcache", "update-index", &cache]);
        }
        let ran = run(&world, &["hello", "-m", &cache, "--tag", "x"]);
        ran.fails(NOT_FOUND, &["greet@1.0", "runner@0.3", "--allow-incomplete"]);
        assert!(!repository.tags().unwrap().contains(&"x".to_owned()));
        let built = run(&world, &["hello", "-m", &cache, "--tag", "part", "--allow-incomplete"]);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        assert!(built.stderr.contains("greet@1.0"), "{}", built.stderr);
        let built = built.json();
        assert_eq!(built["result"]["images"][0]["layers"], 1);
        let missing = built["result"]["images"][0]["missing"].as_array().unwrap();
        let mut names: Vec<&str> =
            missing.iter().map(|label| label.as_str().unwrap().split('/').next().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["greet@1.0", "runner@0.3"]);
    }
    // An image without what it is for is none.
    run(&world, &["greet", "-m", &cache, "--tag", "y", "--allow-incomplete"]).fails(NOT_FOUND, &["greet"]);
}

#[test]
fn several_targets_make_an_index() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let other = SampleStore::build_for(&world.path("other"), 128, OTHER.0).unwrap();
    push(&world, &other, &[&cache]);
    let native = std::env::consts::ARCH;
    let arguments = ["hello", "-m", &cache, "--tag", "both", "--target", native, "--target", OTHER.0];
    let built = build(&world, &arguments);
    let raw = open(&cache).manifest(&ManifestRef::Tag("both".parse().unwrap())).unwrap().unwrap();
    assert_eq!(raw.media_type, media_type::OCI_INDEX);
    let index: Value = serde_json::from_slice(&raw.bytes).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let architectures: Vec<&str> =
        entries.iter().map(|e| e["platform"]["architecture"].as_str().unwrap()).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    for (entry, image) in entries.iter().zip(built["images"].as_array().unwrap()) {
        assert_eq!((&entry["digest"], &image["layers"]), (&image["digest"], &json!(3)));
    }
    assert_eq!(build(&world, &arguments)["digest"], built["digest"]);
    // Alone, it is an image.
    let alone = build(&world, &["hello", "-m", &cache, "--tag", "alone", "--target", OTHER.0]);
    let is_same = |image: &Value| image["digest"] == alone["digest"];
    assert!(built["images"].as_array().unwrap().iter().any(is_same), "{built} {alone}");
    let ran = run(&world, &["hello", "-m", &cache, "--tag", "x", "--target", native, "--target", native]);
    ran.fails(USAGE, &["both of linux/"]);
    let archive = format!("docker-archive:{}", world.path("x.tar").display());
    let ran =
        run(&world, &["hello", "-m", &cache, "--tag", &archive, "--target", native, "--target", OTHER.0]);
    ran.fails(USAGE, &["docker-archive", "one platform"]);
    let archive = format!("oci-archive:{}", world.path("both.tar").display());
    let archived =
        build(&world, &["hello", "-m", &cache, "--tag", &archive, "--target", native, "--target", OTHER.0]);
    assert_eq!(archived["digest"], built["digest"]);
}

#[test]
fn an_environment_is_built_from_its_lockfile() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let environment = world.path("environment");
    std::fs::create_dir(&environment).unwrap();
    let mut concrete = serde_json::Map::new();
    let root = world.run(["--json", "--store", text(&store.unpadded_root), "find"]).json();
    assert!(root["result"]["specs"].is_array());
    let database: Value =
        serde_json::from_slice(&std::fs::read(store.root.join(".spack-db/index.json")).unwrap()).unwrap();
    for (hash, record) in database["database"]["installs"].as_object().unwrap() {
        concrete.insert(hash.clone(), record["spec"].clone());
    }
    let lockfile = json!({
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": [{"hash": store.package("hello").hash, "spec": "hello"}],
        "concrete_specs": concrete,
    });
    std::fs::write(environment.join("spack.lock"), lockfile.to_string()).unwrap();
    let of_environment = build(&world, &["-e", text(&environment), "-m", &cache, "--tag", "env"]);
    assert_eq!(of_environment["digest"], build(&world, &["hello", "-m", &cache, "--tag", "x"])["digest"]);
    // What is named is what is meant; the environment is configuration then.
    let of_named = build(&world, &["greet", "-e", text(&environment), "-m", &cache, "--tag", "env"]);
    assert_eq!(of_named["digest"], build(&world, &["greet", "-m", &cache, "--tag", "y"])["digest"]);
    std::fs::write(environment.join("spack.lock"), "{").unwrap();
    let ran = run(&world, &["-e", text(&environment), "-m", &cache, "--tag", "env"]);
    ran.fails(CORRUPT, &["spack.lock", "`strata -e ENV concretize`"]);
    run(&world, &["-m", &cache, "--tag", "env"]).fails(USAGE, &["no spec"]);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let tags = open(&cache).tags().unwrap();
    let archive = format!("oci-archive:{}", world.path("x.tar").display());
    for (arguments, code, words) in [
        (&["hello", "--tag", "x.spack"][..], USAGE, &["x.spack", "packages"][..]),
        (&["hello", "--tag", "oci-archive:"], USAGE, &["names no file"]),
        (&["hello", "--tag", "localhost/x:b:c"], USAGE, &["localhost/x:b:c"]),
        (&["hello", "--tag", "x", "--max-layers", "0"], USAGE, &["max-layers"]),
        (&["hello", "--tag", "x", "--cmd", "a b"], USAGE, &["one word", r#"["a","b"]"#]),
        (&["hello", "--tag", "x", "--entrypoint", "[1]"], USAGE, &["JSON array"]),
        (&["hello", "--tag", "x", "--env", "A"], USAGE, &["NAME=VALUE"]),
        (&["hello", "--tag", "x", "--env", "A", "-m", "oci+file:///x"], USAGE, &["NAME=VALUE"]),
        (&["hello", "--tag", "x", "--target", "z80"], NOT_FOUND, &["z80", "--target"]),
        (&["hello", "--tag", "x", "--os", "plan9"], NOT_FOUND, &["plan9"]),
        (&["hello", "--tag", "x", "--base-image", "a b"], USAGE, &["a b"]),
        (&["hello", "--tag", "x", "--workdir", "work"], USAGE, &["absolute", "--workdir /work"]),
        (&["hello", "--tag", "x", "--entrypoint", ""], USAGE, &["empty", "'[]'"]),
        (&["hello", "--tag", "x", "--view", "/tmp/view"], USAGE, &["/tmp/view", "/opt/view"]),
        (&["hello@3", "--tag", "x"], NOT_FOUND, &["hello@3"]),
        (&["/aaaaaaa", "--tag", "x"], NOT_FOUND, &["aaaaaaa"]),
        (&["hello", "greet", "--tag", &archive, "--view", "relative"], USAGE, &["absolute"]),
    ] {
        let ran = run(&world, &[arguments, &["-m", &cache]].concat());
        ran.fails(code, words);
    }
    let two = world.layout("two");
    run(&world, &["hello", "--tag", "x", "-m", &cache, "-m", &two])
        .fails(USAGE, &["--mirror", "HOST/NAME:TAG"]);
    assert_eq!(open(&cache).tags().unwrap(), tags);
    assert!(!world.path("x.tar").exists());
}

#[test]
fn what_nobody_knew_when_a_package_was_pushed_is_told_of_its_images() {
    let world = World::new();
    let store = world.sample_store();
    let greet = store.package("greet");
    let recipe = greet.prefix.join(".spack/repos/sample/packages/greet");
    std::fs::create_dir_all(&recipe).unwrap();
    std::fs::write(
        recipe.join("package.py"),
        "class Greet(Package):\n    def setup_run_environment(self, env):\n        env.set('GREETING', 'hi')\n",
    )
    .unwrap();
    let cache = world.layout("cache");
    let label = format!("greet@1.0/{}", &greet.hash[..7]);
    let pushed = world.run(["--store", text(&store.unpadded_root), "buildcache", "push", &cache]);
    assert!(pushed.code == Some(0) && pushed.stderr.contains(&label), "{}", pushed.stderr);
    let ran = run(&world, &["hello", "-m", &cache, "--tag", "hello"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("recipes"), "{}", ran.stderr);
    assert_eq!(ran.json()["result"]["images"][0]["unclear"], json!([label]));
    // It is the package's own that sets something, and nobody's that does not need it.
    let other = build(&world, &["runner", "-m", &cache, "--tag", "runner"]);
    assert_eq!(other["images"][0]["unclear"], json!([]));
}

#[test]
fn a_variable_that_no_program_starts_with_is_refused() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let tag = tag_of(&store, "hello");
    let (mut manifest, mut config) = image(&cache, &tag);
    // More than the kernel takes, as hundreds of long prefixes would be.
    config.config.env.push(format!("LONG={}", "/long/directory:".repeat(8192)));
    let source = strata_oci::BlobSource::bytes(config.to_bytes().unwrap());
    let repository = open(&cache);
    let _ = repository.put_blob(&source).unwrap();
    manifest.config = source.descriptor(media_type::OCI_CONFIG);
    let bytes = manifest.to_bytes().unwrap();
    repository.put_manifest(&tag.parse().unwrap(), &manifest.media_type, &bytes).unwrap();
    let ran = run(&world, &["hello", "-m", &cache, "--tag", "x"]);
    ran.fails(USAGE, &["LONG", "131078 bytes", "131072", "--view"]);
    assert!(!repository.tags().unwrap().contains(&"x".to_owned()));
}
