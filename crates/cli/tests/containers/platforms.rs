//! Images of several platforms under one tag.

use crate::registries::{Registry, engines, made};
use crate::support::{World, text};
use strata_oci::media_type::Family;
use strata_testkit::base_image::{BaseImage, push_index};

#[test]
fn an_engine_takes_the_image_of_its_own_platform() {
    const TEST: &str = "an_engine_takes_the_image_of_its_own_platform";
    let world = World::new();
    let Some(engines) = engines(TEST) else { return };
    let Some(debian) = made(TEST, BaseImage::small_debian()) else { return };
    let store = world.sample_store();
    let here = debian.config.architecture.clone();
    let elsewhere = if here == "amd64" { "arm64" } else { "amd64" };
    for registry in Registry::all(&world, TEST) {
        // The base is found in an index, too: that of the other platform would be refused.
        let images = [BaseImage::of_glibc(elsewhere, "2.17"), debian.clone()];
        push_index(&*registry.open("base"), "debian", Family::Oci, &images).unwrap();
        let (base, cache) = (format!("{}:debian", registry.url("base")), registry.url("cache"));
        let root = text(&store.unpadded_root);
        world.ok(["--store", root, "buildcache", "push", "--base-image", &base, "--tag", "here", &cache]);
        BaseImage::of_glibc(elsewhere, "2.36").push(&*registry.open("cache"), "there", Family::Oci).unwrap();
        let reference = |tag: &str| format!("{cache}:{tag}");
        let add = ["--add", &reference("here"), "--add", &reference("there")];
        world.ok(["image", "index", &reference("both")].iter().chain(&add));
        for engine in &engines {
            let image = engine.pull(&format!("{}/cache:both", registry.host()));
            let image = image.unwrap_or_else(|error| panic!("{registry}, {engine}: {error}"));
            assert_eq!(image.inspect()["Architecture"], *here, "{registry}, {engine}");
            assert_eq!(
                image.run(&["hello"]).ok(),
                "hello from a relocated library\n",
                "{registry}, {engine}"
            );
        }
        for (tag, architecture) in [("here", &*here), ("there", elsewhere)] {
            let (digest, ..) = registry.image("cache", tag);
            let of_index = registry.skopeo(&["--override-arch", architecture, "--config"], "cache:both");
            let Some(of_index) = of_index else { continue };
            assert_eq!(of_index["architecture"], *architecture, "{registry}");
            let raw = registry.skopeo(&["--raw"], "cache:both").unwrap();
            let listed = raw["manifests"].as_array().unwrap();
            assert!(listed.iter().any(|entry| entry["digest"] == digest.to_string()), "{registry}: {raw}");
        }
    }
}
