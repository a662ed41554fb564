//! `spec`, `why` and what `install` chooses, from the outside.

use crate::support::{World, exit_code, text};
use std::env::consts::ARCH;

/// The tree that `strata spec` prints of the sample store, with these marks.
fn tree(hello: &str, greet: &str, runner: &str) -> String {
    let form = format!("build_system=generic platform=linux os=debian12 target={ARCH}");
    format!(
        "{hello}  hello@=2.1 {form}\n\
         [e]      ^glibc@=2.36 {form}\n\
         {greet}      ^greet@=1.0 {form}\n\
         {runner}      ^runner@=0.3 {form}\n"
    )
}

#[test]
fn the_tree_says_what_is_cached_and_what_is_installed() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let spec =
        |arguments: &[&str]| world.ok([&["--store", text(&root), "spec", "-m", &cache], arguments].concat());
    assert_eq!(spec(&["hello"]), tree("[b]", "[b]", "[b]"));
    world.ok(["--store", text(&root), "install", "-m", &cache, "greet"]);
    assert_eq!(spec(&["hello"]), tree("[b]", "[+]", "[b]"));
    assert_eq!(spec(&["-I", "hello@2"]), tree("[b]", "[+]", "[b]"));
    let bare = spec(&["--no-install-status", "-N", "greet"]);
    assert!(bare.starts_with("sample.greet@=1.0 "), "{bare}");
    let long = spec(&["-l", "-t", "hello"]);
    assert!(long.lines().nth(2).unwrap().contains("  [bl  ]      ^greet@=1.0 "), "{long}");
    assert!(spec(&["--deptype", "all", "hello"]).contains("^gcc@=12.2.0 "));
    // What was asked for is at the left, also if another needs it.
    assert_eq!(spec(&["hello", "greet"]).lines().filter(|line| line.contains("greet@")).count(), 2);

    let json = world.run(["--json", "--store", text(&root), "spec", "-m", &cache, "hello"]).json();
    let nodes = json["result"]["nodes"].as_array().unwrap();
    let statuses: Vec<_> = nodes.iter().map(|node| (&node["name"], &node["status"])).collect();
    assert_eq!(
        serde_json::to_string(&statuses).unwrap(),
        r#"[["hello","cached"],["glibc","external"],["greet","installed"],["runner","cached"]]"#
    );
    assert_eq!(nodes[0]["mirrors"][0], cache.as_str());
    assert_eq!(nodes[0]["dependencies"][1]["types"], serde_json::json!(["build", "link"]));
}

#[test]
fn why_says_the_same_to_people_and_programs() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let hash = &store.package("greet").hash[..7];
    let why = |spec: &str| world.run(["why", "-m", &cache, spec]);
    let there = why("greet@1:");
    assert_eq!(there.code, Some(0), "{}", there.stderr);
    let form = format!("build_system=generic platform=linux os=debian12 target={ARCH}");
    let expected = format!("`greet@1:` is greet@1.0/{hash}, cached in {cache}\n  greet@=1.0 {form}\n");
    assert_eq!(there.stdout, expected);

    let miss = why("greet@2:");
    assert_eq!(miss.code, Some(exit_code::NOT_FOUND));
    let expected = format!(
        "no spec matches `greet@2:` in {cache}\n\
         nearest of 1 candidate:\n  greet@1.0/{hash}: version 1.0, asked for @2:\n\
         hint: `greet@1.0` would match greet@1.0/{hash}\n"
    );
    assert_eq!(miss.stdout, expected);
    let json = world.run(["--json", "why", "-m", &cache, "greet@2:"]).json();
    assert_eq!((json["ok"].as_bool(), &json["errors"][0]["kind"]), (Some(false), &"not-found".into()));
    assert_eq!(json["result"]["explanations"][0]["nearest"][0]["lacks"][0]["constraint"], "version");
    assert!(why("gret").stdout.contains("did you mean `greet`?"));
}

