//! `install`, `find`, `location` and `uninstall` in an environment, and `install --overwrite`.

use crate::support::{Ran, World, exit_code, text, tree};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use strata_testkit::sample_store::SampleStore;

/// A lockfile with these roots out of the sample store.
fn lock(directory: &Path, store: &SampleStore, roots: &[&str]) {
    let index = std::fs::read_to_string(store.root.join(".spack-db/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let records = index["database"]["installs"].as_object().unwrap();
    let nodes: Value = records.iter().map(|(hash, record)| (hash.clone(), record["spec"].clone())).collect();
    let roots: Vec<Value> =
        roots.iter().map(|root| json!({"hash": store.package(root).hash, "spec": root})).collect();
    let lockfile = json!({
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": roots, "concrete_specs": nodes,
    });
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("spack.lock"), lockfile.to_string()).unwrap();
}

/// A world with a cache as a mirror, and a store to install into.
struct Site {
    world: World,
    store: SampleStore,
    root: PathBuf,
}

impl Site {
    fn new() -> Self {
        let world = World::new();
        let (store, cache) = world.sample_cache();
        world.ok(["mirror", "add", "sample", &cache]);
        let root = world.path("root");
        Self { store, root, world }
    }

    fn environment(&self, name: &str, specs: &str, roots: &[&str]) -> PathBuf {
        let directory = self.world.path(name);
        lock(&directory, &self.store, roots);
        let manifest = format!("spack:\n  specs: {specs}\n  view: false\n");
        std::fs::write(directory.join("spack.yaml"), manifest).unwrap();
        directory
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.world.run([&["--store", text(&self.root)], arguments].concat())
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    fn installed(&self) -> Vec<String> {
        self.world.installed(&self.root)
    }
}

#[test]
fn a_lockfile_is_installed_by_hash_without_an_index() {
    let site = Site::new();
    let all = site.environment("all", "[greet, hello]", &["greet", "hello"]);
    let all = text(&all);
    // An index that says nothing is not asked.
    let dry = site.ok(&["-e", all, "install", "--dry-run"]);
    assert_eq!(dry.matches("would install").count(), 3, "{dry}");
    assert!(!site.root.exists());
    let done = site.ok(&["-e", all, "install", "--cache-only", "--use-buildcache", "package:only"]);
    assert!(done.contains("installed 3 packages"), "{done}");
    assert_eq!(site.installed(), ["greet@1.0", "hello@2.1", "runner@0.3"]);
    assert_eq!(site.ok(&["-E", "find", "-x"]), "greet@1.0\nhello@2.1\n", "the roots are what was asked for");
    let again = site.ok(&["-e", all, "install"]);
    assert!(again.contains("installed 0 packages; 3 there already"), "{again}");
}

#[test]
fn a_directory_with_nothing_but_a_lockfile_will_do() {
    let site = Site::new();
    let bare = site.world.path("bare");
    lock(&bare, &site.store, &["hello"]);
    site.ok(&["-e", text(&bare), "install", "greet"]);
    assert_eq!(site.installed(), ["greet@1.0"]);
    assert_eq!(site.ok(&["find", "-x"]), "", "it is part of the environment, and no root of it");
    site.ok(&["-e", text(&bare), "install", "--only", "dependencies"]);
    assert_eq!(site.installed(), ["greet@1.0", "runner@0.3"]);
    site.ok(&["-e", text(&bare), "install", "--only", "package"]);
    assert_eq!(site.ok(&["find", "-x"]), "hello@2.1\n");
}

#[test]
fn what_is_left_out_is_not_there() {
    let site = Site::new();
    site.run(&["install", "--only", "package", "hello"])
        .fails(exit_code::NOT_FOUND, &["hello@2.1", "needs", "not installed", "--only package"]);
    assert!(!site.root.exists());
    site.ok(&["install", "--only", "dependencies", "hello"]);
    assert_eq!(site.ok(&["find", "-x"]), "");
    site.run(&["install"]).fails(exit_code::USAGE, &["neither packages nor an environment"]);
    site.run(&["install", "--add", "hello"]).fails(exit_code::USAGE, &["--add is about an environment"]);
    site.run(&["install", "--use-buildcache", "never", "hello"]).fails(exit_code::USAGE, &["from caches"]);
}

#[test]
fn what_is_wanted_is_made_concrete_first() {
    let site = Site::new();
    let mine = site.world.path("mine");
    site.ok(&["env", "create", "--without-view", "-d", text(&mine)]);
    let mine = text(&mine);
    assert!(site.ok(&["-e", mine, "install"]).contains("has no specs to install"));
    site.run(&["-e", mine, "install", "hello"]).fails(exit_code::NOT_FOUND, &["`hello`", "install --add"]);
    site.ok(&["-e", mine, "install", "--add", "greet"]);
    assert_eq!(site.installed(), ["greet@1.0"]);
    let manifest = std::fs::read_to_string(Path::new(mine).join("spack.yaml")).unwrap();
    assert!(manifest.contains("greet"), "{manifest}");
    site.ok(&["-e", mine, "add", "hello"]);
    assert_eq!(site.ok(&["-e", mine, "find", "-r"]), "[+] greet\n -  hello\n");
    site.ok(&["-e", mine, "install", "--only-concrete"]);
    assert_eq!(site.installed(), ["greet@1.0"]);
    site.ok(&["-e", mine, "install"]);
    assert_eq!(site.installed(), ["greet@1.0", "hello@2.1", "runner@0.3"]);
    site.run(&["-e", mine, "install", "--add", "no-such-package"])
        .fails(exit_code::NOT_FOUND, &["no-such-package"]);
}

#[test]
fn find_and_location_are_about_the_environment() {
    let site = Site::new();
    let mine = site.environment("mine", "[greet, hello]", &["greet", "hello"]);
    let mine = text(&mine);
    site.ok(&["install", "runner"]);
    site.ok(&["-e", mine, "install", "greet"]);
    let found = site.run(&["-e", mine, "find"]);
    // Externals are part of it, as with Spack.
    let ours = |line: &&str| !line.starts_with("gcc@") && !line.starts_with("glibc@");
    let lines: Vec<&str> = found.stdout.lines().filter(ours).collect();
    assert_eq!(lines, ["greet@1.0", "runner@0.3"]);
    for line in ["In environment", "  [+] greet", "   -  hello", "(shown with -c)"] {
        assert!(found.stderr.contains(line), "{line}: {}", found.stderr);
    }
    let concrete = site.ok(&["-e", mine, "find", "-c"]);
    assert!(concrete.contains("[+]  greet@1.0\n") && concrete.contains(" -   hello@2.1\n"), "{concrete}");
    let json = site.run(&["--json", "-e", mine, "find"]).json();
    let roots = &json["result"]["environment"]["roots"];
    assert_eq!(
        (&roots[0]["status"], &roots[1]["status"], &roots[1]["spec"]),
        (&json!("installed"), &json!("concrete"), &json!("hello"))
    );
    assert_eq!(json["result"]["concretized"][0]["name"], "hello");
    let other = site.environment("other", "[greet]", &["greet"]);
    assert_eq!(site.ok(&["-e", text(&other), "find", "greet"]), "greet@1.0\n");
    site.run(&["-e", mine, "find", "zlib"]).fails(exit_code::NOT_FOUND, &["environment", "`zlib`"]);
    site.run(&["find", "-c"]).fails(exit_code::USAGE, &["--show-concretized", "-e"]);
    site.run(&["find", "-r"]).fails(exit_code::USAGE, &["--only-roots"]);
    assert_eq!(site.ok(&["-e", mine, "location"]), format!("{mine}\n"));
    assert!(site.ok(&["-e", mine, "location", "-i", "greet"]).contains("greet"));
    site.run(&["location"]).fails(exit_code::USAGE, &["neither a spec nor an environment"]);
    std::fs::write(Path::new(mine).join("spack.lock"), "{\"_meta\": {\"lockfile-version\": 7}}").unwrap();
    site.run(&["-e", mine, "find"]).fails(exit_code::CORRUPT, &["spack.lock", "version 7"]);
    std::fs::write(Path::new(mine).join("spack.yaml"), "spack: [\n").unwrap();
    site.run(&["-e", mine, "find"]).fails(exit_code::USAGE, &["spack.yaml:2"]);
}

#[test]
fn uninstall_takes_what_the_environment_has_and_nobody_else_needs() {
    let site = Site::new();
    let environments = site.world.path("home/.local/share/strata/environments");
    for (name, roots) in [("one", &["greet", "hello"][..]), ("two", &["greet"])] {
        lock(&environments.join(name), &site.store, roots);
        let manifest = format!("spack:\n  specs: [{}]\n  view: false\n", roots.join(", "));
        std::fs::write(environments.join(name).join("spack.yaml"), manifest).unwrap();
    }
    // The lockfile of `two` has more nodes than its root needs.
    site.ok(&["-e", "one", "install"]);
    site.run(&["uninstall", "greet"]).fails(exit_code::SOME_FAILED, &["is needed by"]);
    let refused = site.run(&["-e", "one", "uninstall", "--all"]);
    refused.fails(exit_code::SOME_FAILED, &["greet@1.0", "needed by environment two", "--force"]);
    assert_eq!(site.installed().len(), 3, "nothing is removed then");
    site.run(&["uninstall", "--remove", "hello"])
        .fails(exit_code::USAGE, &["--remove is about an environment"]);
    site.run(&["uninstall"]).fails(exit_code::USAGE, &["SPECS"]);
    // It is taken out of the one, and stays for the other.
    let done = site.ok(&["-e", "one", "uninstall", "--remove", "-y", "--all"]);
    assert!(done.contains("removed 2 packages; 1 left to other environments"), "{done}");
    assert_eq!(site.installed(), ["greet@1.0"]);
    assert_eq!(site.ok(&["-e", "one", "find", "-r"]), "");
    assert_eq!(site.ok(&["-e", "two", "find", "-r"]), "[+] greet\n");
    site.ok(&["-e", "two", "uninstall", "--all"]);
    assert!(site.installed().is_empty());
    assert_eq!(site.ok(&["-e", "two", "find", "-r"]), " -  greet\n", "it is wanted still");
    // A lockfile that cannot be read may need anything.
    site.ok(&["install", "hello"]);
    std::fs::write(environments.join("two/spack.lock"), "{").unwrap();
    site.run(&["uninstall", "hello"]).fails(exit_code::CORRUPT, &["two/spack.lock"]);
    site.ok(&["uninstall", "--force", "hello"]);
    site.ok(&["env", "remove", "two"]);
    site.ok(&["uninstall", "--dependents", "runner"]);
    assert_eq!(site.installed(), ["greet@1.0"]);
    site.ok(&["install", "hello"]);
    site.ok(&["uninstall", "-R", "greet"]);
    assert_eq!(site.installed(), ["runner@0.3"]);
    site.ok(&["uninstall", "--all"]);
    assert!(site.installed().is_empty());
}

#[test]
fn installing_over_what_is_there_gives_the_same_again() {
    let site = Site::new();
    site.ok(&["install", "hello"]);
    let prefix = PathBuf::from(site.ok(&["location", "-i", "hello"]).trim());
    let before = tree(&prefix);
    std::fs::write(prefix.join("bin/hello"), "spoilt").unwrap();
    std::fs::write(prefix.join("left"), "over").unwrap();
    let dry = site.ok(&["install", "--overwrite", "--dry-run", "hello"]);
    assert!(dry.contains("would replace hello@2.1"), "{dry}");
    let done = site.ok(&["install", "--overwrite", "-y", "hello"]);
    assert!(done.contains("installed 1 package; 1 of them again; 2 there already"), "{done}");
    assert_eq!(tree(&prefix), before);
    let output = std::process::Command::new(prefix.join("bin/hello")).output().unwrap();
    assert_eq!(output.stdout, b"hello from a relocated library\n");
    assert_eq!(site.ok(&["find", "-x"]), "hello@2.1\n");
    // What is only needed by others stays that, in an environment.
    let mine = site.environment("mine", "[hello]", &["hello"]);
    let done = site.ok(&["-e", text(&mine), "install", "--overwrite", "greet"]);
    assert!(done.contains("1 of them again"), "{done}");
    assert_eq!(site.ok(&["-E", "find", "-x"]), "hello@2.1\n");
    // What cannot be fetched leaves what is there.
    std::fs::remove_dir_all(site.world.path("cache/blobs")).unwrap();
    std::fs::create_dir(site.world.path("cache/blobs")).unwrap();
    let failed = site.run(&["--no-cache", "install", "--overwrite", "hello"]);
    assert_ne!(failed.code, Some(0));
    assert_eq!(tree(&prefix), before);
}

#[test]
fn whenever_an_overwriting_install_is_killed_there_is_a_whole_package() {
    let site = Site::new();
    site.ok(&["install", "hello"]);
    let prefix = PathBuf::from(site.ok(&["location", "-i", "hello"]).trim());
    let hello = prefix.join("bin/hello");
    for delay in (0..24).map(|step| std::time::Duration::from_millis(step * 4)) {
        let arguments = ["--store", text(&site.root), "-q", "install", "--overwrite", "hello"];
        let mut child = site.world.command().args(arguments).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        let output = std::process::Command::new(&hello).output().unwrap();
        assert_eq!(output.stdout, b"hello from a relocated library\n", "after {delay:?}");
    }
    site.ok(&["install", "hello"]);
    assert!(prefix.join(".spack/spec.json").is_file());
    site.ok(&["install", "--overwrite", "hello"]);
    assert!(!site.root.join(".spack-db/strata-stage").exists(), "nothing is left of those that were killed");
}
