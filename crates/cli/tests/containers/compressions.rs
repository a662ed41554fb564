//! Images whose layers are compressed otherwise than with gzip.

use crate::registries::{Registry, engines, made};
use crate::support::{World, text};
use strata_oci::media_type::Family;
use strata_testkit::base_image::BaseImage;
use strata_testkit::golden;

#[test]
fn engines_run_what_is_compressed_with_zstd_or_not_at_all() {
    const TEST: &str = "engines_run_what_is_compressed_with_zstd_or_not_at_all";
    let world = World::new();
    let Some(engines) = engines(TEST) else { return };
    let Some(debian) = made(TEST, BaseImage::small_debian()) else { return };
    let store = world.sample_store();
    for registry in Registry::all(&world, TEST) {
        debian.push(&*registry.open("base"), "debian", Family::Oci).unwrap();
        let base = format!("{}:debian", registry.url("base"));
        for (method, media_type) in [("zstd", "tar+zstd"), ("none", "tar")] {
            let cache = registry.url(method);
            let root = text(&store.unpadded_root);
            let push =
                ["--store", root, "buildcache", "push", "--compression", method, "--base-image", &base];
            world.ok(push.iter().chain(&["--tag", "hello", &*cache]));
            let image = format!("{method}:hello");
            let media_type = format!("application/vnd.oci.image.layer.v1.{media_type}");
            if let Some(raw) = registry.skopeo(&["--raw"], &image) {
                let layers = raw["layers"].as_array().unwrap();
                let ours = layers.iter().filter(|layer| layer["mediaType"] == *media_type).count();
                assert_eq!(ours, 3, "{registry}: {raw}");
            }
            for engine in &engines {
                if let (Err(reason), "zstd") = (engine.takes_zstd(), method) {
                    golden::skipped(&format!("{TEST}, with {engine}"), &reason);
                    continue;
                }
                let pulled = engine.pull(&format!("{}/{image}", registry.host()));
                let pulled = pulled.unwrap_or_else(|error| panic!("{registry}, {engine}, {method}: {error}"));
                let said = pulled.run(&["hello"]);
                assert_eq!(said.ok(), "hello from a relocated library\n", "{registry}, {engine}, {method}");
            }
        }
    }
}
