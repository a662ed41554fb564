//! `buildcache push --upload`: the ways to send blobs, as the registry sees them.

use crate::support::{World, text};
use strata_testkit::registry::TestRegistry;

#[test]
fn blobs_are_sent_the_way_that_is_asked_for() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let log = registry.log();
    let push = |name: &str, how: &[&str]| {
        log.clear();
        let push = ["--store", text(&store.unpadded_root), "buildcache", "push", &registry.url(name)];
        world.ok([&push[..], how].concat());
        let single = log
            .matching("POST", "/blobs/uploads/")
            .iter()
            .filter(|e| e.parameter("digest").is_some())
            .count();
        (single, log.count("PATCH", "/blobs/uploads/"), log.count("PUT", "/blobs/uploads/"))
    };
    let (single, chunks, blobs) = push("monolithic", &[]);
    assert_eq!((single, chunks), (0, 0));
    assert!(blobs >= 6, "three layers and three configs: {blobs}");
    assert_eq!(push("single-post", &["--upload", "single-post"]), (blobs, 0, 0));
    let (single, chunks, ends) = push("chunked", &["--upload", "chunked:1Ki"]);
    assert_eq!((single, ends), (0, blobs));
    assert!(chunks > blobs, "{chunks} chunks of {blobs} blobs");
    world.run(["buildcache", "push", "x", "--upload", "pigeon"]).fails(2, &["single-post"]);
}

#[test]
fn what_another_mirror_of_the_registry_has_is_mounted_and_not_sent() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let log = registry.log();
    for name in ["first", "second"] {
        world.ok(["mirror", "add", name, &registry.url(name)]);
    }
    let push = |name: &str| {
        log.clear();
        world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--no-update-index", name]);
        let mounted = log.matching("POST", "/blobs/uploads/");
        let mounted = mounted.iter().filter(|entry| entry.parameter("mount").is_some());
        (mounted.filter(|entry| entry.status() == Some(201)).count(), log.count("PUT", "/blobs/uploads/"))
    };
    let (mounted, sent) = push("first");
    assert_eq!(mounted, 0, "nobody had anything yet");
    let layers = sent / 2;
    assert_eq!(push("second"), (layers, layers), "layers are mounted, configs are sent");
    world.ok(["--store", text(&world.path("elsewhere")), "install", "--mirror", "second", "hello"]);
}
