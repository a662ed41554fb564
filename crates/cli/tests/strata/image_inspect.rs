//! `strata image inspect`: what is in an image, of strata's or anybody's.

use crate::image_build::{image, open};
use crate::support::exit_code::{NOT_FOUND, USAGE};
use crate::support::{World, text};
use serde_json::{Value, json};
use strata_oci::ManifestRef;
use strata_oci::media_type::Family;
use strata_testkit::base_image::{BaseImage, push_index};
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;
use strata_testkit::sample_store::SampleStore;

fn inspect(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run([&["--json", "image", "inspect"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["result"].clone()
}

fn label(store: &SampleStore, name: &str) -> String {
    let package = store.package(name);
    format!("{name}@{}/{}", package.version, &package.hash[..7])
}

fn tag_of(store: &SampleStore, name: &str) -> String {
    let package = store.package(name);
    format!("{name}-{}-{}.spack", package.version, package.hash)
}

/// What each layer holds.
fn packages(image: &Value) -> Vec<Value> {
    image["layers"].as_array().unwrap().iter().map(|layer| layer["packages"].clone()).collect()
}

#[test]
fn a_package_is_an_image_of_all_it_needs() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let reference = format!("{cache}:{}", tag_of(&store, "hello"));
    let found = inspect(&world, &[&reference]);
    assert_eq!(found["kind"], "package");
    let image = &found["images"][0];
    let labels = |names: &[&str]| names.iter().map(|name| json!([label(&store, name)])).collect::<Vec<_>>();
    let layers = packages(image);
    assert_eq!(layers.last(), labels(&["hello"]).last());
    assert_eq!(layers.len(), 3);
    assert_eq!((&image["complete"], &image["missing"]), (&json!(true), &json!([])));
    // The own layers of what it needs are in their images, too; its own is nowhere else.
    let shared: Vec<usize> = image["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["shared_with"].as_array().unwrap().len())
        .collect();
    assert_eq!(shared, [1, 1, 0]);
    assert_eq!(image["unshared"], image["layers"][2]["size"]);
    assert_eq!(found["compared_with"], json!({"tags": 2, "of": 2}));
    let alone = inspect(&world, &[&reference, "--no-shared"]);
    assert_eq!((&alone["compared_with"], &alone["images"][0]["unshared"]), (&Value::Null, &Value::Null));
    assert_eq!(packages(&alone["images"][0]), layers);
}

#[test]
fn shared_layers_tell_which_packages_they_hold() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let registry = world.layout("bases");
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    BaseImage::of_glibc(architecture, "2.36").push(&*open(&registry), "base", Family::Oci).unwrap();
    let base = format!("{registry}:base");
    world.ok([
        "image",
        "build",
        "hello",
        "-m",
        &cache,
        "--tag",
        "few",
        "--base-image",
        &base,
        "--max-layers",
        "2",
        "--view",
        "/opt/view",
        "--cmd",
        "hello",
    ]);
    let found = inspect(&world, &[&format!("{cache}:few")]);
    assert_eq!(found["kind"], "image");
    let image = &found["images"][0];
    let holds: Vec<&str> =
        image["layers"].as_array().unwrap().iter().map(|layer| layer["holds"].as_str().unwrap()).collect();
    assert_eq!(holds, ["base", "packages", "view"]);
    let mut labels = ["greet", "hello", "runner"].map(|name| label(&store, name));
    labels.sort();
    let mut shown: Vec<&str> =
        image["layers"][1]["packages"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!(shown, labels);
    assert_eq!((&image["complete"], &image["packages"]), (&json!(true), &json!(3)));
    // What a directory of this machine is called says nothing to others.
    assert!(image["base"]["name"].is_null() && image["base"]["digest"].is_string(), "{}", image["base"]);
    assert_eq!(image["cmd"], json!(["hello"]));
}

#[test]
fn what_is_missing_is_named() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let repository = open(&cache);
    repository.delete_manifest(&ManifestRef::Tag(tag_of(&store, "greet").parse().unwrap())).unwrap();
    world.ok(["image", "build", "hello", "-m", &cache, "--tag", "part", "--allow-incomplete"]);
    let image = inspect(&world, &[&format!("{cache}:part")])["images"][0].clone();
    assert_eq!((&image["complete"], &image["missing"]), (&json!(false), &json!([label(&store, "greet")])));
    let told = world.ok(["image", "inspect", &format!("{cache}:part")]);
    assert!(told.contains(&format!("no, it lacks {}", label(&store, "greet"))), "{told}");
    // Nobody knows what they need any more.
    repository.delete_manifest(&ManifestRef::Tag(tag_of(&store, "hello").parse().unwrap())).unwrap();
    assert_eq!(inspect(&world, &[&format!("{cache}:part")])["images"][0]["complete"], Value::Null);

    // A package that was pushed before what it needs.
    let url = world.layout("early");
    let push =
        ["--store", text(&store.unpadded_root), "buildcache", "push", &url, "hello", "--only", "package"];
    world.ok(push);
    let early = inspect(&world, &[&format!("{url}:{}", tag_of(&store, "hello"))])["images"][0].clone();
    assert_eq!((&early["complete"], &early["missing"].as_array().unwrap().len()), (&json!(false), &2));
}

#[test]
fn an_image_of_anybody_is_told_as_far_as_it_says() {
    let world = World::new();
    let url = world.layout("images");
    let mut debian = BaseImage::of_glibc("arm64", "2.36").with_files(&[("etc/motd", b"hello")]);
    debian.config.config.set_working_dir(Some("/work")).unwrap();
    debian.push(&*open(&url), "debian", Family::Docker).unwrap();
    let reference = format!("{url}:debian");
    let (manifest, _) = image(&url, "debian");
    let told = world.ok(["image", "inspect", &reference]);
    let digest = open(&url).resolve(&"debian".parse().unwrap()).unwrap().unwrap().digest;
    let row = |at: usize| {
        let layer = &manifest.layers[at];
        let size = if layer.size < 1000 { format!("{} bytes", layer.size) } else { panic!("{}", layer.size) };
        format!("  {}  {size:>9}     1  made for a test\n", &layer.digest.to_string()[..19])
    };
    let size: u64 = manifest.layers.iter().map(|layer| layer.size).sum();
    let expected = format!(
        "{reference}\n  image      linux/arm64\n  digest     {digest}\n  created    2024-01-01T00:00:00Z\n  \
         size       2 layers, {size} bytes; there is no other tag\n  cmd        [\"/bin/sh\"]\n  workdir    /work\n  \
         env        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\n  \
         layer                     size  tags  holds\n{}{}",
        row(0),
        row(1)
    );
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeeze(&told), squeeze(&expected), "{told}");
}

#[test]
fn an_index_has_several_images() {
    let world = World::new();
    let url = world.layout("images");
    let images = [BaseImage::of_glibc("amd64", "2.36"), BaseImage::of_glibc("arm64", "2.40")];
    push_index(&*open(&url), "all", Family::Oci, &images).unwrap();
    let reference = format!("{url}:all");
    let found = inspect(&world, &[&reference]);
    assert_eq!((&found["kind"], &found["others"]), (&json!("index"), &json!(2)));
    let platforms = |found: &Value| -> Vec<Value> {
        found["images"].as_array().unwrap().iter().map(|image| image["platform"].clone()).collect()
    };
    assert_eq!(platforms(&found), ["linux/amd64", "linux/arm64"]);
    assert_eq!(platforms(&inspect(&world, &[&reference, "--platform", "linux/arm64"])), ["linux/arm64"]);
    let run = |arguments: &[&str]| world.run([&["image", "inspect"], arguments].concat());
    run(&[&reference, "--platform", "linux/s390x"]).fails(NOT_FOUND, &["linux/s390x", "linux/amd64"]);
    run(&[&reference, "--platform", "x"]).fails(USAGE, &["OS/ARCHITECTURE"]);
    run(&[&format!("{url}:none")]).fails(NOT_FOUND, &["none"]);
    run(&["UPPER CASE"]).fails(USAGE, &["UPPER CASE"]);
    // By digest, too.
    let digest = found["images"][0]["digest"].as_str().unwrap();
    assert_eq!(platforms(&inspect(&world, &[&format!("{url}@{digest}")])), ["linux/amd64"]);
}

#[test]
fn what_is_no_image_is_told_as_such() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let reference = format!("{cache}:index.spack");
    world.run(["image", "inspect", &reference]).fails(USAGE, &["no container image"]);
}

