//! How many system calls packing a prefix takes, counted by strace.
//!
//! Per regular file one open, one stat-like call and one read per MiB; per directory one open; no seeking. What
//! a process needs to start at all is measured on an empty prefix and taken off.
//!
//! All calls together, whatever they are, are to be at most a third of Spack's: for the python of the stores
//! Spack makes 19.08 per file, and we about five; how often threads wait for each other differs from run to run.

use std::collections::HashMap;
use std::process::Command;

use super::{Path, PathBuf, fs, golden, symlink};

/// All system calls that Spack makes for each file of python when it packs it, those of its start taken off.
const CALLS_OF_SPACK: f64 = 19.08;

/// The example program of this crate, which cargo builds beside the tests (not for `cargo test --test` alone).
fn program() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let program = test.parent()?.parent()?.join("examples/pack_prefix");
    program.exists().then_some(program)
}

/// Whether strace is there and may trace: in some containers it may not.
fn has_strace() -> bool {
    let traced = Command::new("strace").args(["-f", "-c", "-o", "/dev/null", "true"]).output();
    traced.is_ok_and(|output| output.status.success())
}

/// Why the tests here cannot run, if so.
fn missing() -> Option<&'static str> {
    match (has_strace(), program()) {
        (false, _) => Some("there is no strace that works"),
        (_, None) => Some("the example pack_prefix was not built"),
        _ => None,
    }
}

/// System calls and how often they were made.
struct Calls(HashMap<String, u64>);

impl Calls {
    fn of_packing(prefix: &Path) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let summary = temporary.path().join("summary");
        let status = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(&summary)
            .arg(program().expect("checked before"))
            .arg(prefix)
            .arg("2")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        // `% time  seconds  usecs/call  calls  [errors]  syscall`
        let text = fs::read_to_string(summary).unwrap();
        let row = |line: &str| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let calls = columns.get(3)?.parse().ok()?;
            let name = columns.get(4..)?.last()?;
            (*name != "total").then(|| ((*name).to_owned(), calls))
        };
        let calls: HashMap<String, u64> = text.lines().filter_map(row).collect();
        assert!(calls.contains_key("openat"), "strace wrote something else:\n{text}");
        Self(calls)
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }

    fn sum(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }
}

/// What there is below a prefix.
#[derive(Debug, Default)]
struct Tree {
    files: u64,
    directories: u64,
    /// Whole MiB of each file, summed.
    mebibytes: u64,
}

fn count(directory: &Path, tree: &mut Tree) {
    tree.directories += 1;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            count(&path, tree);
        } else if metadata.is_file() {
            tree.files += 1;
            tree.mebibytes += metadata.len() >> 20;
        }
    }
}

/// Asserts it, and gives all calls for each file.
fn assert_budget(prefix: &Path) -> f64 {
    let mut tree = Tree::default();
    count(prefix, &mut tree);
    let empty = tempfile::tempdir().unwrap();
    let base = Calls::of_packing(empty.path());
    let calls = Calls::of_packing(prefix);
    let used = |names: &[&str]| calls.sum(names).saturating_sub(base.sum(names));
    let opens = used(&["open", "openat", "openat2"]);
    let stats = used(&["stat", "lstat", "fstat", "newfstatat", "statx"]);
    let reads = used(&["read", "readv", "pread64", "preadv"]);
    let seeks = used(&["lseek"]);
    println!("{}: {tree:?}: {opens} opens, {stats} stats, {reads} reads, {seeks} seeks", prefix.display());
    // At least: a run that packs nothing keeps within any limit. (The old `binary_distribution` is not opened.)
    assert!(opens + 2 >= tree.files + tree.directories, "only {opens} opens of {tree:?}");
    assert!(opens <= tree.files + tree.directories, "{opens} opens of {tree:?}");
    assert!(stats <= tree.files, "{stats} stat-like calls of {tree:?}");
    assert!(reads as f64 <= 1.3 * tree.files as f64 + tree.mebibytes as f64, "{reads} reads of {tree:?}");
    assert_eq!(seeks, 0, "of {tree:?}");
    calls.all().saturating_sub(base.all()) as f64 / tree.files as f64
}

#[test]
fn a_generated_tree_keeps_the_budget() {
    if let Some(reason) = missing() {
        return golden::skipped("a_generated_tree_keeps_the_budget", reason);
    }
    let temporary = tempfile::tempdir().unwrap();
    let prefix = temporary.path().join("pkg-1");
    for directory in 0..20 {
        let directory = prefix.join(format!("share/{directory:02}/d"));
        fs::create_dir_all(&directory).unwrap();
        for file in 0..25 {
            fs::write(directory.join(format!("{file}")), "some text\n".repeat(file)).unwrap();
            symlink("../target", directory.join(format!("link-{file}"))).unwrap();
        }
        fs::hard_link(directory.join("7"), directory.join("hard")).unwrap();
    }
    for (name, size) in [("exact", 1 << 20), ("one-more", (1 << 20) + 1), ("many", 5 << 20), ("empty", 0)] {
        fs::write(prefix.join(name), vec![b'x'; size]).unwrap();
    }
    assert_budget(&prefix);
}

#[test]
fn the_biggest_package_of_each_store_keeps_the_budget() {
    let name = "the_biggest_package_of_each_store_keeps_the_budget";
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped(name, "STRATA_STORES lists no unpacked store");
    }
    if let Some(reason) = missing() {
        return golden::skipped(name, reason);
    }
    for store in stores {
        let mut prefixes = Vec::new();
        find_prefixes(&store, 4, &mut prefixes);
        let files = |prefix: &PathBuf| {
            let mut tree = Tree::default();
            count(prefix, &mut tree);
            tree.files
        };
        match prefixes.into_iter().max_by_key(files) {
            Some(prefix) => {
                let calls = assert_budget(&prefix);
                println!("{calls:.2} calls for each file");
                assert!(calls <= CALLS_OF_SPACK / 3.0, "{calls:.2} calls for each file");
            }
            None => golden::skipped(name, &format!("nothing is installed in {}", store.display())),
        }
    }
}

/// Install prefixes are the directories with a `.spack` in them.
fn find_prefixes(directory: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    if directory.join(".spack").is_dir() {
        return found.push(directory.to_owned());
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_prefixes(&entry.path(), depth, found);
        }
    }
}
