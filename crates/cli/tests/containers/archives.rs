//! Images as files, for engines and for skopeo.

use crate::many::{all_answer, many};
use crate::registries::{Registry, engines, made};
use crate::support::{World, text};
use std::process::Command;
use strata_oci::media_type::Family;
use strata_testkit::base_image::BaseImage;
use strata_testkit::docker_registry::find_program;
use strata_testkit::golden;
use strata_testkit::sample_store::SampleStore;

#[test]
fn archives_are_loaded_and_run() {
    const TEST: &str = "archives_are_loaded_and_run";
    let world = World::new();
    let Some(engines) = engines(TEST) else { return };
    let Some(base) = made(TEST, BaseImage::small_debian()) else { return };
    let (store, names) = many(&world);
    for registry in Registry::all(&world, TEST) {
        base.push(&*registry.open("base"), "debian", Family::Oci).unwrap();
        let (base, cache) = (format!("{}:debian", registry.url("base")), registry.url("cache"));
        world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", &cache]);
        let build = |tag: &str| {
            let fixed = ["image", "build", SampleStore::MANY, "--mirror", &cache, "--base-image", &base];
            world.ok(fixed.iter().chain(&["--tag", tag]));
        };

        let docker = world.path("image.docker.tar");
        build(&format!("docker-archive:{}:localhost/strata-many-{}:1", docker.display(), std::process::id()));
        for engine in &engines {
            let image = engine.load(&docker).unwrap_or_else(|error| panic!("{registry}, {engine}: {error}"));
            all_answer(&image, &names, &format!("{registry}, {engine}, docker-archive"));
        }

        let oci = world.path("image.oci.tar");
        build(&format!("oci-archive:{}", oci.display()));
        let Some(skopeo) = find_program("skopeo") else {
            golden::skipped(TEST, "skopeo is not installed");
            continue;
        };
        let copied = Command::new(skopeo)
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
            .arg(format!("oci-archive:{}", oci.display()))
            .arg(format!("docker://{}/copied:1", registry.host()))
            .output()
            .unwrap();
        assert!(copied.status.success(), "{registry}: {}", String::from_utf8_lossy(&copied.stderr));
        for engine in &engines {
            let image = engine.pull(&format!("{}/copied:1", registry.host()));
            let image = image.unwrap_or_else(|error| panic!("{registry}, {engine}: {error}"));
            all_answer(&image, &names, &format!("{registry}, {engine}, oci-archive"));
        }
    }
}
