//! Stores below ours (`upstreams`): used, shown and pushed from, and never changed.

use crate::reindex::{complete_specs, records};
use crate::support::exit_code::{NOT_ALLOWED, NOT_FOUND};
use crate::support::{World, install, text, tree};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Configuration of the user.
fn configure(world: &World, file: &str, content: &str) {
    let scope = world.path("user-scope");
    std::fs::create_dir_all(&scope).unwrap();
    std::fs::write(scope.join(file), content).unwrap();
}

/// A store with `greet` and `runner`, configured as the upstream `site`; where it is, and the cache.
fn site(world: &World) -> (PathBuf, String) {
    let (_, cache) = world.sample_cache();
    let site = world.path("site");
    for spec in ["greet", "runner"] {
        assert_eq!(install(world, &site, &cache, spec).code, Some(0));
    }
    configure(
        world,
        "upstreams.yaml",
        &format!("upstreams:\n  site:\n    install_tree: {}\n", site.display()),
    );
    (site, cache)
}

fn prefix(world: &World, root: &Path, spec: &str) -> PathBuf {
    world.ok(["--store", text(root), "location", "-i", spec]).trim().into()
}

#[test]
fn what_is_installed_below_is_used_from_there() {
    let world = World::new();
    let (site, cache) = site(&world);
    let before = (tree(&site), std::fs::read(site.join(".spack-db/index.json")).unwrap());
    let root = world.path("root");
    let plan = world.ok(["--store", text(&root), "install", "-n", "-m", &cache, "hello"]);
    assert!(plan.contains("would install hello@2.1") && plan.contains(", in upstream site"), "{plan}");
    let ran = install(&world, &root, &cache, "hello");
    assert!(ran.stdout.contains("installed 1 package; 2 there already"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(prefix(&world, &root, "greet"), prefix(&world, &site, "greet"));
    let hello = Command::new(prefix(&world, &root, "hello").join("bin/hello")).output().unwrap();
    assert!(hello.status.success(), "it finds its library in the upstream: {hello:?}");
    // Our own database has nothing of theirs.
    let index = std::fs::read_to_string(root.join(".spack-db/index.json")).unwrap();
    assert!(index.contains("\"name\":\"hello\"") && !index.contains(text(&site)), "{index}");

    let find = |arguments: &[&str]| world.ok([&["--store", text(&root), "find", "-I"], arguments].concat());
    let all = find(&[]);
    assert!(
        all.contains("[+]  hello@2.1") && all.contains("[^]  greet@1.0") && all.contains("[^]  runner@0.3"),
        "{all}"
    );
    assert!(!find(&["--install-tree", "local"]).contains("greet"));
    assert!(!find(&["--install-tree", "site"]).contains("hello"));
    assert!(find(&["--install-tree", "upstream"]).contains("[^]  greet@1.0"));
    let unknown = world.run(["--store", text(&root), "find", "--install-tree", "nowhere"]);
    unknown.fails(2, &["no install tree `nowhere`", "site"]);

    // What is theirs is not ours to remove or replace.
    let remove = world.run(["--store", text(&root), "uninstall", "-y", "greet"]);
    remove.fails(NOT_ALLOWED, &["greet@1.0", "upstream site", text(&site), "hint:"]);
    let again = world.run(["--store", text(&root), "install", "--overwrite", "-m", &cache, "greet"]);
    again.fails(NOT_ALLOWED, &["greet@1.0", "upstream site"]);
    world.run(["--store", text(&root), "uninstall", "-y", "nonesuch"]).fails(NOT_FOUND, &["nonesuch"]);

    // A push takes dependencies from there; what is only there was asked for by others.
    let pushed = world.layout("pushed");
    let push = world.ok(["--store", text(&root), "buildcache", "push", "--update-index", &pushed]);
    assert!(push.contains("pushed 3 packages"), "{push}");
    configure(&world, "upstreams.yaml", "upstreams: {}\n");
    // Not longer than the root it was installed under.
    let fresh = world.path("new");
    assert_eq!(install(&world, &fresh, &pushed, "hello").code, Some(0));
    let hello = Command::new(prefix(&world, &fresh, "hello").join("bin/hello")).output().unwrap();
    assert!(hello.status.success(), "{hello:?}");
    assert_eq!((tree(&site), std::fs::read(site.join(".spack-db/index.json")).unwrap()), before);
}

#[test]
fn packages_above_are_verified_and_found_again() {
    let world = World::new();
    let (site, cache) = site(&world);
    let root = world.path("root");
    assert_eq!(install(&world, &root, &cache, "hello").code, Some(0));
    let run = |arguments: &[&str]| world.run([&["--store", text(&root)], arguments].concat());
    // Its paths lead to the upstream, whose packages are not verified here.
    let verified = run(&["--json", "verify", "--all", "--cache", "-m", &cache]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert_eq!(verified.json()["result"]["packages"].as_array().unwrap().len(), 1);

    complete_specs(&[&root, &site]);
    let before = records(&root, true);
    let ran = run(&["reindex"]);
    assert_eq!((ran.code, records(&root, true)), (Some(0), before), "{}", ran.stderr);
    // What is no longer installed there is recorded here, as missing.
    let alone = ["-c", "upstreams:{}"];
    let ran =
        world.run([&alone[..], &["--store", text(&site), "uninstall", "-y", "--force", "greet"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(run(&["reindex"]).code, Some(0));
    let records = records(&root, true);
    let missing = records.as_object().unwrap().values().filter(|record| record["installed"] == false);
    let missing: Vec<_> = missing.map(|record| record["spec"]["name"].as_str().unwrap()).collect();
    assert_eq!(missing, ["greet"]);
}

#[test]
fn an_upstream_that_is_not_there_is_left_out_with_a_warning() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    configure(&world, "upstreams.yaml", "upstreams:\n  gone:\n    install_tree: /no/such/directory\n");
    let root = world.path("root");
    let ran = install(&world, &root, &cache, "greet");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: the upstream gone is left out") && ran.stderr.contains("/no/such"));
}

#[test]
fn projections_and_padding_are_for_what_is_new() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    assert_eq!(install(&world, &root, &cache, "greet").code, Some(0));
    let greet = prefix(&world, &root, "greet");
    configure(
        &world,
        "config.yaml",
        &format!(
            "config:\n  install_tree:\n    root: {}\n    padded_length: 90\n    projections:\n      runner: tools/{{name}}-{{hash:7}}\n      all: '{{architecture}}/{{name}}/{{version}}-{{hash}}'\n",
            root.display()
        ),
    );
    let ran = world.run(["install", "-m", &cache, "hello"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let location = |spec: &str| PathBuf::from(world.ok(["location", "-i", spec]).trim());
    assert_eq!(location("greet"), greet, "what is recorded stays where it is, in a store without padding");
    assert!(location("runner").starts_with(root.join("tools")));
    let below = location("hello").strip_prefix(&root).unwrap().to_owned();
    assert!(text(&below).starts_with("linux-") && text(&below).contains("/hello/2.1-"), "{below:?}");
    assert!(Command::new(location("hello").join("bin/hello")).status().unwrap().success());
    world.ok(["uninstall", "-y", "hello"]);
    assert!(!root.join(below.iter().next().unwrap()).join("hello").exists(), "empty directories go, too");
}
