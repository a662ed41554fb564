//! `strata image index`: images of several platforms under one tag, whoever else writes it at the same time.

use crate::image_build::{image, open};
use crate::support::exit_code::{NOT_FOUND, USAGE};
use crate::support::{Ran, World};
use serde_json::{Value, json};
use std::sync::Barrier;
use strata_oci::ManifestRef;
use strata_oci::media_type::Family;
use strata_testkit::base_image::{BaseImage, push_index};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;
use strata_testkit::registry::TestRegistry;

const ARCHITECTURES: [&str; 6] = ["amd64", "arm64", "ppc64le", "riscv64", "s390x", "loong64"];

/// Puts an image for `architecture`, another for each `version`.
fn put(url: &str, tag: &str, architecture: &str, version: &str, family: Family) -> String {
    BaseImage::of_glibc(architecture, version).push(&*open(url), tag, family).unwrap().to_string()
}

fn index(world: &World, arguments: &[&str]) -> Ran {
    world.run([&["--json", "image", "index"], arguments].concat())
}

fn ok(world: &World, arguments: &[&str]) -> Value {
    let ran = index(world, arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["result"].clone()
}

/// The entries of an index.
fn entries(url: &str, tag: &str) -> Vec<Value> {
    let raw = open(url).manifest(&ManifestRef::Tag(tag.parse().unwrap())).unwrap().unwrap();
    let index: Value = serde_json::from_slice(&raw.bytes).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

fn platforms(url: &str, tag: &str) -> Vec<String> {
    let of = |entry: &Value| entry["platform"]["architecture"].as_str().unwrap().to_owned();
    entries(url, tag).iter().map(of).collect()
}

#[test]
fn images_are_added_replaced_and_removed() {
    let world = World::new();
    let registry = TestRegistry::start();
    // The images come from two places, and one of them is where the index goes.
    let (url, elsewhere, layout) = (registry.url("images"), registry.url("others"), world.layout("layout"));
    for target in [&url, &layout] {
        let at = |tag: &str| format!("{target}:{tag}");
        let arm = put(&elsewhere, "arm", "arm64", "2.36", Family::Oci);
        let amd = put(target, "amd", "amd64", "2.36", Family::Oci);
        let made = ok(&world, &[&at("all"), "--add", &format!("{elsewhere}:arm"), "--add", &at("amd")]);
        assert_eq!(made["added"], json!(["linux/amd64", "linux/arm64"]));
        assert_eq!(
            made["images"],
            json!([
                {"platform": "linux/amd64", "digest": amd}, {"platform": "linux/arm64", "digest": arm},
            ])
        );
        assert_eq!(platforms(target, "all"), ["amd64", "arm64"]);
        let again = ok(&world, &[&at("all"), "--add", &at("amd")]);
        assert_eq!((&again["written"], &again["digest"]), (&json!(false), &made["digest"]));

        let newer = put(target, "newer", "amd64", "2.40", Family::Oci);
        let replaced = ok(&world, &[&at("all"), "--add", &at("newer")]);
        assert_eq!((&replaced["replaced"], &replaced["added"]), (&json!(["linux/amd64"]), &json!([])));
        assert_eq!(replaced["images"][0]["digest"], newer);
        let removed = ok(&world, &[&at("all"), "--remove", "linux/arm64"]);
        assert_eq!(removed["removed"], json!(["linux/arm64"]));
        assert_eq!(platforms(target, "all"), ["amd64"]);
        index(&world, &[&at("all"), "--remove", "linux/arm64"])
            .fails(NOT_FOUND, &["linux/arm64", "linux/amd64"]);
        index(&world, &[&at("all"), "--remove", "linux/amd64"]).fails(USAGE, &["no image left"]);

        // The order in which they were added does not matter.
        ok(&world, &[&at("all"), "--add", &at("amd")]);
        let last = ok(&world, &[&at("all"), "--add", &format!("{elsewhere}:arm")]);
        assert_eq!(last["digest"], made["digest"]);
    }
}

#[test]
fn what_is_there_stays() {
    let world = World::new();
    let registry = TestRegistry::start();
    let url = registry.url("images");
    let at = |tag: &str| format!("{url}:{tag}");
    let images = [BaseImage::of_glibc("amd64", "2.36"), BaseImage::of_glibc("arm64", "2.36")];
    push_index(&*open(&url), "all", Family::Oci, &images).unwrap();
    let attestations = |tag: &str| -> Vec<Value> {
        entries(&url, tag).into_iter().filter(|e| e["platform"]["os"] == "unknown").collect()
    };
    let before = attestations("all");
    assert_eq!(before.len(), 2);
    put(&url, "power", "ppc64le", "2.36", Family::Oci);
    let added = ok(&world, &[&at("all"), "--add", &at("power")]);
    assert_eq!((&added["images"].as_array().unwrap().len(), &added["others"]), (&3, &json!(2)));
    assert_eq!(attestations("all"), before);
    // What is attested of an image goes with it.
    put(&url, "newer", "amd64", "2.40", Family::Oci);
    assert_eq!(ok(&world, &[&at("all"), "--add", &at("newer")])["others"], 1);

    // The members of an index are added, and not what is attested of them.
    let members = ok(&world, &[&at("copy"), "--add", &at("all")]);
    assert_eq!(
        (&members["images"], &members["others"]),
        (&json!(ok(&world, &[&at("all"), "--add", &at("newer")])["images"]), &json!(0))
    );

    // A plain image becomes a member.
    let plain = put(&url, "plain", "amd64", "2.36", Family::Oci);
    let made = ok(&world, &[&at("plain"), "--add", &at("power")]);
    assert_eq!(made["images"][0]["digest"], plain);
    assert_eq!(platforms(&url, "plain"), ["amd64", "ppc64le"]);
}

#[test]
fn what_does_not_go_together_is_refused_by_name() {
    let world = World::new();
    let url = world.layout("images");
    let at = |tag: &str| format!("{url}:{tag}");
    put(&url, "oci", "amd64", "2.36", Family::Oci);
    put(&url, "docker", "arm64", "2.36", Family::Docker);
    put(&url, "oci2", "amd64", "2.40", Family::Oci);
    for (arguments, words) in [
        (
            vec![at("x"), "--add".into(), at("oci"), "--add".into(), at("docker")],
            vec!["docker", "Docker", "OCI"],
        ),
        (vec![at("oci"), "--add".into(), at("docker")], vec!["docker", "Docker", "OCI"]),
        (
            vec![at("x"), "--add".into(), at("oci"), "--add".into(), at("oci2")],
            vec!["oci", "oci2", "linux/amd64"],
        ),
        (vec![at("x.spack"), "--add".into(), at("oci")], vec![".spack"]),
        (vec![at("x")], vec!["--add"]),
        (vec![at("x"), "--remove".into(), "amd64".into()], vec!["amd64", "OS/ARCHITECTURE"]),
        (vec![format!("{url}@sha256:{}", "0".repeat(64)), "--add".into(), at("oci")], vec!["digest"]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        index(&world, &arguments).fails(USAGE, &words);
    }
    index(&world, &[&at("x"), "--add", &at("none")]).fails(NOT_FOUND, &[&at("none")]);
    index(&world, &[&at("none"), "--remove", "linux/amd64"]).fails(NOT_FOUND, &[&at("none")]);
    // All of Docker's kind is fine, and nothing else was written.
    ok(&world, &[&at("list"), "--add", &at("docker")]);
    assert_eq!(open(&url).tags().unwrap(), ["docker", "list", "oci", "oci2"]);
    assert_eq!(
        open(&url).resolve(&"list".parse().unwrap()).unwrap().unwrap().media_type,
        Family::Docker.index()
    );
}

#[test]
fn nothing_is_copied_for_an_index_that_is_refused() {
    let world = World::new();
    let (url, elsewhere) = (world.layout("images"), world.layout("others"));
    put(&url, "all", "amd64", "2.36", Family::Oci);
    put(&elsewhere, "docker", "arm64", "2.36", Family::Docker);
    put(&elsewhere, "arm", "arm64", "2.40", Family::Oci);
    let config = image(&elsewhere, "docker").0.config.digest;
    let (all, docker) = (format!("{url}:all"), format!("{elsewhere}:docker"));
    index(&world, &[&all, "--add", &docker]).fails(USAGE, &["Docker", "OCI"]);
    assert_eq!(open(&url).blob_size(&config).unwrap(), None);
    let (none, arm) = (format!("{url}:none"), format!("{elsewhere}:arm"));
    index(&world, &[&none, "--add", &arm, "--remove", "linux/s390x"]).fails(NOT_FOUND, &[&none]);
    assert_eq!(open(&url).blob_size(&image(&elsewhere, "arm").0.layers[0].digest).unwrap(), None);
    // What is no image at all.
    let (_, cache) = world.sample_cache();
    let of_cache = format!("{cache}:index.spack");
    index(&world, &[&all, "--add", &of_cache]).fails(USAGE, &[&of_cache, "no container image"]);
}

#[test]
fn an_index_may_say_more_of_its_images_than_they_do() {
    let world = World::new();
    let url = world.layout("images");
    // Two variants, of which no config speaks.
    for version in ["2.36", "2.40"] {
        put(&url, version, "arm", version, Family::Oci);
    }
    let platform =
        |variant: &str| json!({"architecture": "arm", "os": "linux", "variant": variant, "features": ["x"]});
    let of = |tag: &str, variant: &str| {
        let descriptor = open(&url).resolve(&tag.parse().unwrap()).unwrap().unwrap();
        json!({
            "mediaType": descriptor.media_type, "digest": descriptor.digest.to_string(), "size": descriptor.size,
            "platform": platform(variant),
        })
    };
    let manifests = [of("2.36", "v6"), of("2.40", "v7")];
    let bytes =
        json!({"schemaVersion": 2, "mediaType": Family::Oci.index(), "manifests": manifests}).to_string();
    open(&url).put_manifest(&"arms".parse().unwrap(), Family::Oci.index(), bytes.as_bytes()).unwrap();
    let made = ok(&world, &[&format!("{url}:all"), "--add", &format!("{url}:arms")]);
    assert_eq!(made["added"], json!(["linux/arm/v6", "linux/arm/v7"]));
    assert_eq!(entries(&url, "all")[1]["platform"], platform("v7"));
}

/// Every writer adds an image of its own at the same time; none is lost.
fn nobody_is_lost(url: &str) {
    let world = World::new();
    for architecture in ARCHITECTURES {
        put(url, architecture, architecture, "2.36", Family::Oci);
    }
    for round in 0..3 {
        let all = format!("{url}:all{round}");
        let barrier = Barrier::new(ARCHITECTURES.len());
        std::thread::scope(|scope| {
            for architecture in ARCHITECTURES {
                let (world, barrier, all) = (&world, &barrier, &all);
                scope.spawn(move || {
                    barrier.wait();
                    ok(world, &[all, "--add", &format!("{url}:{architecture}")]);
                });
            }
        });
        let mut expected = ARCHITECTURES.to_vec();
        expected.sort_unstable();
        assert_eq!(platforms(url, &format!("all{round}")), expected);
    }
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    nobody_is_lost(&TestRegistry::start().url("images"));
    nobody_is_lost(&World::new().layout("images"));
}

#[test]
fn writers_at_the_same_time_lose_nothing_in_docker_registry() {
    match DockerRegistry::start() {
        Some(registry) => nobody_is_lost(&registry.url("images")),
        None => golden::skipped(
            "writers_at_the_same_time_lose_nothing_in_docker_registry",
            "there is no docker-registry",
        ),
    }
}
