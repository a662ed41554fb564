//! Eight strata processes and two real Spack processes that install into one store. Runs where `STRATA_SPACK` names a Spack.

use crate::serve::Served;
use crate::support::{World, text, tree};
use crate::together::Holds;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use strata_testkit::certificates::Authority;
use strata_testkit::golden;

/// How often: strata begins when Spack has a store, and when it has a first prefix.
const ROUNDS: usize = 2;

/// What each of the strata processes installs.
const OURS: [&[&str]; 8] = [
    &["xz"],
    &["zstd", "libbsd"],
    &["libmd"],
    &["zlib", "bzip2"],
    &["libbsd", "xz", "zlib"],
    &["zstd"],
    &["gcc-runtime"],
    &["bzip2", "zstd", "xz", "zlib", "libbsd"],
];
/// And each of the Spacks.
const THEIRS: [&[&str]; 2] = [&["xz", "libbsd", "zlib"], &["zlib", "zstd", "bzip2", "libbsd"]];

/// A cache that both can read, and how to reach it.
struct Cache {
    url: String,
    authority: Authority,
    /// What is in it, `/HASH` by name.
    hashes: Vec<(String, String)>,
    _served: Served,
}

impl Cache {
    /// The golden cache.
    fn new(world: &World, golden: &Path) -> Self {
        let served = world.path("served");
        fs::create_dir_all(&served).unwrap();
        assert!(
            Command::new("cp").arg("-r").arg(golden).arg(served.join("cache")).status().unwrap().success()
        );
        Self::serving(world)
    }

    /// What is in `served/cache`, by https: Spack reads the index of no other registry.
    fn serving(world: &World) -> Self {
        let served = world.path("served");
        let layout = format!("oci+file://{}", served.join("cache").display());
        let listed = world.run(["--json", "buildcache", "list", "--mirror", &layout]).json();
        let of = |spec: &Value, key: &str| spec[key].as_str().unwrap().to_owned();
        let hashes = listed["result"]["specs"].as_array().unwrap().iter();
        let hashes = hashes.map(|spec| (of(spec, "name"), format!("/{}", of(spec, "hash")))).collect();
        let authority = Authority::new();
        let identity = authority.server();
        let tls = ["--tls-cert", text(&identity.certificate), "--tls-key", text(&identity.key)];
        let served = Served::start(world, &tls);
        Self { url: served.cache("cache"), authority, hashes, _served: served }
    }

    fn hash(&self, name: &str) -> &str {
        &self.hashes.iter().find(|(known, _)| known == name).unwrap().1
    }
}

/// A Spack whose store is at `root`, and which has read its recipes before: that takes minutes.
fn spack(world: &World, cache: &Cache, root: &Path, arguments: &[&str]) -> Command {
    let scope = world.path("scope").join(root.file_name().unwrap());
    fs::create_dir_all(&scope).unwrap();
    let (root, stage) = (root.display(), world.path("stage"));
    let config = format!(
        "config:\n  install_tree::\n    root: {root}\n    padded_length: 0\n  build_stage:: [{stage}]\n",
        stage = stage.display()
    );
    fs::write(scope.join("config.yaml"), config).unwrap();
    let mirrors = format!("mirrors::\n  served:\n    url: {}\n    signed: false\n", cache.url);
    fs::write(scope.join("mirrors.yaml"), mirrors).unwrap();
    // To unify specs that are concrete, Spack would read all recipes.
    fs::write(scope.join("concretizer.yaml"), "concretizer:\n  unify: false\n").unwrap();
    let mut command = Command::new(std::env::var_os("STRATA_SPACK").unwrap());
    command.arg("-C").arg(scope).args(arguments);
    command.env("SSL_CERT_FILE", cache.authority.ca_file());
    command
}

