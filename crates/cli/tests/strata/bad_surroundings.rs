//! A machine that does not help: full and read-only disks, settings that make no sense.

use crate::support::exit_code::{DISK, NOT_ALLOWED, UNREACHABLE, USAGE};
use crate::support::{Ran, World, install, is_root, text, tree};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_testkit::golden;
use strata_testkit::registry::TestRegistry;

#[test]
fn a_disk_that_is_full() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let Some(small) = Mounted::tmpfs(&world.path("small"), "size=64k") else {
        return golden::skipped("a_disk_that_is_full", "cannot mount a file system of its own");
    };
    let root = small.path.join("root");
    install(&world, &root, &cache, "hello").fails(DISK, &["No space left on device", text(&root)]);
    assert!(!tree(&root).iter().any(|p| p.starts_with("linux-") || text(p).contains("strata-stage/")));
    // Not one more byte.
    let mut filler = std::fs::File::create(small.path.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    let push = ["--store", text(&store.unpadded_root), "buildcache", "push"];
    let full = format!("oci+file://{}", small.path.join("cache").display());
    world.run([&push[..], &[&full]].concat()).fails(DISK, &["No space left on device"]);
}

#[test]
fn a_store_that_is_read_only() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    world.ok(["--store", text(&root), "install", "-m", &cache, "greet"]);
    let Some(_mounted) = Mounted::read_only(&root) else {
        return golden::skipped("a_store_that_is_read_only", "cannot mount a file system of its own");
    };
    let before = tree(&root);
    install(&world, &root, &cache, "hello").fails(NOT_ALLOWED, &[text(&root)]);
    world.run(["--store", text(&root), "uninstall", "greet"]).fails(NOT_ALLOWED, &[text(&root)]);
    assert_eq!(tree(&root), before);
    // Reading goes on working.
    assert_eq!(world.installed(&root), ["greet@1.0"]);
    world.ok(["--store", text(&root), "buildcache", "push", &world.layout("from-read-only")]);
}

/// A mount of the test's own, undone at its end.
struct Mounted {
    path: PathBuf,
}

impl Mounted {
    fn tmpfs(path: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        Self::mount(&["-t", "tmpfs", "-o", options, "tmpfs", text(path)], path)
    }

    fn read_only(path: &Path) -> Option<Self> {
        let mounted = Self::mount(&["--bind", text(path), text(path)], path)?;
        let remount = Command::new("mount").args(["-o", "remount,ro,bind", text(path)]).output();
        remount.is_ok_and(|output| output.status.success()).then_some(mounted)
    }

    fn mount(arguments: &[&str], path: &Path) -> Option<Self> {
        let output = Command::new("mount").args(arguments).output();
        let mounted = is_root() && output.is_ok_and(|output| output.status.success());
        mounted.then(|| Self { path: path.to_owned() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

#[test]
fn a_source_date_epoch_that_is_none() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let push = |value: &str| -> Ran {
        let mut command = world.command();
        command.args(["--store", text(&store.unpadded_root), "buildcache", "push", "-f", &cache, "greet"]);
        command.env("SOURCE_DATE_EPOCH", value).output().unwrap().into()
    };
    for value in ["yesterday", "12.5", "99999999999999999999"] {
        push(value).fails(USAGE, &["SOURCE_DATE_EPOCH", value, "hint:"]);
    }
    for value in ["", "1700000000"] {
        assert_eq!(push(value).code, Some(0), "{value}");
    }
}

#[test]
fn a_broken_configuration_is_no_obstacle_to_who_gives_a_url() {
    let world = World::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("oci+http://127.0.0.1:{port}/cache");
    let file = world.path("user-scope/mirrors.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "mirrors:\n  ours: [1\n").unwrap();
    let list = |mirror: &str| world.run(["buildcache", "list", "--mirror", mirror]);
    list("ours").fails(USAGE, &["error:", text(&file)]);
    list(&url)
        .fails(UNREACHABLE, &["warning: not looking for an access pair", text(&file), &port.to_string()]);
}

#[test]
fn files_that_say_who_we_are_and_whom_to_trust_but_cannot_be_used() {
    let world = World::new();
    let registry = TestRegistry::builder().user("joe", "word").start();
    let url = registry.url("cache");
    let file = world.path("auth.json");
    let list = |options: &[&str]| -> Ran {
        let mut command = world.command();
        command.args(options).args(["buildcache", "list", "--mirror", &url]);
        command.env("REGISTRY_AUTH_FILE", &file).output().unwrap().into()
    };
    for content in ["{\"auths\":", "[]", "{\"credsStore\": \"there-is-none\"}"] {
        std::fs::write(&file, content).unwrap();
        list(&[]).fails(USAGE, &["error:", text(&file), "hint:"]);
        let logout = ["logout", "localhost:1", "--authfile", text(&file)];
        if !content.contains("credsStore") {
            world.run(logout).fails(USAGE, &["error:", text(&file)]);
        }
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    list(&[]).fails(DISK, &["error:", text(&file)]);
    std::fs::remove_dir(&file).unwrap();
    let absent = world.path("ca.pem");
    list(&["--ca-file", text(&absent)]).fails(USAGE, &[text(&absent), "no such file", "--ca-file"]);
    list(&[]).fails(NOT_ALLOWED, &["`strata login --plain-http 127.0.0.1:"]);
}

#[test]
fn no_place_for_layers_on_their_way() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let absent = world.path("absent");
    let mut command = world.command();
    command.args([
        "--store",
        text(&store.unpadded_root),
        "buildcache",
        "push",
        &registry.url("cache"),
        "greet",
    ]);
    let ran: Ran = command.env("TMPDIR", &absent).output().unwrap().into();
    ran.fails(DISK, &["cannot write a layer to", text(&absent), "hint:", "TMPDIR"]);
}
