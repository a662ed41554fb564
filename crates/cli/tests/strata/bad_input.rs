//! What is asked for cannot be: specs that are none or not there, URLs of nothing.

use crate::support::exit_code::{NOT_FOUND, USAGE};
use crate::support::{World, install, text, tree};

#[test]
fn a_spec_that_is_not_there() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let root = world.path("root");
    for spec in ["nothing", "hello@9", "/zzzzzzz", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        install(&world, &root, &cache, spec)
            .fails(NOT_FOUND, &["error: no spec matches", spec, &cache, "hint:"]);
        assert!(!root.exists(), "nothing was written");
    }
    let built = text(&store.unpadded_root);
    for arguments in [["find", "nothing"], ["location", "nothing"], ["uninstall", "nothing"]] {
        world
            .run([&["--store", built], &arguments[..]].concat())
            .fails(NOT_FOUND, &["no spec matches `nothing`"]);
    }
    world.run(["--store", built, "buildcache", "push", &cache, "nothing"]).fails(NOT_FOUND, &["`nothing`"]);
}

#[test]
fn a_spec_that_cannot_be_read() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    for spec in ["", "hello@", "hello+", "hello %", "hello+x~x", "hello@1@2", "hello@1:2:3"] {
        install(&world, &world.path("root"), &cache, spec).fails(USAGE, &["cannot read spec"]);
    }
    world.run(["install"]).fails(USAGE, &["neither packages nor an environment are named", "hint: "]);
    world.run(["no-such-command"]).fails(USAGE, &["no-such-command"]);
}

#[test]
fn a_spec_that_means_several() {
    let world = World::new();
    let store = world.sample_store();
    // A second greet, of another version and hash, in the database alone.
    let file = store.root.join(".spack-db/index.json");
    let mut database: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let installs = database["database"]["installs"].as_object_mut().unwrap();
    let mut other = installs[&store.package("greet").hash].clone();
    let hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    other["spec"]["hash"] = hash.into();
    other["spec"]["version"] = "2.0".into();
    installs.insert(hash.to_owned(), other);
    std::fs::write(&file, database.to_string()).unwrap();
    let built = text(&store.unpadded_root);
    for arguments in [
        vec!["location", "greet"],
        vec!["uninstall", "greet"],
        vec!["buildcache", "push", "-n", "oci+file:///nowhere/x", "greet"],
    ] {
        let ran = world.run([vec!["--store", built], arguments].concat());
        ran.fails(
            USAGE,
            &["`greet` matches 2 specs", "/aaaaaaa greet@=2.0", "hint: say which one by its hash"],
        );
    }
    assert!(world.ok(["--store", built, "location", "greet@2"]).contains("greet-1.0"));
}

#[test]
fn urls_that_are_none_and_caches_that_are_not_there() {
    let world = World::new();
    let store = world.sample_store();
    let root = world.path("root");
    for url in [
        "https://example.org/x",
        "s3://bucket",
        "file:///x",
        "oci://",
        "oci://ghcr.io",
        "oci+file://relative",
    ] {
        install(&world, &root, url, "x").fails(USAGE, &["error:"]);
        let push = ["--store", text(&store.unpadded_root), "buildcache", "push", url];
        world.run(push).fails(USAGE, &["error:"]);
        world.run(["mirror", "add", "x", url]).fails(USAGE, &["error:"]);
    }
    install(&world, &root, "no-such-mirror", "x").fails(USAGE, &["no-such-mirror", "mirror add"]);
    world.run(["--store", text(&root), "install", "x"]).fails(USAGE, &["no mirror", "mirror add"]);
    let absent = world.layout("absent");
    install(&world, &root, &absent, "x").fails(NOT_FOUND, &["no such cache"]);
    world.run(["buildcache", "update-index", &absent]).fails(NOT_FOUND, &["no such cache"]);
    world.run(["buildcache", "list", "-m", &absent]).fails(NOT_FOUND, &["no such cache"]);
    assert!(!world.path("absent").exists() && !root.exists());
    // A directory that holds something else is not filled with blobs.
    let other = world.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.txt"), "mine").unwrap();
    let push = ["--store", text(&store.unpadded_root), "buildcache", "push", &world.layout("other")];
    world.run(push).fails(USAGE, &["not an OCI image layout"]);
    assert_eq!(tree(&other).len(), 1);
}

#[test]
fn only_what_is_not_installed() {
    let world = World::new();
    let store = world.sample_store();
    let file = store.root.join(".spack-db/index.json");
    let mut database: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    database["database"]["installs"][&store.package("runner").hash]["installed"] = false.into();
    std::fs::write(&file, database.to_string()).unwrap();
    let cache = world.layout("cache");
    let push = ["--store", text(&store.unpadded_root), "buildcache", "push", &cache];
    for spec in ["runner", "gcc"] {
        world.run([&push[..], &[spec]].concat()).fails(NOT_FOUND, &["nothing to push", spec, "hint:"]);
    }
    assert!(!world.path("cache").exists());
    let ran = world.run([&push[..], &["runner", "greet"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("skipping runner@0.3"), "{}", ran.stderr);
}

#[test]
fn what_is_no_name_of_a_variable_may_be_the_secret_and_is_not_shown() {
    let world = World::new();
    let add = [
        "mirror",
        "add",
        "ours",
        "oci://localhost/cache",
        "--oci-username",
        "joe",
        "--oci-password-variable",
    ];
    for word in ["correct horse", "pa$$", "1word"] {
        let ran = world.run([&add[..], &[word]].concat());
        ran.fails(USAGE, &["environment variable", "hint:"]);
        assert!(!ran.stderr.contains(word), "{}", ran.stderr);
    }
    assert!(!world.path("user-scope/mirrors.yaml").exists());
    world.ok([&add[..], &["OUR_PASSWORD"]].concat());
}

#[test]
fn an_address_to_listen_on_that_is_none() {
    let world = World::new();
    for address in ["127.0.0.1", ":5000", "localhost:http"] {
        world.run(["serve", text(&world.path("served")), "--listen", address]).fails(USAGE, &["--listen"]);
    }
}
