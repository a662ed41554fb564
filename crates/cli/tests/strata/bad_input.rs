//! Bad input: each time a clear error, the right exit code, and nothing left behind.

use crate::support::{Ran, World, is_root, text, tree};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_testkit::golden;

const SOME_FAILED: i32 = 1;
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CORRUPT: i32 = 65;
const UNREACHABLE: i32 = 69;
const DISK: i32 = 74;
const NOT_ALLOWED: i32 = 77;

fn install(world: &World, root: &Path, cache: &str, spec: &str) -> Ran {
    world.run(["--store", text(root), "install", "--mirror", cache, spec])
}

/// The blobs of a layout, biggest first.
fn blobs(world: &World) -> Vec<PathBuf> {
    let directory = world.path("cache/blobs/sha256");
    let mut blobs: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.metadata().unwrap().len()));
    blobs
}

/// `package` is not installed, and nothing is staged.
fn assert_nothing_installed(world: &World, root: &Path, package: &str) {
    let left = tree(root);
    let named = format!("/{package}-");
    assert!(!left.iter().any(|p| text(p).contains(&named) || text(p).contains("strata-stage/")), "{left:?}");
    if root.exists() {
        assert!(!world.ok(["--store", text(root), "find"]).contains(package));
    }
}

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
    for spec in ["", "@1.0", "hello@", "hello +x", "/HELLO", "hello@1:2"] {
        install(&world, &world.path("root"), &cache, spec).fails(USAGE, &["cannot read spec", "hint:"]);
    }
    world.run(["install"]).fails(USAGE, &["SPECS"]);
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
        .fails(NOT_FOUND, &["hello@2.1", "needs greet@1.0", "no mirror has"]);
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
fn blobs_that_are_truncated_or_corrupted() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    // The biggest blobs are layers.
    for blob in &blobs(&world)[..3] {
        let good = std::fs::read(blob).unwrap();
        let digest = blob.file_name().unwrap().to_str().unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        let longer = [&good[..], b"more"].concat();
        for bad in [&good[..good.len() / 2], &flipped, &longer, b""] {
            std::fs::write(blob, bad).unwrap();
            let root = world.path("root");
            let ran = install(&world, &root, &cache, "hello");
            ran.fails(CORRUPT, &[digest]);
            assert_nothing_installed(&world, &root, "hello");
            if root.exists() {
                std::fs::remove_dir_all(root).unwrap();
            }
        }
        std::fs::write(blob, good).unwrap();
    }
    assert_eq!(
        install(&world, &world.path("root"), &cache, "hello").code,
        Some(0),
        "the cache was left alone"
    );
}

#[test]
fn one_bad_package_does_not_stop_the_others() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let runner = store.package("runner");
    let list = world
        .run(["--json", "--store", text(&store.unpadded_root), "buildcache", "push", "-f", &cache])
        .json();
    let pushed = list["result"]["push"]["pushed"].as_array().unwrap().clone();
    let layer = pushed.iter().find(|p| p["name"] == "runner").unwrap()["layer"].as_str().unwrap().to_owned();
    std::fs::write(world.path("cache/blobs/sha256").join(layer.strip_prefix("sha256:").unwrap()), b"bad")
        .unwrap();
    let root = world.path("root");
    let ran = world.run(["--json", "--store", text(&root), "install", "-m", &cache, "greet", "hello"]);
    assert_eq!(ran.code, Some(1), "some of it failed: {}", ran.stderr);
    let failed: Vec<String> = ran.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["package"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        failed,
        [
            format!("runner@0.3/{}", &runner.hash[..7]),
            format!("hello@2.1/{}", &store.package("hello").hash[..7])
        ]
    );
    assert_eq!(world.ok(["--store", text(&root), "find"]), "greet@1.0\n");
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
fn a_registry_that_is_down() {
    let world = World::new();
    let store = world.sample_store();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("oci+http://127.0.0.1:{port}/cache");
    let root = world.path("root");
    install(&world, &root, &url, "hello").fails(UNREACHABLE, &[&port.to_string(), "hint:"]);
    world
        .run(["--store", text(&store.unpadded_root), "buildcache", "push", &url])
        .fails(UNREACHABLE, &[&port.to_string()]);
    world.run(["buildcache", "list", "-m", &url]).fails(UNREACHABLE, &[&port.to_string()]);
    assert!(!root.exists());

    // With another mirror that lacks the spec the answer is still not "there is none".
    let cache = world.layout("cache");
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", &cache, "greet"]);
    let both = ["--store", text(&root), "install", "-m", &url, "-m", &cache];
    world.run([&both[..], &["runner"]].concat()).fails(UNREACHABLE, &["could not be asked", &url]);
    let ran = world.run([&both[..], &["greet"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: mirror"), "{}", ran.stderr);
    // It is asked once, not for each package.
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", &cache]);
    let ran = world.run([&both[..], &["hello"]].concat());
    assert_eq!((ran.code, ran.stderr.matches("warning: mirror").count()), (Some(0), 1), "{}", ran.stderr);
}

#[test]
fn a_registry_that_answers_with_a_web_page() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("oci+http://{}/cache", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let page = "<html><title>Proxy</title>Blocked by policy</html>";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
    });
    let root = world.path("root");
    install(&world, &root, &url, "hello").fails(UNREACHABLE, &["HTML", "Blocked by policy"]);
    assert!(!root.exists());
}

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
    assert_eq!(world.ok(["--store", text(&root), "find"]), "greet@1.0\n");
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
    assert_eq!(world.ok(["--store", text(&root), "find"]), "greet@1.0\nrunner@0.3\n");
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
fn an_index_that_cannot_be_read_is_no_obstacle() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.path("cache/index.json")).unwrap()).unwrap();
    let manifests = index["manifests"].as_array().unwrap();
    let entry = manifests.iter().find(|m| m.to_string().contains("index.spack")).unwrap();
    let blob = |digest: &serde_json::Value| {
        world.path("cache/blobs/sha256").join(digest.as_str().unwrap().strip_prefix("sha256:").unwrap())
    };
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(blob(&entry["digest"])).unwrap()).unwrap();
    for (number, content) in [Some("not what the digest says"), None].into_iter().enumerate() {
        let json = blob(&manifest["layers"][0]["digest"]);
        match content {
            Some(content) => std::fs::write(json, content).unwrap(),
            None => std::fs::remove_file(json).unwrap(),
        }
        let root = world.path(&format!("root-{number}"));
        let ran = install(&world, &root, &cache, "greet");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("reading the tags instead"), "{}", ran.stderr);
    }
    let updated = world.run(["buildcache", "update-index", &cache]);
    assert_eq!(updated.code, Some(0), "{}", updated.stderr);
    let listed = world.run(["buildcache", "list", "-m", &cache]);
    assert!(!listed.stderr.contains("warning"), "it was repaired: {}", listed.stderr);
}
