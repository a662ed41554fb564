//! Images of more packages than an image can have layers.

use crate::registries::{Registry, engines, made};
use crate::support::{World, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use strata_oci::media_type::Family;
use strata_testkit::base_image::BaseImage;
use strata_testkit::engine::EngineImage;
use strata_testkit::sample_store::SampleStore;

const PACKAGES: usize = 150;

/// Docker 20.10 registers no more layers than that ("max depth exceeded").
const DOCKERS_LIMIT: usize = 125;

/// A store of many packages in a world, and what there is to be said by all of them.
pub(crate) fn many(world: &World) -> (SampleStore, BTreeSet<String>) {
    let store = SampleStore::build_many(&world.path("built"), 128, PACKAGES).unwrap();
    let names = store.packages.iter().map(|package| package.name.clone()).collect();
    (store, names)
}

/// Runs the program that runs all others, found by its name alone.
#[track_caller]
pub(crate) fn all_answer(image: &EngineImage<'_>, names: &BTreeSet<String>, context: &str) {
    let ran = image.run(&[SampleStore::MANY]);
    let said: Vec<&str> = ran.ok().lines().collect();
    assert_eq!(said.len(), names.len(), "{context}: {ran:?}");
    assert_eq!(said.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), *names, "{context}");
}

#[test]
fn an_image_of_150_packages_runs_and_each_of_them_installs() {
    const TEST: &str = "an_image_of_150_packages_runs_and_each_of_them_installs";
    let world = World::new();
    let Some(engines) = engines(TEST) else { return };
    let Some(base) = made(TEST, BaseImage::small_debian()) else { return };
    // So many layers that the usual hundred would be too many on top of them.
    let texts: Vec<String> = (0..30).map(|at| format!("usr/share/base/{at}.txt")).collect();
    let base = texts.iter().fold(base, |base, text| base.with_files(&[(text, text.as_bytes())]));
    let (store, names) = many(&world);
    for registry in Registry::all(&world, TEST) {
        base.push(&*registry.open("base"), "debian", Family::Oci).unwrap();
        let (base, cache) = (format!("{}:debian", registry.url("base")), registry.url("cache"));
        let push = |options: &[&str]| {
            let fixed = ["--store", text(&store.unpadded_root), "buildcache", "push", "--base-image", &base];
            world.ok(fixed.iter().chain(options).chain([&&*cache]));
        };
        push(&["--tag", "pushed"]);
        let build = ["image", "build", SampleStore::MANY, "--mirror", &cache, "--base-image", &base];
        world.ok(build.iter().chain(&["--tag", "built"]));
        let package = store.package(SampleStore::MANY);
        let package = format!("{}-{}-{}.spack", package.name, package.version, package.hash);
        let tags = ["pushed", "built", &package];
        for tag in tags {
            let (_, manifest, config) = registry.image("cache", tag);
            assert!(manifest.layers.len() <= DOCKERS_LIMIT, "{tag}: {}", manifest.layers.len());
            assert_eq!(manifest.layers.len(), config.root_fs.diff_ids.len(), "{tag}");
            if let Some(seen) = registry.skopeo(&[], &format!("cache:{tag}")) {
                assert_eq!(seen["Layers"].as_array().unwrap().len(), manifest.layers.len(), "{tag}");
            }
        }
        for engine in &engines {
            // Kept until the last is pulled: most layers are the same.
            let mut images = Vec::new();
            for tag in tags {
                let context = format!("{registry}, {engine}, {tag}");
                let image = engine.pull(&format!("{}/cache:{tag}", registry.host()));
                let image = image.unwrap_or_else(|error| panic!("{context}: {error}"));
                all_answer(&image, &names, &context);
                images.push(image);
            }
        }
        own_layers_are_last(&registry, &names);
        installs(&world, &registry, &names);
    }
}

/// What readers of packages rely on, with whatever else is in an image.
fn own_layers_are_last(registry: &Registry, names: &BTreeSet<String>) {
    let tags = registry.open("cache").tags().unwrap();
    let packages: Vec<&String> =
        tags.iter().filter(|tag| tag.ends_with(".spack") && *tag != "index.spack").collect();
    assert_eq!(packages.len(), names.len());
    let mut own = BTreeSet::new();
    for tag in packages {
        let (_, manifest, config) = registry.image("cache", tag);
        let layer = manifest.layers.last().unwrap();
        let checksum: Value =
            serde_json::from_str(config.extra.get("binary_cache_checksum").unwrap().get()).unwrap();
        assert_eq!(checksum["hash"], layer.digest.hex(), "{registry}: {tag}");
        assert!(manifest.layers.len() <= DOCKERS_LIMIT, "{tag}");
        own.insert(layer.digest.hex());
    }
    assert_eq!(own.len(), names.len(), "{registry}: each package has a layer of its own");
}

fn installs(world: &World, registry: &Registry, names: &BTreeSet<String>) {
    let root = world.path(&format!("root-{}", registry.host()));
    let cache = registry.url("cache");
    world.ok(["--store", text(&root), "install", "--mirror", &cache, SampleStore::MANY]);
    let installed = world.run(["--json", "--store", text(&root), "find", SampleStore::MANY]).json();
    let prefix = installed["result"]["specs"][0]["prefix"].as_str().unwrap().to_owned();
    let ran = Command::new(format!("{prefix}/bin/{}", SampleStore::MANY)).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(said.lines().map(str::to_owned).collect::<BTreeSet<_>>(), *names, "{registry}");
}
