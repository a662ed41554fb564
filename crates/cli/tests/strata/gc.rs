//! `strata gc`: what nobody needs goes, and nothing else.

use crate::support::exit_code::{SOME_FAILED, USAGE};
use crate::support::{World, text, tree};
use serde_json::Value;

/// The names in a list of packages.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect()
}

#[test]
fn what_nobody_needs_goes_dependents_first() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let run = |arguments: &[&str]| world.run([&["--json", "--store", root], arguments].concat()).json();
    // hello was asked for, and needs greet and runner; the compiler was needed to build only.
    let planned = run(&["gc", "--dry-run"]);
    assert_eq!(names(&planned["result"]["would_remove"]), ["gcc"]);
    assert_eq!(planned["result"]["would_remove"][0]["external"], true);
    assert_eq!(names(&run(&["gc", "-nb"])["result"]["removed"]), Vec::<&str>::new());
    world.ok(["--store", root, "mark", "-i", "hello"]);
    let before = tree(&store.root);
    let planned = run(&["gc", "-n"]);
    assert_eq!(names(&planned["result"]["would_remove"]), ["hello", "greet", "runner", "gcc", "glibc"]);
    assert_eq!(tree(&store.root), before, "a dry run leaves no trace");

    // What stays needs it.
    world
        .run(["--store", root, "gc", "greet"])
        .fails(SOME_FAILED, &["greet@1.0", "is needed by", "hello@2.1"]);
    assert_eq!(names(&run(&["gc", "-y", "hello"])["result"]["removed"]), ["hello"]);
    assert!(!store.package("hello").prefix.exists());
    assert!(store.package("greet").prefix.exists());
    world.ok(["--store", root, "mark", "-e", "runner"]);
    let said = world.ok(["--store", root, "gc", "-y"]);
    assert!(said.contains("greet@1.0/") && said.contains("removed 2 packages"), "{said}");
    assert!(said.contains("gcc@12.2.0/") && said.contains("external"), "{said}");
    assert_eq!(world.installed(&store.unpadded_root), ["runner@0.3"]);
    assert!(!store.package("greet").prefix.exists() && store.package("runner").prefix.exists());
    assert_eq!(world.ok(["--store", root, "gc"]), "nothing to remove\n");
}

#[test]
fn environments_say_what_is_needed() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let spack = world.path("spack");
    let lock = |name: &str, roots: &[&str]| {
        let directory = spack.join("var/spack/environments").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("spack.yaml"), "spack: {specs: []}\n").unwrap();
        let index = std::fs::read_to_string(store.root.join(".spack-db/index.json")).unwrap();
        let index: Value = serde_json::from_str(&index).unwrap();
        let nodes = index["database"]["installs"].as_object().unwrap();
        let nodes: serde_json::Map<String, Value> =
            nodes.iter().map(|(hash, record)| (hash.clone(), record["spec"].clone())).collect();
        let root = |name: &&str| serde_json::json!({"hash": store.package(name).hash, "spec": name});
        let lock = serde_json::json!({
            "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
            "roots": roots.iter().map(root).collect::<Vec<_>>(), "concrete_specs": nodes,
        });
        std::fs::write(directory.join("spack.lock"), lock.to_string()).unwrap();
        directory
    };
    let (greeting, running) = (lock("greeting", &["greet"]), lock("group/running", &["runner"]));
    let empty = spack.join("var/spack/environments/empty");
    std::fs::create_dir_all(&empty).unwrap();
    std::fs::write(empty.join("spack.yaml"), "spack: {specs: []}\n").unwrap();
    let run = |arguments: &[&str]| {
        let all = [&["--json", "--store", root], arguments].concat();
        world.command().env("SPACK_ROOT", &spack).args(all).output().unwrap().into()
    };
    let would = |arguments: &[&str]| -> Vec<String> {
        let ran: crate::support::Ran = run(&[arguments, &["-n"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let result = &ran.json()["result"];
        let list = result.get("would_remove").or(result.get("removed")).unwrap();
        names(list).into_iter().map(str::to_owned).collect()
    };
    // `-e` after `gc` says who needs something, by name or by directory.
    assert_eq!(would(&["gc", "-e", "greeting"]), ["hello", "runner", "gcc"]);
    assert_eq!(would(&["gc", "-e", text(&greeting), "-egroup/running"]), ["hello", "gcc"]);
    assert_eq!(would(&["gc", "-bE"]), ["hello"]);
    // Before it, it says which environment is cleaned up: all but its roots and what those need.
    assert_eq!(would(&["-e", "group/running", "gc"]), ["hello", "greet", "gcc"]);
    let ran: crate::support::Ran = run(&["gc", "-E", "-n"]);
    assert!(ran.stderr.contains("empty needs nothing"), "{}", ran.stderr);
    // An environment without a lockfile would let everything go.
    let ran: crate::support::Ran = run(&["gc", "-e", "empty"]);
    ran.fails(USAGE, &["spack.lock"]);
    let ran: crate::support::Ran = run(&["gc", "-e", "absent"]);
    ran.fails(USAGE, &["absent"]);
    std::fs::write(running.join("spack.lock"), "{").unwrap();
    let ran: crate::support::Ran = run(&["gc", "-E"]);
    ran.fails(crate::support::exit_code::CORRUPT, &["spack.lock"]);
    assert_eq!(world.installed(&store.unpadded_root).len(), 3, "nothing went");
}
