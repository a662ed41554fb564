//! Caches that hold something else than they say, or give no answer.

use crate::support::exit_code::{CORRUPT, NOT_FOUND, SOME_FAILED, UNREACHABLE};
use crate::support::{World, install, text, tree};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use strata_testkit::certificates::Authority;
use strata_testkit::registry::TestRegistry;

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
    assert_eq!(world.installed(&root), ["greet@1.0"]);
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

#[test]
fn a_registry_that_is_spoken_to_in_the_wrong_way() {
    let world = World::new();
    let authority = Authority::new();
    let (secure, plain) = (TestRegistry::builder().tls(&authority).start(), TestRegistry::start());
    let list = |url: String| world.run(["buildcache", "list", "--mirror", &url]);
    list(secure.url("cache").replace("oci://", "oci+http://"))
        .fails(UNREACHABLE, &["seems to speak TLS on this port", "begins with oci://"]);
    list(plain.url("cache").replace("oci+http://", "oci://")).fails(
        UNREACHABLE,
        &["seems to speak no TLS on this port", &format!("oci+http://{}/…", plain.host())],
    );
}

#[test]
fn a_list_of_several_caches_is_of_all_that_can_be_asked() {
    let world = World::new();
    let store = world.sample_store();
    let push = |cache: &str, spec: &str| {
        world.ok([
            "--store",
            text(&store.unpadded_root),
            "buildcache",
            "push",
            "--only",
            "package",
            cache,
            spec,
        ]);
    };
    let (one, other) = (world.layout("one"), world.layout("other"));
    push(&one, "greet");
    push(&other, "greet");
    push(&other, "runner");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = format!("oci+http://127.0.0.1:{port}/cache");
    for (name, url) in [("other", &other), ("one", &one)] {
        world.ok(["mirror", "add", name, url]);
    }
    let list = |specs: &[&str]| world.run([&["buildcache", "list"], specs].concat());
    assert_eq!(list(&[]).stdout, "greet@1.0\nrunner@0.3\n");
    // Only one of them has it.
    assert_eq!(list(&["runner"]).stdout, "runner@0.3\n");
    list(&["hello"]).fails(NOT_FOUND, &["no spec matches `hello` in one, other"]);
    world.ok(["mirror", "add", "down", &down]);
    let partly = list(&[]);
    partly.fails(SOME_FAILED, &["error:", &port.to_string()]);
    assert_eq!(partly.stdout, "greet@1.0\nrunner@0.3\n");
    list(&["hello"]).fails(UNREACHABLE, &["mirror down could not be asked", "cannot tell", "hint:"]);
}
