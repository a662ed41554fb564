//! Packages that were installed from a cache, pushed to another one: as they came, if they still are as they came.

use crate::support::{Ran, World, install, text, tree};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_testkit::golden;
use strata_testkit::registry::TestRegistry;

/// What the sample store has, installed from a cache into a root of another length.
struct Installed {
    world: World,
    cache: String,
    root: PathBuf,
}

impl Installed {
    fn new() -> Self {
        let world = World::new();
        let (_, cache) = world.sample_cache();
        let root = world.path("here");
        let ran = install(&world, &root, &cache, "hello");
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        Self { world, cache, root }
    }

    fn push(&self, to: &str, flags: &[&str]) -> Value {
        let ran = self.run(to, flags);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.json()["result"]["push"].clone()
    }

    fn run(&self, to: &str, flags: &[&str]) -> Ran {
        let start = ["--json", "--store", text(&self.root), "buildcache", "push"];
        self.world.run(start.iter().chain(flags).chain([&to]))
    }

    /// The prefix of a package.
    fn prefix(&self, package: &str) -> PathBuf {
        let found = self.world.run(["--json", "--store", text(&self.root), "find", package]).json();
        found["result"]["specs"][0]["prefix"].as_str().unwrap().into()
    }

    /// Name and layer of every package of a cache, sorted.
    fn layers(&self, summary: &Value) -> Vec<(String, String)> {
        let pushed = summary["pushed"].as_array().unwrap().iter();
        let field = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let mut layers: Vec<_> = pushed.map(|one| (field(one, "name"), field(one, "layer"))).collect();
        layers.sort();
        layers
    }
}

/// The names of labels.
fn names(labels: &Value) -> Vec<String> {
    let labels = labels.as_array().unwrap().iter();
    let mut names: Vec<String> =
        labels.map(|label| label.as_str().unwrap().split('@').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_as_it_came_is_pushed_as_it_came_and_installs() {
    let here = Installed::new();
    let again = here.world.layout("again");
    let summary = here.push(&again, &[]);
    let layers = here.layers(&summary);
    assert!(!layers.is_empty());
    let pushed: Vec<String> = layers.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names(&summary["reused"]), pushed);
    for (name, layer) in &layers {
        let hash = layer.strip_prefix("sha256:").unwrap();
        let blob = |cache: &str| std::fs::read(here.world.path(cache).join("blobs/sha256").join(hash));
        assert!(blob("again").unwrap() == blob("cache").unwrap(), "{name}");
    }
    // Metadata fit the layers: whoever installs from there gets what is installed from the first cache.
    let there = here.world.path("gone");
    std::fs::rename(&here.root, &there).unwrap();
    let ran = install(&here.world, &here.root, &again, "hello");
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let files = |root: &Path| -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let paths = tree(root).into_iter().filter(|path| !path.starts_with(".spack-db"));
        let paths = paths.filter(|path| !path.ends_with(".spack/install_manifest.json"));
        paths.map(|path| (path.clone(), std::fs::read(root.join(path)).ok())).collect()
    };
    assert!(files(&here.root) == files(&there));
}

#[test]
fn nothing_of_a_prefix_is_opened() {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if !traced.is_ok_and(|output| output.status.success()) {
        return golden::skipped("nothing_of_a_prefix_is_opened", "there is no strace that works");
    }
    let here = Installed::new();
    let trace = |to: &str, name: &str| -> Vec<String> {
        let trace = here.world.path(name);
        let command = here.world.command();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=open,openat,openat2", "-s", "4096", "-o", text(&trace)]);
        strace.arg(command.get_program());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => drop(strace.env(variable, value)),
                None => drop(strace.env_remove(variable)),
            }
        }
        let status = strace.args(["--store", text(&here.root), "buildcache", "push", to]).output().unwrap();
        assert!(status.status.success(), "{status:?}");
        let trace = std::fs::read_to_string(trace).unwrap();
        let prefixes = ["greet", "hello", "runner"].map(|package| here.prefix(package));
        let inside = |line: &&str| {
            prefixes.iter().any(|prefix| line.contains(text(prefix))) && !line.contains("O_DIRECTORY")
        };
        trace.lines().filter(inside).map(str::to_owned).collect()
    };
    let opened = trace(&here.world.layout("again"), "trace");
    assert!(opened.is_empty(), "{opened:#?}");
    // With a change it has to be packed: then files are opened, and this test sees it.
    std::fs::write(here.prefix("hello").join("new"), "new").unwrap();
    assert!(!trace(&here.world.layout("third"), "trace-of-third").is_empty());
}

