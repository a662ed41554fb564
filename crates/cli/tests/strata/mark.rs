//! `strata mark`: what counts as asked for.

use crate::support::exit_code::{NOT_ALLOWED, NOT_FOUND, USAGE};
use crate::support::{World, is_root, text};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

#[test]
fn marks_are_written_once_and_only_if_all_specs_mean_something() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let index = store.root.join(".spack-db/index.json");
    let explicit = || -> Vec<String> {
        let index: Value = serde_json::from_str(&std::fs::read_to_string(&index).unwrap()).unwrap();
        let records = index["database"]["installs"].as_object().unwrap().values();
        let mut names: Vec<String> = records
            .filter(|record| record["explicit"] == true)
            .map(|record| record["spec"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(explicit(), ["hello"]);
    assert_eq!(
        world.ok(["--store", root, "mark", "-e", "greet", "runner"]),
        "marked 2 packages as explicit\n"
    );
    assert_eq!(explicit(), ["greet", "hello", "runner"]);
    let written = std::fs::metadata(&index).unwrap().modified().unwrap();
    let said = world.ok(["--store", root, "mark", "--explicit", "greet"]);
    assert_eq!(said, "marked 0 packages as explicit; 1 package marked so already\n");
    assert_eq!(std::fs::metadata(&index).unwrap().modified().unwrap(), written, "there was nothing to write");
    world.ok(["--store", root, "mark", "-ia"]);
    assert_eq!(explicit(), Vec::<String>::new());

    let ran = world.run(["--store", root, "mark", "-e", "greet", "absent"]);
    ran.fails(NOT_FOUND, &["absent"]);
    world.run(["--store", root, "mark", "-ea", "absent"]).fails(NOT_FOUND, &["absent"]);
    world.run(["--store", root, "mark", "-e", "@1:"]).fails(USAGE, &["greet", "hello", "/HASH"]);
    assert_eq!(explicit(), Vec::<String>::new(), "all or nothing");
    for arguments in [vec!["mark", "greet"], vec!["mark", "-e"], vec!["mark", "-e", "-i", "greet"]] {
        world.run([vec!["--store", root], arguments].concat()).fails(USAGE, &["Usage"]);
    }
    world.run(["--store", text(&world.path("none")), "mark", "-e", "x"]).fails(USAGE, &["no Spack database"]);
    if is_root() {
        strata_testkit::golden::skipped("marking in a store of somebody else", "the tests run as root");
        return;
    }
    for name in ["lock", "prefix_lock"] {
        let file = store.root.join(".spack-db").join(name);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    }
    world.run(["--store", root, "mark", "-e", "greet"]).fails(NOT_ALLOWED, &["read-only"]);
    world.run(["--store", root, "gc"]).fails(NOT_ALLOWED, &["read-only"]);
}
