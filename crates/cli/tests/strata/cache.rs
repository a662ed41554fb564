//! The blob cache as its user meets it.

use crate::support::{Ran, World, text};
use strata_testkit::registry::TestRegistry;

/// A registry with the sample store in `cache`.
fn filled(world: &World) -> (TestRegistry, String) {
    let registry = TestRegistry::start();
    let (store, url) = (world.sample_store(), registry.url("cache"));
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &url]);
    registry.log().clear();
    (registry, url)
}

fn info(world: &World) -> (u64, u64) {
    let info = world.run(["cache", "info", "--json"]).json();
    let number = |key: &str| info["result"]["cache"][key].as_u64().unwrap();
    (number("blobs"), number("bytes"))
}

#[test]
fn what_was_downloaded_is_not_downloaded_again() {
    let world = World::new();
    let (registry, url) = filled(&world);
    let install = |root: &str, flags: &[&str]| {
        world.ok([&["--store", text(&world.path(root)), "install", "--mirror", &url, "hello"], flags].concat());
        let downloads = registry.log().count("GET", "/blobs/");
        registry.log().clear();
        downloads
    };
    // The index, and a config and a layer of each of three packages: the layer that is looked at first, too, is asked for once.
    assert_eq!(install("one", &[]), 7);
    let (blobs, bytes) = info(&world);
    assert!(blobs >= 4 && bytes > 1000, "{blobs} blobs, {bytes} bytes");
    assert_eq!(install("two", &[]), 0);
    assert_eq!(install("three", &["--no-cache"]), 7);

    let path = world.ok(["cache", "path"]);
    assert_eq!(path.trim(), text(&world.path("home/.cache/strata")));
    assert!(
        world.ok(["cache", "info"]).contains(&format!("{blobs} blobs")),
        "{}",
        world.ok(["cache", "info"])
    );
    world.ok(["cache", "prune", "--unused-for", "1"]);
    assert_eq!(info(&world), (blobs, bytes), "all of it was used today");
    let pruned = world.run(["cache", "prune", "--max-size", "500", "--json"]).json();
    let left = pruned["result"]["kept_bytes"].as_u64().unwrap();
    assert!(left <= 500 && info(&world).1 == left, "{pruned}");
    world.ok(["cache", "prune", "--all"]);
    assert_eq!(info(&world), (0, 0));
    assert_eq!(install("four", &[]), 7);
}

#[test]
fn what_an_index_is_made_of_is_not_kept() {
    let world = World::new();
    let (registry, _) = filled(&world);
    world.ok(["cache", "prune", "--all"]);
    // Without an index: every config is read.
    let fresh = registry.url("fresh");
    let store = world.path("built");
    world.ok(["--store", text(&store), "buildcache", "push", "--no-update-index", &fresh]);
    registry.log().clear();
    world.ok(["buildcache", "update-index", &fresh]);
    assert!(registry.log().count("GET", "/blobs/") >= 3, "configs are read");
    assert_eq!(info(&world), (0, 0));
}

#[test]
fn another_directory_and_one_that_cannot_be() {
    let world = World::new();
    let (_registry, url) = filled(&world);
    let elsewhere = world.path("elsewhere");
    let install = |root: &str, directory: &str| -> Ran {
        let mut command = world.command();
        command.args(["--store", text(&world.path(root)), "install", "--mirror", &url, "greet"]);
        command.env("STRATA_CACHE_DIR", directory).output().unwrap().into()
    };
    assert_eq!(install("one", text(&elsewhere)).code, Some(0));
    assert!(elsewhere.join("blobs").is_dir());
    let ran = install("two", "/dev/null/cache");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("warning: not using the blob cache /dev/null/cache").count(),
        1,
        "{}",
        ran.stderr
    );
}

#[test]
fn what_may_go_has_to_be_said() {
    let world = World::new();
    world.run(["cache", "prune"]).fails(2, &["--max-size", "--unused-for", "--all"]);
    world.run(["cache", "prune", "--max-size", "lots"]).fails(2, &["is not a size"]);
    // Nothing is not an error, and makes nothing.
    world.ok(["cache", "prune", "--all"]);
    assert_eq!(info(&world), (0, 0));
    assert!(!world.path("home/.cache").exists());
}