#[test]
fn what_was_edited_is_packed_as_it_is_and_what_it_names_with_it() {
    let here = Installed::new();
    let first = here.push(&here.world.layout("again"), &[]);
    std::fs::write(here.prefix("hello").join("edited"), "by hand").unwrap();
    let second = here.push(&here.world.layout("third"), &[]);
    // The edited package names the others where they are here: an image of all three has to run.
    assert!(names(&second["reused"]).is_empty(), "{second}");
    for (before, after) in here.layers(&first).iter().zip(&here.layers(&second)) {
        assert_eq!(before.0, after.0);
        assert_ne!(before.1, after.1, "{}", before.0);
    }
    let there = here.world.path("t");
    let ran = install(&here.world, &there, &here.world.layout("third"), "hello");
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(tree(&there).iter().any(|path| path.ends_with("edited")));
    // Nobody who is pushed with it needs this one elsewhere.
    let ran = here.world.run([
        "--json",
        "--store",
        text(&here.root),
        "buildcache",
        "push",
        "--only",
        "package",
        &here.world.layout("fourth"),
        "greet",
    ]);
    assert_eq!(names(&ran.json()["result"]["push"]["reused"]), ["greet"], "{}", ran.stderr);
}

#[test]
fn what_is_packed_on_top_of_what_came_as_it_was_is_warned_of() {
    let here = Installed::new();
    let again = here.world.layout("again");
    let push = |flags: &[&str], package: &str| -> (Value, String) {
        let start = ["--json", "--store", text(&here.root), "buildcache", "push"];
        let ran = here.world.run(start.iter().chain(flags).chain(&[&*again, package]));
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        (ran.json()["result"]["push"].clone(), ran.stderr.clone())
    };
    let layer_of = |summary: &Value, package: &str| {
        here.layers(summary).into_iter().find(|(name, _)| name == package).map(|(_, layer)| layer)
    };
    let (first, _) = push(&[], "greet");
    assert!(names(&first["reused"]).contains(&"greet".to_owned()), "{first}");
    // As if it had been built here, with what came from the cache.
    std::fs::write(here.prefix("hello").join("built"), "here").unwrap();
    let (second, said) = push(&[], "hello");
    assert!(layer_of(&second, "hello").is_some() && layer_of(&second, "greet").is_none(), "{second}");
    assert!(said.contains("is not going to run") && said.contains("it expects greet@"), "{said}");
    let (third, said) = push(&["--force"], "hello");
    assert!(!said.contains("is not going to run"), "{said}");
    assert_ne!(layer_of(&third, "greet"), layer_of(&first, "greet"));
}

#[test]
fn what_needs_something_that_was_packed_here_is_packed_too() {
    let here = Installed::new();
    let again = here.world.layout("again");
    std::fs::write(here.prefix("greet").join("edited"), "by hand").unwrap();
    let push = |package: &str| -> Value {
        let ran =
            here.world.run(["--json", "--store", text(&here.root), "buildcache", "push", &again, package]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains("is not going to run"), "{}", ran.stderr);
        ran.json()["result"]["push"].clone()
    };
    assert!(names(&push("greet")["reused"]).is_empty());
    let summary = push("hello");
    assert_eq!(names(&summary["present"]), ["greet"], "{summary}");
    assert!(!names(&summary["reused"]).contains(&"hello".to_owned()), "{summary}");
}

#[test]
fn images_name_the_prefixes_that_their_layers_have() {
    let here = Installed::new();
    let again = here.world.layout("again");
    here.push(&again, &["--tag", "both"]);
    let of = |cache: &str, tag: &str| {
        let inspected = here.world.run(["--json", "image", "inspect", &format!("{cache}:{tag}")]);
        assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
        inspected.json()["result"].to_string()
    };
    let image = of(&again, "both");
    assert!(image.contains(text(&here.world.path("built"))), "{image}");
    assert!(!image.contains(text(&here.root)), "{image}");
}

