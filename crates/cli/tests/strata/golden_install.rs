//! What strata installs, against what real Spack installed from the same cache under the same roots.
//!
//! The golden files do not say under which root they were made; their absolute links do.

use crate::support::{World, is_root, text};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use strata_store::StoreRoot;
use strata_testkit::golden;

/// One golden file: the directory its paths are relative to, and its rows by path.
struct Expected {
    directory: PathBuf,
    rows: BTreeMap<String, Value>,
}

impl Expected {
    /// Reads a golden file. The directory is what precedes the path of a row in the target of an absolute link to
    /// it; none if there is no such link.
    fn read(path: &Path) -> Option<Self> {
        let rows: BTreeMap<String, Value> = golden::rows(path)
            .into_iter()
            .map(|row| (row["path"].as_str().unwrap().to_owned(), row))
            .collect();
        let directory = rows.values().filter_map(|row| row["link"].as_str()).find_map(|target| {
            let inside = target.strip_prefix('/')?;
            let starts = inside.match_indices('/').map(|(at, _)| &inside[at + 1..]);
            let row = starts.filter(|end| rows.contains_key(*end)).max_by_key(|end| end.len())?;
            Some(PathBuf::from(target.strip_suffix(row)?))
        })?;
        Some(Self { directory, rows })
    }

    fn root(&self) -> &Path {
        self.directory.parent().unwrap()
    }

    /// The root as `config:install_tree:root` would name it, without padding.
    fn unpadded(&self) -> PathBuf {
        StoreRoot::open_or_new(self.root(), None).unwrap().unpadded().to_owned()
    }

    /// Keeps the rows of these packages only.
    fn of(&self, hashes: &BTreeSet<String>) -> BTreeMap<&str, &Value> {
        let rows = self.rows.iter().map(|(path, row)| (path.as_str(), row));
        rows.filter(|(path, _)| is_of(hashes, path)).collect()
    }

    /// Those of `hashes` that there are rows of.
    fn known(&self, hashes: &BTreeSet<String>) -> BTreeSet<String> {
        let has_rows = |hash: &&String| self.rows.keys().any(|path| path.ends_with(hash.as_str()));
        hashes.iter().filter(has_rows).cloned().collect()
    }
}

/// Whether the path, which starts with the directory of a package, is of one of those packages.
fn is_of(hashes: &BTreeSet<String>, path: &str) -> bool {
    let package = path.split('/').next().unwrap();
    hashes.iter().any(|hash| package.ends_with(hash.as_str()))
}

/// The file where it lies now is what the row says. Times do not count, nor the set-group-id bit of directories, nor
/// the contents of what the installer writes.
fn assert_row(directory: &Path, path: &str, row: &Value) {
    let file = directory.join(path);
    let status = file.symlink_metadata().unwrap_or_else(|e| panic!("{path}: {e}"));
    let mode = row["mode"].as_str().map(|m| u32::from_str_radix(m.trim_start_matches("0o"), 8).unwrap());
    if let Some(first) = row["hardlink_of"].as_str() {
        let first = directory.join(first).symlink_metadata().unwrap();
        assert_eq!(
            (status.dev(), status.ino()),
            (first.dev(), first.ino()),
            "{path} is another name of a file"
        );
    }
    match row["type"].as_str().unwrap() {
        "dir" => {
            assert!(status.is_dir(), "{path}");
            assert_eq!(status.mode() & 0o777, mode.unwrap() & 0o777, "{path}");
        }
        "symlink" => {
            assert_eq!(std::fs::read_link(&file).unwrap().to_str(), row["link"].as_str(), "{path}");
        }
        _ => {
            assert!(status.is_file(), "{path}");
            if let Some(mode) = mode {
                assert_eq!(status.mode() & 0o7777, mode, "{path}");
            }
            let by_installer = [".spack/install_times.json", ".spack/install_manifest.json"];
            if let Some(sha256) =
                row["sha256"].as_str().filter(|_| !by_installer.iter().any(|n| path.ends_with(n)))
            {
                let digest = Sha256::digest(std::fs::read(&file).unwrap());
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(digest, sha256, "{path}");
            }
        }
    }
}

