//! Real Spack goes on with environments that strata made concrete and installed, and strata with what Spack made of them. Runs
//! where `STRATA_SPACK` names a Spack.

use crate::support::{World, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_testkit::golden;

#[test]
fn spack_has_nothing_to_do_after_us() {
    let test = "spack_has_nothing_to_do_after_us";
    let Some(spack) = std::env::var_os("STRATA_SPACK") else {
        return golden::skipped(test, "STRATA_SPACK names no Spack");
    };
    let Some(cache) = golden::file("cache") else { return golden::skipped(test, "no cache") };
    let world = World::new();
    let cache = format!("oci+file://{}", fs::canonicalize(cache).unwrap().display());
    for (name, unify) in [("together", "true"), ("apart", "false")] {
        let directory = world.path(name);
        fs::create_dir(&directory).unwrap();
        let manifest = format!(
            "spack:\n  definitions:\n  - two: [zlib, 'xz@5:']\n  specs:\n  - matrix: [[$two]]\n  - bzip2\n  view: false\n  \
             concretizer:\n    unify: {unify}\n"
        );
        fs::write(directory.join("spack.yaml"), manifest).unwrap();
        world.ok(["-e", text(&directory), "concretize", "--no-host-check", "-m", &cache]);
        let lock = directory.join("spack.lock");
        let ours: serde_json::Value = serde_json::from_slice(&fs::read(&lock).unwrap()).unwrap();
        let run = |arguments: &[&str]| run(Path::new(&spack), &directory, arguments);
        let said = run(&["concretize"]);
        assert!(said.contains("No new specs to concretize"), "{said}");
        // Spack has written it again, with its own name.
        let theirs: serde_json::Value = serde_json::from_slice(&fs::read(&lock).unwrap()).unwrap();
        for key in ["_meta", "roots", "concrete_specs"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        let found = run(&["find", "-c", "--no-groups", "-L"]);
        for root in ours["roots"].as_array().unwrap() {
            assert!(found.contains(root["hash"].as_str().unwrap()), "{found}");
        }
        // And we have nothing to do after Spack.
        let before = fs::read(&lock).unwrap();
        let again = world.ok(["-e", text(&directory), "concretize", "-m", "oci+http://127.0.0.1:1/nobody"]);
        assert!(again.contains("nothing to do: 3 specs"), "{again}");
        assert_eq!(fs::read(&lock).unwrap(), before);
    }
}

/// An environment in a store of its own, which both programs work in.
struct Shared {
    world: World,
    spack: PathBuf,
    scope: PathBuf,
    directory: PathBuf,
}

impl Shared {
    fn new(spack: PathBuf, cache: &Path) -> Self {
        let world = World::new();
        let (scope, directory) = (world.path("scope"), world.path("env"));
        fs::create_dir(&scope).unwrap();
        let tree = world.path("tree");
        let config =
            format!("config:\n  install_tree:\n    root: {}\n    padded_length: 0\n", tree.display());
        fs::write(scope.join("config.yaml"), config).unwrap();
        let cache = fs::canonicalize(cache).unwrap();
        let mirrors = format!("mirrors:\n  golden: oci+file://{}\n", cache.display());
        fs::write(scope.join("mirrors.yaml"), mirrors).unwrap();
        Self { world, spack, scope, directory }
    }

    #[track_caller]
    fn strata(&self, arguments: &[&str]) -> String {
        self.world.ok([&["-C", text(&self.scope)], arguments].concat())
    }

    #[track_caller]
    fn spack(&self, arguments: &[&str]) -> String {
        let ran = Command::new(&self.spack).arg("-C").arg(&self.scope).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{arguments:?}: {said}{complaints}");
        said
    }

    /// `NAME/HASH` of what is installed, in the environment and in the store: both programs see the same. What is in the
    /// store alone.
    #[track_caller]
    fn installed(&self) -> Vec<String> {
        let directory = text(&self.directory);
        for which in [&["-e", directory, "find"][..], &["-e", directory, "find", "-x"], &["find", "-X"]] {
            self.agree_on(which);
        }
        self.agree_on(&["find"])
    }

    #[track_caller]
    fn agree_on(&self, command: &[&str]) -> Vec<String> {
        let format = ["--format", "{name}/{hash}"];
        let lines = |said: String| {
            let mut lines: Vec<String> =
                said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let ours = lines(self.strata(&[command, &format].concat()));
        assert_eq!(ours, lines(self.spack(&[command, &format].concat())), "{command:?}");
        ours
    }

    /// The marks of all that is part of the environment, as `find -c` shows them.
    #[track_caller]
    fn agree_on_marks(&self) {
        let marked = |said: String| {
            let is_mark =
                |line: &&str| ["[+]  ", "[e]  ", "[-]  ", " -   "].iter().any(|m| line.starts_with(m));
            let mut lines: Vec<String> = said.lines().filter(is_mark).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let command = ["-e", text(&self.directory), "find", "-c", "-L"];
        let theirs = marked(self.spack(&command));
        assert!(!theirs.is_empty());
        assert_eq!(marked(self.strata(&command)), theirs);
    }

    fn has(&self, name: &str) -> bool {
        self.agree_on(&["find"]).iter().any(|package| package.starts_with(&format!("{name}/")))
    }
}

#[test]
fn spack_goes_on_with_what_strata_installed() {
    let test = "spack_goes_on_with_what_strata_installed";
    let Some(spack) = std::env::var_os("STRATA_SPACK") else {
        return golden::skipped(test, "STRATA_SPACK names no Spack");
    };
    let Some(cache) = golden::file("cache") else { return golden::skipped(test, "no cache") };
    let shared = Shared::new(spack.into(), &cache);
    let directory = text(&shared.directory);
    let view = shared.directory.join("view");
    shared.strata(&["env", "create", "--with-view", text(&view), directory]);
    shared.strata(&["-e", directory, "add", "zlib", "xz@5:", "bzip2"]);
    shared.strata(&["-e", directory, "concretize", "--no-host-check"]);
    assert_eq!(shared.installed(), [""; 0]);
    shared.agree_on_marks();

    shared.strata(&["-e", directory, "install", "--no-host-check"]);
    let all = shared.installed();
    assert!(["zlib", "xz", "bzip2", "gcc-runtime"].iter().all(|name| shared.has(name)), "{all:?}");
    shared.agree_on_marks();
    let xz = Command::new(view.join("bin/xz")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&xz.stdout).starts_with("xz (XZ Utils) 5."), "{xz:?}");

    // Spack has nothing to do: nothing is concretized, installed or shown anew.
    let lock = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(shared.directory.join("spack.lock")).unwrap()).unwrap()
    };
    let (locked, tree) = (lock(), fs::read_link(&view).unwrap());
    let said = shared.spack(&["-e", directory, "install"]);
    assert!(!said.contains("Extracting") && !said.contains("Concretized"), "{said}");
    assert_eq!((shared.installed(), fs::read_link(&view).unwrap()), (all.clone(), tree.clone()));
    shared.spack(&["-e", directory, "env", "view", "regenerate"]);
    assert_eq!(fs::read_link(&view).unwrap(), tree, "the view is the one that Spack would make");
    for key in ["roots", "concrete_specs"] {
        assert_eq!(lock()[key], locked[key], "{key}");
    }

    // What Spack collects is what nothing needs to run; that strata installed stays.
    shared.spack(&["-e", directory, "gc", "-y"]);
    assert!(["zlib", "xz", "bzip2", "gcc-runtime"].iter().all(|name| shared.has(name)));
    shared.agree_on_marks();

    // One takes away what the other put there, and both put it back.
    shared.spack(&["-e", directory, "uninstall", "-y", "bzip2"]);
    assert!(!shared.has("bzip2"));
    shared.strata(&["-e", directory, "uninstall", "xz"]);
    assert!(!shared.has("xz") && shared.has("zlib"));
    assert!(!view.join("bin/xz").exists() && !view.join("bin/bzip2").exists());
    shared.agree_on_marks();
    shared.strata(&["-e", directory, "install", "--no-host-check"]);
    assert!(shared.has("bzip2") && shared.has("xz") && view.join("bin/bzip2").exists());
    shared.strata(&["-e", directory, "install", "--fail-fast", "--overwrite", "-y", "xz"]);
    shared.spack(&["-e", directory, "install"]);
    shared.agree_on_marks();

    shared.spack(&["-e", directory, "uninstall", "--all", "-y"]);
    assert!(!["zlib", "xz", "bzip2", "gcc-runtime"].iter().any(|name| shared.has(name)));
    shared.strata(&["-e", directory, "install", "--no-host-check"]);
    shared.strata(&["-e", directory, "remove", "xz@5:"]);
    shared.strata(&["-e", directory, "concretize"]);
    assert!(!view.join("bin/xz").exists(), "the view shows what the environment consists of now");
    shared.agree_on_marks();
    shared.strata(&["-e", directory, "uninstall", "--all", "--force"]);
    assert!(shared.has("xz") && !shared.has("zlib"));
    shared.spack(&["gc", "-y"]);
    assert!(shared.has("xz"), "somebody asked for it");
}

fn run(spack: &Path, directory: &Path, arguments: &[&str]) -> String {
    let ran = Command::new(spack).arg("-e").arg(directory).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{text}");
    text
}