#[test]
fn a_cache_that_is_gone_is_no_failure() {
    let here = Installed::new();
    std::fs::remove_dir_all(here.world.path("cache")).unwrap();
    let summary = here.push(&here.world.layout("again"), &[]);
    assert!(names(&summary["reused"]).is_empty());
    assert!(here.layers(&summary).len() > 1);
}

#[test]
fn a_layer_that_is_damaged_is_not_passed_on() {
    let here = Installed::new();
    let first = here.push(&here.world.layout("again"), &[]);
    let (_, layer) = here.layers(&first).into_iter().find(|(name, _)| name == "hello").unwrap();
    let blob = here.world.path("cache").join("blobs/sha256").join(layer.strip_prefix("sha256:").unwrap());
    let mut bytes = std::fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    let third = here.world.layout("third");
    let ran = here.run(&third, &["-v"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("packing what came from") && ran.stderr.contains(&layer), "{}", ran.stderr);
    let summary = ran.json()["result"]["push"].clone();
    assert!(!names(&summary["reused"]).contains(&"hello".to_owned()), "{summary}");
    let there = here.world.path("t");
    let ran = install(&here.world, &there, &third, "hello");
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_cache_that_lost_its_layers_gets_them_again() {
    let here = Installed::new();
    // The same URL, and nothing is there any more.
    std::fs::remove_dir_all(here.world.path("cache")).unwrap();
    let ran = here.run(&here.cache, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(names(&ran.json()["result"]["push"]["reused"]).is_empty());
    let there = here.world.path("t");
    let ran = install(&here.world, &there, &here.cache, "hello");
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn force_writes_anew_what_is_there_and_packs_no_more_for_that() {
    let here = Installed::new();
    let again = here.world.layout("again");
    let first = here.push(&again, &[]);
    assert!(here.layers(&here.push(&again, &[])).is_empty());
    let forced = here.push(&again, &["--force"]);
    assert_eq!(here.layers(&forced), here.layers(&first));
    assert_eq!(names(&forced["reused"]), names(&first["reused"]));
}

#[test]
fn what_is_uninstalled_is_forgotten() {
    let here = Installed::new();
    let origins = here.root.join(".spack-db/strata-origin");
    assert!(std::fs::read_dir(&origins).unwrap().count() > 1);
    here.world.ok(["--store", text(&here.root), "uninstall", "-y", "--all"]);
    assert!(!origins.exists());
    // Garbage collection leaves them alone.
    let ran = install(&here.world, &here.root, &here.cache, "hello");
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let before = here.world.installed(&here.root);
    here.world.ok(["--store", text(&here.root), "gc", "-y"]);
    assert_eq!(here.world.installed(&here.root), before);
    assert!(origins.is_dir());
}

#[test]
fn a_package_that_is_there_costs_one_request() {
    let here = Installed::new();
    let registry = TestRegistry::start();
    let url = registry.url("again");
    here.push(&url, &[]);
    registry.log().clear();
    let summary = here.push(&url, &["--no-update-index"]);
    assert_eq!(names(&summary["present"]), ["greet", "hello", "runner"]);
    let log = registry.log();
    assert_eq!(log.count("HEAD", "/manifests/"), 3);
    assert_eq!(log.count("GET", "") + log.count("HEAD", ""), 3);
}

#[test]
fn within_a_registry_nothing_is_sent() {
    let here = Installed::new();
    let registry = TestRegistry::start();
    let (one, two) = (registry.url("one"), registry.url("two"));
    here.push(&one, &[]);
    let root = here.world.path("from-registry");
    let ran = install(&here.world, &root, &one, "hello");
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    registry.log().clear();
    let ran = here.world.run(["--json", "--store", text(&root), "buildcache", "push", &two]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let summary = ran.json()["result"]["push"].clone();
    assert_eq!(names(&summary["reused"]), ["greet", "hello", "runner"]);
    assert_eq!(registry.log().count("GET", "/v2/one/blobs/"), 0, "layers are mounted");
}