fn begun(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeeded(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn eight_of_us_and_two_real_spacks() {
    const TEST: &str = "eight_of_us_and_two_real_spacks";
    if std::env::var_os("STRATA_SPACK").is_none() {
        return golden::skipped(TEST, "STRATA_SPACK names no Spack");
    }
    let Some(golden) = golden::file("cache") else { return golden::skipped(TEST, "no cache") };
    let world = World::new();
    let cache = Cache::new(&world, &golden);
    let ca_file = cache.authority.ca_file();
    let install = |root: &Path, specs: &[&str]| {
        let mut command = world.command();
        command.args([
            "-q",
            "--store",
            text(root),
            "install",
            "--no-host-check",
            "--ca-file",
            text(&ca_file),
        ]);
        command.args(["--mirror", &cache.url]).args(specs.iter().map(|name| cache.hash(name)));
        command
    };
    let reference = world.path("reference");
    succeeded(&install(&reference, OURS[7]).output().unwrap());
    let expected = without_metadata(Holds::of(&reference));

    for round in 0..ROUNDS {
        let root = world.path(&format!("root-{round}"));
        let mut theirs: Vec<Child> = THEIRS
            .iter()
            .map(|names| {
                let mut command =
                    spack(&world, &cache, &root, &["install", "--cache-only", "--no-check-signature"]);
                command.args(names.iter().map(|name| cache.hash(name)));
                begun(command)
            })
            .collect();
        let has_begun = || match round {
            0 => root.join(".spack-db").is_dir(),
            _ => tree(&root).iter().any(|path| path.ends_with(".spack")),
        };
        while !has_begun() && theirs.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let ours: Vec<Child> = OURS.iter().map(|specs| begun(install(&root, specs))).collect();
        for child in ours.into_iter().chain(theirs) {
            succeeded(&child.wait_with_output().unwrap());
        }
        let held = Holds::of(&root);
        assert_eq!(held.unclaimed(&root), Vec::<std::path::PathBuf>::new());
        assert_eq!(without_metadata(held), expected, "round {round}");
        // Every byte is what the layers come to here, whoever put it there.
        let store = ["--store", text(&root)];
        let files = ["verify", "--all", "--cache", "--ca-file", text(&ca_file), "-m", &cache.url];
        world.ok([&store[..], &files].concat());
        let libraries = world.run([&store[..], &["verify", "libraries"]].concat());
        assert_eq!(libraries.code, Some(0), "{}", libraries.stdout);
        for selection in [&[][..], &["-x"]] {
            let question = [&["find", "--format", "{name} {version} {hash} {prefix}"], selection].concat();
            let theirs = succeeded(&spack(&world, &cache, &root, &question).output().unwrap());
            let ours = world.ok([&store[..], &question].concat());
            assert_eq!(sorted(&ours), sorted(&theirs), "round {round}, {selection:?}");
        }
    }
}

#[test]
fn spack_installs_layers_that_are_not_compressed() {
    const TEST: &str = "spack_installs_layers_that_are_not_compressed";
    if std::env::var_os("STRATA_SPACK").is_none() {
        return golden::skipped(TEST, "STRATA_SPACK names no Spack");
    }
    let Some(golden) = golden::file("cache") else { return golden::skipped(TEST, "no cache") };
    let world = World::new();
    // A shorter root: for a longer one Spack needs patchelf.
    let (ours, theirs) = (world.path("ours-is-longer"), world.path("theirs"));
    let compressed = format!("oci+file://{}", golden.display());
    world.ok(["--store", text(&ours), "install", "--no-host-check", "--mirror", &compressed, "xz"]);
    let bare = format!("oci+file://{}", world.path("served/cache").display());
    fs::create_dir_all(world.path("served")).unwrap();
    let push = ["buildcache", "push", "--compression", "none", "--update-index", &bare];
    let said = world.run([&["--store", text(&ours)][..], &push].concat());
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stderr.contains("not compressed"), "{}", said.stderr);
    let cache = Cache::serving(&world);
    let mut command = spack(&world, &cache, &theirs, &["install", "--cache-only", "--no-check-signature"]);
    command.arg(cache.hash("xz"));
    succeeded(&command.output().unwrap());
    let held = |root| without_metadata(Holds::of(root)).prefixes;
    assert_eq!(held(&theirs), held(&ours));
}

/// Without what is in `.spack`: Spack leaves files of its own there, or other ones of the builder's.
fn without_metadata(mut held: Holds) -> Holds {
    for paths in held.prefixes.values_mut() {
        paths.retain(|path| !path.starts_with(".spack"));
    }
    held
}
