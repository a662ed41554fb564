//! `strata verify`: a file that was changed is found, by the manifest and by the cache.

use crate::support::exit_code::{NOT_FOUND, SOME_FAILED, USAGE};
use crate::support::{World, install, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A store that was installed from a cache, and the prefix of a package of it.
fn installed(world: &World, name: &str) -> (PathBuf, String, impl Fn(&str) -> PathBuf + use<>) {
    let (_, cache) = world.sample_cache();
    let root = world.path(name);
    assert_eq!(install(world, &root, &cache, "hello").code, Some(0));
    let found = world.run(["--json", "--store", text(&root), "find"]).json();
    let prefix = move |name: &str| -> PathBuf {
        let specs = found["result"]["specs"].as_array().unwrap();
        let spec = specs.iter().find(|spec| spec["name"] == name).unwrap();
        spec["prefix"].as_str().unwrap().into()
    };
    (root, cache, prefix)
}

#[test]
fn the_manifest_knows_what_was_installed() {
    let world = World::new();
    let (root, _, prefix) = installed(&world, "root");
    let store = ["--store", text(&root)];
    let run = |arguments: &[&str]| world.run([&store, arguments].concat());
    let clean = run(&["verify", "--all"]);
    assert_eq!((clean.code, clean.stdout.as_str()), (Some(0), ""), "{}", clean.stderr);
    assert!(clean.stderr.contains("3 packages as installed"), "{}", clean.stderr);

    let hello = prefix("hello");
    fs::write(hello.join("bin/new"), "x").unwrap();
    let config = fs::read_dir(hello.join("etc")).unwrap().next().unwrap().unwrap().path();
    fs::write(&config, "other").unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    fs::remove_dir_all(prefix("greet").join("include")).ok();
    fs::remove_dir_all(prefix("greet").join("lib")).unwrap();
    let ran = run(&["verify", "manifest", "-a"]);
    ran.fails(SOME_FAILED, &["hello@2.1", "greet@1.0", "of its files are not what was installed", "hint:"]);
    assert!(ran.stdout.contains("    bin/new: added\n"), "{}", ran.stdout);
    let name = config.strip_prefix(&hello).unwrap();
    assert!(
        ran.stdout.contains(&format!("    {}: mode, size, mtime, hash\n", name.display())),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("    lib: deleted\n") && !ran.stdout.contains("runner"), "{}", ran.stdout);

    let ran = run(&["verify", "-j", "hello"]);
    let errors: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(errors[text(&hello.join("bin/new"))], serde_json::json!(["added"]));
    assert_eq!(errors[text(&config)], serde_json::json!(["mode", "size", "mtime", "hash"]));
    let json = run(&["--json", "verify", "hello", "runner"]).json();
    let packages = json["result"]["packages"].as_array().unwrap();
    assert_eq!(packages.len(), 2);
    assert_eq!(packages[1]["differences"], serde_json::json!([]));
    assert_eq!(json["ok"], false);

    for (content, word) in [(Some("{"), "manifest corrupted"), (None, "manifest missing")] {
        let manifest = prefix("runner").join(".spack/install_manifest.json");
        match content {
            Some(content) => fs::write(&manifest, content).unwrap(),
            None => fs::remove_file(&manifest).unwrap(),
        }
        let ran = run(&["verify", "runner"]);
        ran.fails(SOME_FAILED, &["runner@0.3"]);
        assert!(ran.stdout.contains(&format!("    .: {word}\n")), "{}", ran.stdout);
    }
    fs::remove_dir_all(prefix("runner")).unwrap();
    run(&["verify", "runner"]).fails(NOT_FOUND, &["runner@0.3", "does not exist"]);
    run(&["verify", "absent"]).fails(NOT_FOUND, &["absent"]);
    run(&["verify", "--all", "absent"]).fails(NOT_FOUND, &["absent"]);
    run(&["verify", "@1:"]).fails(USAGE, &["greet", "hello", "/HASH"]);
    run(&["verify"]).fails(USAGE, &["--all"]);
    run(&["verify", "versions"]).fails(USAGE, &["recipes"]);
    run(&["verify", "--mirror", "x", "hello"]).fails(USAGE, &["--cache"]);
    world.run(["--store", text(&world.path("none")), "verify", "-a"]).fails(USAGE, &["no Spack database"]);
}

#[test]
fn the_cache_knows_even_if_the_manifest_was_changed() {
    let world = World::new();
    let (root, cache, prefix) = installed(&world, "somewhere/else");
    let run = |arguments: &[&str]| world.run([&["--store", text(&root)], arguments].concat());
    let clean = run(&["verify", "--all", "--cache", "-m", &cache]);
    assert_eq!((clean.code, clean.stdout.as_str()), (Some(0), ""), "{}", clean.stderr);
    assert!(clean.stderr.contains("3 packages as installed"), "{}", clean.stderr);

    let hello = prefix("hello");
    let binary = hello.join("bin/hello");
    let before = fs::metadata(&binary).unwrap();
    let mut bytes = fs::read(&binary).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&binary, &bytes).unwrap();
    fs::File::options().write(true).open(&binary).unwrap().set_modified(before.modified().unwrap()).unwrap();
    // Whoever did that wrote a manifest that says so.
    strata_store::write_install_manifest(&hello, &hello).unwrap();
    assert_eq!(run(&["verify", "hello"]).code, Some(0));
    let ran = run(&["verify", "--against-cache", "-m", &cache, "hello"]);
    ran.fails(SOME_FAILED, &["hello@2.1", "of its files are not what was installed"]);
    assert!(ran.stdout.contains("    bin/hello: hash\n"), "{}", ran.stdout);

    let empty = world.layout("empty");
    world.ok(["--store", text(&root), "buildcache", "push", &empty, "greet"]);
    run(&["verify", "--cache", "-m", &empty, "runner"]).fails(NOT_FOUND, &["runner@0.3", "is not in"]);
    let ran = run(&["verify", "--cache", "-m", &empty, "runner", "greet"]);
    ran.fails(SOME_FAILED, &["runner@0.3", "is not in"]);
    run(&["verify", "--cache", "hello"]).fails(USAGE, &["no mirror"]);
}

#[test]
fn libraries_are_found_by_the_paths_in_the_files() {
    let world = World::new();
    let (root, _, prefix) = installed(&world, "root");
    let run = || world.run(["--store", text(&root), "verify", "libraries"]);
    let clean = run();
    assert_eq!((clean.code, clean.stdout.as_str()), (Some(0), ""), "{}", clean.stderr);
    fs::rename(prefix("greet").join("lib"), prefix("greet").join("gone")).unwrap();
    let ran = run();
    ran.fails(SOME_FAILED, &["hello@2.1", "do not find their libraries"]);
    assert!(ran.stdout.contains("    bin/hello\n        libgreet.so.1 => not found\n"), "{}", ran.stdout);
    // Something of that name that is no library will not do.
    fs::create_dir(prefix("greet").join("lib")).unwrap();
    fs::write(prefix("greet").join("lib/libgreet.so.1"), "no").unwrap();
    run().fails(SOME_FAILED, &["hello@2.1"]);
}
