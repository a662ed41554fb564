//! How many system calls an install takes for each file, and a start in any case, counted by strace.
//!
//! The sample store is installed as it is and with many more files in one of its packages; the difference is what these
//! files take. When extracting, relocating, dating byte-code and writing the manifest each went over the tree anew it was
//! 2.1 opens, 2.1 stat-like calls, 2.0 reads and 9.7 calls of any kind for each file.

use crate::support::{World, text};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use strata_testkit::golden;

const DIRECTORIES: u64 = 40;
const FILES: u64 = 50;

/// System calls and how often they were made.
struct Calls(HashMap<String, u64>);

impl Calls {
    /// Of installing all of a store from `cache` into `root`.
    fn of_installing(world: &World, cache: &str, root: &Path) -> Self {
        Self::of(world, &["--store", text(root), "install", "--mirror", cache, "hello"])
    }

    fn of(world: &World, arguments: &[&str]) -> Self {
        let summary = world.path("summary");
        let plain = world.command();
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(&summary).arg(plain.get_program());
        // The one that Cargo sets makes the loader look in many places.
        command.args(arguments).env_remove("LD_LIBRARY_PATH");
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // `% time  seconds  usecs/call  calls  [errors]  syscall`
        let summary = fs::read_to_string(summary).unwrap();
        let row = |line: &str| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let calls = columns.get(3)?.parse().ok()?;
            let name = columns.get(4..)?.last()?;
            (*name != "total").then(|| ((*name).to_owned(), calls))
        };
        let calls: HashMap<String, u64> = summary.lines().filter_map(row).collect();
        assert!(calls.contains_key("openat"), "strace wrote something else:\n{summary}");
        Self(calls)
    }

    fn sum(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }

    /// All but those by which threads wait for each other, of which there are now more and now fewer, and the one by which
    /// the standard library asserts in debug builds that what it closes is open.
    fn all(&self) -> u64 {
        let others = ["futex", "sched_yield", "fcntl"];
        self.0.iter().filter(|(name, _)| !others.contains(&name.as_str())).map(|(_, calls)| calls).sum()
    }
}

/// Adds files to a package: one in fifty has the prefix in it, and one in fifty is a script.
fn add_files(prefix: &Path) {
    for directory in 0..DIRECTORIES {
        let at = prefix.join(format!("share/many/{directory:02}"));
        fs::create_dir_all(&at).unwrap();
        for file in 0..FILES {
            let content = match file {
                0 => format!("prefix={}\n", prefix.display()),
                1 => "#!/bin/sh\n".to_owned(),
                _ => format!("{directory} {file}\n").repeat(40 * file as usize),
            };
            fs::write(at.join(format!("file-{file:02}")), content).unwrap();
        }
    }
}

/// Whether there is a strace that can trace; if not, the test `name` is skipped, but not in CI.
fn is_traced(name: &str) -> bool {
    let traced = Command::new("strace")
        .args(["-f", "-c", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !traced {
        assert!(std::env::var_os("CI").is_none(), "there is no strace that works, and CI has to have one");
        golden::skipped(name, "there is no strace that works");
    }
    traced
}

/// What a shell prompt or a completion waits for: nothing is asked of the network, and little is read. The loader and the
/// standard library take most of it: all 80 calls of `--version`.
#[test]
fn a_start_is_a_few_system_calls() {
    if !is_traced("a_start_is_a_few_system_calls") {
        return;
    }
    let world = World::new();
    let root = world.path("root");
    let (_, cache) = world.sample_cache();
    world.ok(["--store", text(&root), "install", "--mirror", &cache, "hello"]);
    world.ok(["--store", text(&root), "uninstall", "-y", "--all"]);
    for (arguments, most) in [(&["--version"][..], 120), (&["--store", text(&root), "find"], 330)] {
        let calls = Calls::of(&world, arguments);
        let all = calls.all();
        println!("{arguments:?}: {all} system calls");
        assert!(all < most, "{arguments:?} takes {all} system calls");
        assert_eq!(calls.sum(&["fork", "vfork", "socket", "connect"]), 0, "{arguments:?}");
    }
}

#[test]
fn an_install_writes_each_file_once_and_reads_it_only_to_relocate_it() {
    let name = "an_install_writes_each_file_once_and_reads_it_only_to_relocate_it";
    if !is_traced(name) {
        return;
    }
    let world = World::new();
    let (store, few) = world.sample_cache();
    let base = Calls::of_installing(&world, &few, &world.path("few"));
    add_files(&store.package("hello").prefix);
    let many = world.layout("many-files");
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &many]);
    let root = world.path("many");
    let calls = Calls::of_installing(&world, &many, &root);
    let installed = crate::support::tree(&root);
    let added = installed.iter().filter(|path| text(path).contains("share/many/")).count() as u64;
    assert_eq!(added, DIRECTORIES * (FILES + 1), "not everything was installed");

    let files = (DIRECTORIES * FILES) as f64;
    let per_file = |names: &[&str]| calls.sum(names).saturating_sub(base.sum(names)) as f64 / files;
    let opens = per_file(&["open", "openat", "openat2"]);
    let stats = per_file(&["stat", "lstat", "fstat", "newfstatat", "statx"]);
    let reads = per_file(&["read", "readv", "pread64", "preadv"]);
    let writes = per_file(&["write", "writev", "pwrite64", "pwritev"]);
    let all = calls.all().saturating_sub(base.all()) as f64 / files;
    println!(
        "per file: {opens:.2} opens, {stats:.2} stats, {reads:.2} reads, {writes:.2} writes, {all:.2} in all"
    );
    // At least: a trace that misses the threads keeps within any limit.
    assert!(opens >= 1.0 && writes >= 0.98 && stats >= 1.0, "{opens} opens, {writes} writes, {stats} stats");
    assert!(opens < 1.15, "{opens} opens for each file");
    assert!(stats < 1.15, "{stats} stat-like calls for each file");
    assert!(reads < 0.15, "{reads} reads for each file");
    assert!(all < 5.0, "{all} calls for each file");
}