#[test]
fn a_digest_is_no_tag_of_its_own() {
    let world = World::new();
    let url = world.layout("images");
    let debian = BaseImage::of_glibc("arm64", "2.36");
    let digest = debian.push(&*open(&url), "one", Family::Oci).unwrap();
    let count = |reference: &str, expected: usize| {
        let told = world.ok(["image", "inspect", reference]);
        let row = told.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        assert!(row.windows(2).any(|words| words == [&*expected.to_string(), "made"]), "{told}");
        told
    };
    assert!(count(&format!("{url}:one"), 1).contains("there is no other tag"));
    let told = count(&format!("{url}@{digest}"), 1);
    assert!(told.contains("all of it shared (1 tag looked at)"), "{told}");
}

#[test]
fn a_registry_that_does_not_tell_of_other_tags_still_tells_of_one() {
    let world = World::new();
    let registry = TestRegistry::start();
    let url = registry.url("images");
    for (tag, version) in [("one", "2.36"), ("two", "2.40")] {
        BaseImage::of_glibc("arm64", version).push(&*open(&url), tag, Family::Oci).unwrap();
    }
    let reference = format!("{url}:one");
    assert_eq!(inspect(&world, &[&reference])["compared_with"], json!({"tags": 1, "of": 1}));
    for part in ["/tags/list", "/manifests/two"] {
        registry.faults().clear();
        registry.faults().add(move |entry| {
            let is_refused = entry.is("GET", part);
            is_refused.then(|| Fault::Answer(Answer::error(403, "DENIED", "that is too much")))
        });
        let ran = world.run(["--json", "image", "inspect", &reference]);
        assert_eq!(ran.code, Some(0), "{part}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("not comparing with other tags") && ran.stderr.contains("too much"),
            "{}",
            ran.stderr
        );
        let found = &ran.json()["result"];
        assert_eq!((&found["compared_with"], &found["images"][0]["unshared"]), (&Value::Null, &Value::Null));
        assert_eq!(found["images"][0]["platform"], "linux/arm64");
    }
}
