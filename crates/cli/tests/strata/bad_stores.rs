//! Stores that cannot be used, or not for this, and prefixes that are not as they should be.

use crate::support::exit_code::{CORRUPT, NOT_FOUND, SOME_FAILED, USAGE};
use crate::support::{World, install, text, tree};
use std::path::PathBuf;

#[test]
fn a_store_without_a_database_and_databases_that_cannot_be_used() {
    let world = World::new();
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    for store in [empty.clone(), world.path("absent")] {
        for arguments in [
            vec!["find"],
            vec!["location", "x"],
            vec!["uninstall", "x"],
            vec!["buildcache", "push", "oci+file:///x"],
        ] {
            let ran = world.run([vec!["--store", text(&store)], arguments].concat());
            ran.fails(USAGE, &["no Spack database", text(&store)]);
        }
    }
    assert!(tree(&empty).is_empty());

    let (store, cache) = world.sample_cache();
    let file = store.root.join(".spack-db/index.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let bad = [
        (good.replace("\"version\":\"8\"", "\"version\":\"99\""), "99"),
        (good[..good.len() / 2].to_owned(), "index.json"),
        ("{}".to_owned(), "index.json"),
        (good.replace("\"spec\"", "\"speck\""), "spec"),
    ];
    for (content, word) in bad {
        std::fs::write(&file, &content).unwrap();
        for arguments in [vec!["find"], vec!["install", "-m", &cache, "hello"], vec!["uninstall", "hello"]] {
            let ran = world.run([vec!["--store", text(&store.unpadded_root)], arguments].concat());
            ran.fails(CORRUPT, &[text(&file), word]);
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content, "it is left as it is");
    }
}

#[test]
fn a_prefix_that_is_not_on_disk() {
    let world = World::new();
    let store = world.sample_store();
    std::fs::remove_dir_all(&store.package("greet").prefix).unwrap();
    let cache = world.layout("cache");
    let push = ["--store", text(&store.unpadded_root), "buildcache", "push", &cache];
    let ran = world.run(push);
    let prefix = text(&store.package("greet").prefix).to_owned();
    let greet = format!("greet@1.0/{}", &store.package("greet").hash[..7]);
    ran.fails(SOME_FAILED, &["error:", &greet, "recorded as installed", &prefix, "hint:"]);
    assert!(ran.stdout.contains("pushed 2 packages"), "it does not stop the rest: {}", ran.stdout);
    let alone = world.run([&push[..], &["greet"]].concat());
    alone.fails(NOT_FOUND, &["error:", &greet, &prefix]);
    let planned = world.run([&push[..], &["--dry-run", "greet"]].concat());
    planned.fails(NOT_FOUND, &[&prefix]);
    assert!(
        ran.stderr.contains("the image of hello@2.1") && ran.stderr.contains("will not run"),
        "{}",
        ran.stderr
    );
    // And from there, what needs it cannot be installed, which is said before anything is written.
    let root = world.path("root");
    install(&world, &root, &world.layout("cache"), "hello")
        .fails(NOT_FOUND, &["hello@2.1", "needs greet@1.0", "in no mirror"]);
    assert!(!root.exists());
}

#[test]
fn a_root_that_is_too_long() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    // The sample is padded to 128 bytes; with sbang a root can have 117.
    let long = world.path(&"r".repeat(160));
    let ran = install(&world, &long, &cache, "hello");
    ran.fails(USAGE, &["bin/sbang", "at most 117 bytes"]);
    assert!(!long.exists());

    // A padded root is longer than the strings allow, but its sbang is not.
    let root = world.path("padded");
    let arguments = ["--store", text(&root), "--padded-length", "200", "install", "-m", &cache, "hello"];
    let ran = world.run(arguments);
    ran.fails(
        USAGE,
        &["cannot be installed under", "libgreet.so.1.0", "the longest root that works has", "hint:"],
    );
    assert!(!root.exists(), "nothing was written");
    // The length it names works, and one byte more does not.
    let longest: usize = ran
        .stderr
        .split("the longest root that works has ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(longest <= store.root.as_os_str().len() && longest > 64, "{longest}");
    let with = |name: &str, length: usize| {
        let root = world.path(name);
        world.run([
            "--store",
            text(&root),
            "--padded-length",
            &length.to_string(),
            "install",
            "-m",
            &cache,
            "hello",
        ])
    };
    assert_eq!(with("fits", longest).code, Some(0));
    with("too-long", longest + 1).fails(USAGE, &["the longest root that works has"]);
}

#[test]
fn something_else_at_the_prefix() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let plan = world.run(["--json", "--store", text(&root), "install", "-n", "-m", &cache, "greet"]).json();
    let prefix = PathBuf::from(plan["result"]["to_install"][0]["prefix"].as_str().unwrap());
    std::fs::create_dir_all(&prefix).unwrap();
    std::fs::write(prefix.join("precious"), "mine").unwrap();
    install(&world, &root, &cache, "greet").fails(1, &[text(&prefix), "exists", "hint:"]);
    assert_eq!(std::fs::read_to_string(prefix.join("precious")).unwrap(), "mine");
}

#[test]
fn another_padding_than_the_store_has() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let padded = |length: &str, spec: &str| {
        world.run(["--store", text(&root), "--padded-length", length, "install", "-m", &cache, spec])
    };
    assert_eq!(padded("100", "greet").code, Some(0));
    let before = tree(&root);
    padded("110", "runner").fails(USAGE, &["install tree already", "110", "--padded-length"]);
    assert_eq!(tree(&root), before);
    assert_eq!(padded("100", "runner").code, Some(0));
    assert_eq!(world.installed(&root), ["greet@1.0", "runner@0.3"]);
}