#[test]
fn every_miss_is_explained_and_a_mirror_that_is_down_is_no_miss() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let root = world.path("root");
    let hash = &store.package("hello").hash[..7];
    let reason = format!("hello@2.1/{hash}: version 2.1, asked for @3:");
    let nobody = "oci+http://127.0.0.1:1/nobody";
    for command in ["install", "spec"] {
        let run = |arguments: &[&str]| {
            world.run([&["--store", text(&root), command], arguments, &["hello@3:"]].concat())
        };
        run(&["-m", &cache]).fails(
            exit_code::NOT_FOUND,
            &["error: no spec matches `hello@3:`", &reason, "hint: `hello@2.1` would match"],
        );
        run(&["-m", &cache, "-m", nobody]).fails(
            exit_code::UNREACHABLE,
            &["cannot tell whether there is a binary of `hello@3:`", &reason, nobody],
        );
        run(&["-m", nobody]).fails(exit_code::UNREACHABLE, &["127.0.0.1:1", "hint:"]);
    }
    world.run(["why", "-m", nobody, "hello"]).fails(exit_code::UNREACHABLE, &[]);
    world.run(["why", "-m", &cache, "hello@"]).fails(exit_code::USAGE, &["hello@"]);
    assert!(!root.join(".spack-db").exists(), "nothing was written");
}

#[test]
fn what_does_not_run_here_is_installed_for_another_machine_only() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let install = |arguments: &[&str]| {
        let all = [&["--json", "--store", text(&root), "install", "-n", "-m", &cache], arguments, &["greet"]];
        world.run(all.concat())
    };
    let other = if ARCH == "x86_64" { "aarch64" } else { "x86_64" };
    let refused = install(&["--target", other]);
    assert_eq!(refused.code, Some(exit_code::NOT_FOUND), "{}", refused.stdout);
    assert!(
        refused.stdout.contains(&format!("built for {ARCH}, this machine is {other}")),
        "{}",
        refused.stdout
    );
    let chosen = install(&["--no-host-check"]).json()["result"]["chosen"][0].clone();
    assert_eq!((&chosen["asked"], &chosen["candidates"]), (&"greet".into(), &1.into()));
    install(&["--no-host-check", "--target", other]).fails(exit_code::USAGE, &["cannot be used with"]);
}

#[test]
fn what_an_index_lacks_is_found_by_its_tag() {
    let world = World::new();
    let (store, _) = world.sample_cache();
    let cache = world.layout("stale");
    let push = |arguments: &[&str]| {
        world.ok([&["--store", text(&store.unpadded_root), "buildcache", "push"], arguments].concat());
    };
    push(&[&cache, "greet"]);
    push(&["--no-update-index", &cache, "hello"]);
    let hash = &store.package("hello").hash[..7];
    let there = world.run(["why", "-m", &cache, "hello"]);
    assert_eq!(there.code, Some(0), "{}", there.stderr);
    assert!(
        there.stdout.starts_with(&format!("`hello` is hello@2.1/{hash}, cached in ")),
        "{}",
        there.stdout
    );
    assert!(there.stderr.contains("update-index"), "{}", there.stderr);
    let nearest = format!("hello@2.1/{hash}: version 2.1, asked for @3");
    world.run(["spec", "-m", &cache, "hello@3"]).fails(exit_code::NOT_FOUND, &[&nearest]);
    let known = world.run(["spec", "-m", &cache, "greet"]);
    assert!(!known.stderr.contains("update-index"), "tags are asked at a miss only: {}", known.stderr);
}

#[test]
fn a_spec_that_means_several_packages_is_refused_by_all() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    for command in ["why", "spec", "install"] {
        let ran = world.run(["--json", command, "-m", &cache, "build_system=generic"]);
        assert_eq!(ran.code, Some(exit_code::USAGE), "{command}: {}", ran.stdout);
        let error = &ran.json()["errors"][0];
        assert!(error["message"].as_str().unwrap().contains("is true of 3 packages"), "{command}: {error}");
        assert_eq!(error["hint"], "name the package", "{command}");
    }
}