/// Installs `hashes` from `cache` under the root the golden file was made under, and compares.
fn install_and_compare(world: &World, cache: &str, expected: &Expected, hashes: &BTreeSet<String>) {
    let unpadded = expected.unpadded();
    let padded_length = expected.root().as_os_str().len().to_string();
    let mut command = world.command();
    command.args(["--json", "--store", text(&unpadded), "install", "--mirror", cache]);
    if unpadded != expected.root() {
        command.args(["--padded-length", &padded_length]);
    }
    let output = command.args(hashes.iter().map(|hash| format!("/{hash}"))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let rows = expected.of(hashes);
    for (path, row) in &rows {
        assert_row(&expected.directory, path, row);
    }
    let mut unexpected = Vec::new();
    for path in crate::support::tree(&expected.directory) {
        // The golden file may be about some packages only, and those need others.
        if is_of(hashes, text(&path)) && !rows.contains_key(text(&path)) {
            unexpected.push(path);
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// Those of `hashes` whose closure the cache has: all, unless prefixes of the store are not on disk.
fn installable(world: &World, cache: &str, mut hashes: BTreeSet<String>) -> BTreeSet<String> {
    let root = world.path("nothing-is-installed-here");
    let plan = |hash: &String| {
        world.run(["--store", text(&root), "install", "-n", "-m", cache, &format!("/{hash}")])
    };
    hashes.retain(|hash| {
        let ran = plan(hash);
        let incomplete = ran.code == Some(3) && ran.stderr.contains("which no mirror has");
        assert!(ran.code == Some(0) || incomplete, "{}", ran.stderr);
        if incomplete {
            golden::skipped("installing", ran.stderr.trim_end());
        }
        !incomplete
    });
    hashes
}

/// Whether the test may use the root; a root that exists is not ours.
fn may_use(root: &Path, test: &str) -> bool {
    let free = !root.exists();
    if !free || !is_root() {
        golden::skipped(test, &format!("{} exists, or cannot be made", root.display()));
    }
    free && is_root()
}

/// The tests of this file install under the same roots.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ROOTS: Mutex<()> = Mutex::new(());
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what the test made under `root`, and those parents that were not there before.
struct Cleared {
    root: PathBuf,
    made: Vec<PathBuf>,
}

impl Cleared {
    fn new(root: PathBuf) -> Self {
        let made = root.ancestors().skip(1).filter(|a| !a.exists()).map(Path::to_owned).collect();
        Self { root, made }
    }
}

impl Drop for Cleared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
        for parent in &self.made {
            let _ = std::fs::remove_dir(parent);
        }
    }
}

/// Hashes of the packages of a layout or store, from `find` or `buildcache list`.
fn hashes(listed: &Value) -> BTreeSet<String> {
    let specs = listed["result"]["specs"].as_array().unwrap();
    specs.iter().map(|spec| spec["hash"].as_str().unwrap().to_owned()).collect()
}

/// What the dynamic loader does not find for each ELF file of the packages, which lie below `root`.
fn unresolved(root: &Path, hashes: &BTreeSet<String>) -> BTreeMap<PathBuf, Vec<String>> {
    let mut missing = BTreeMap::new();
    for path in crate::support::tree(root) {
        let file = root.join(&path);
        let is_elf = is_of(hashes, text(&path))
            && file.symlink_metadata().unwrap().is_file()
            && std::fs::read(&file).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"));
        if is_elf {
            let output = Command::new("ldd").arg(&file).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let lines: Vec<String> =
                text.lines().filter(|l| l.contains("not found")).map(|l| l.trim().to_owned()).collect();
            missing.insert(path, lines);
        }
    }
    missing
}

/// The programs in `bin` directories of the packages, relative to `directory`, and how `--version` ends. Scripts behind sbang are
/// left out: an unpacked store has no sbang.
fn versions(directory: &Path, hashes: &BTreeSet<String>) -> BTreeMap<PathBuf, Option<i32>> {
    let mut found = BTreeMap::new();
    for package in std::fs::read_dir(directory).unwrap() {
        let package = package.unwrap();
        if !is_of(hashes, package.file_name().to_str().unwrap()) {
            continue;
        }
        let bin = package.path().join("bin");
        for program in std::fs::read_dir(bin).into_iter().flatten() {
            let program = program.unwrap().path();
            let start = std::fs::read(&program).unwrap_or_default();
            if start.split(|byte| *byte == b'\n').next().is_some_and(|line| line.ends_with(b"/bin/sbang")) {
                continue;
            }
            let mut command = Command::new("timeout");
            command.args(["10"]).arg(&program).arg("--version").env_clear().env("TERM", "dumb");
            command.env("PATH", "/usr/bin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
            command.stdin(std::process::Stdio::null());
            let code = command.output().unwrap().status.code();
            found.insert(program.strip_prefix(directory).unwrap().to_owned(), code);
        }
    }
    found
}

#[test]
fn an_install_is_the_one_spack_makes() {
    const TEST: &str = "an_install_is_the_one_spack_makes";
    if golden::stores().is_empty() {
        return golden::skipped(TEST, "STRATA_STORES is not set");
    }
    for store in golden::stores() {
        let world = World::new();
        let cache = world.layout("cache");
        // Prefixes that are not on disk are a failure of the push, and not of this test.
        let push = world.run(["--store", text(&store), "buildcache", "push", "--update-index", &cache]);
        assert!(
            push.code == Some(0) || push.stderr.contains("recorded as installed, but"),
            "{}",
            push.stderr
        );
        let pushed = hashes(&world.run(["--json", "buildcache", "list", "--mirror", &cache]).json());
        for file in golden::json_files("install") {
            let _roots = one_at_a_time();
            let Some(expected) = Expected::read(&file) else {
                golden::skipped(TEST, &format!("{} does not tell its root", file.display()));
                continue;
            };
            let wanted = installable(&world, &cache, expected.known(&pushed));
            if wanted.is_empty() {
                golden::skipped(TEST, &format!("{} is about none of this store", file.display()));
                continue;
            }
            if !may_use(&expected.unpadded(), TEST) {
                continue;
            }
            let _cleared = Cleared::new(expected.unpadded());
            install_and_compare(&world, &cache, &expected, &wanted);
            // It is not only equal, it works as well as where it was built.
            let platform = expected.directory.file_name().unwrap();
            assert_eq!(unresolved(&expected.directory, &wanted), unresolved(&store.join(platform), &wanted));
            assert_eq!(versions(&expected.directory, &wanted), versions(&store.join(platform), &wanted));
        }
    }
}

#[test]
fn a_cache_that_spack_wrote_installs() {
    const TEST: &str = "a_cache_that_spack_wrote_installs";
    let Some(cache) = golden::file("cache") else {
        return golden::skipped(TEST, "the golden directory has no cache/ (STRATA_GOLDEN)");
    };
    let world = World::new();
    let url = format!("oci+file://{}", cache.canonicalize().unwrap().display());
    let tags: Vec<String> = strata_oci::open(&url.parse().unwrap(), &strata_oci::Transport::default(), None)
        .unwrap()
        .tags()
        .unwrap();
    let wanted: BTreeSet<String> = tags
        .iter()
        .filter_map(|tag| Some(tag.strip_suffix(".spack")?.rsplit_once('-')?.1.to_owned()))
        .collect();
    if wanted.is_empty() {
        return golden::skipped(TEST, "cache/ has no package");
    }
    // Its index speaks of more packages than the layout has: those are not there, and that is said.
    let indexed = hashes(&world.run(["--json", "buildcache", "list", "--mirror", &url]).json());
    if let Some(absent) = indexed.difference(&wanted).next() {
        let store = world.path("nothing");
        let ran = world.run(["--store", text(&store), "install", "--mirror", &url, &format!("/{absent}")]);
        ran.fails(3, &["no"]);
        assert!(!store.exists());
    }
    let mut compared = 0;
    for file in golden::json_files("install") {
        let _roots = one_at_a_time();
        let Some(expected) = Expected::read(&file) else { continue };
        if !may_use(&expected.unpadded(), TEST) {
            continue;
        }
        let _cleared = Cleared::new(expected.unpadded());
        let wanted = expected.known(&wanted);
        if wanted.is_empty() {
            continue;
        }
        install_and_compare(&world, &url, &expected, &wanted);
        // Plug-ins may rely on what loads them; programs have nobody to rely on.
        let in_bin = |path: &Path| path.iter().nth(1) == Some("bin".as_ref());
        let unresolved = unresolved(&expected.directory, &wanted);
        let programs: Vec<_> =
            unresolved.iter().filter(|(path, lines)| in_bin(path) && !lines.is_empty()).collect();
        assert!(programs.is_empty(), "{programs:?}");
        compared += 1;
    }
    if compared == 0 {
        golden::skipped(TEST, "there is no root to install under");
    }
}
