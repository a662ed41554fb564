//! File systems that refuse locks, answer late, or have lost sight of a file, as NFS can: system calls made to fail by strace.
//! Either there is a clear error or it is said what was done instead; and nobody waits without being told for what.

use crate::support::exit_code::DISK;
use crate::support::{Ran, World, install, text, tree, under_strace};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use strata_testkit::golden;

/// Runs strata with a fault injected into the system calls that are about some files; none, after saying so, where strace cannot
/// do that.
fn injected(
    test: &str,
    world: &World,
    files: &[PathBuf],
    injection: &str,
    arguments: &[&str],
) -> Option<Ran> {
    let mut options = vec!["-o", "/dev/null", "-e", injection];
    options.extend(files.iter().flat_map(|file| ["-P", text(file)]));
    under_strace(test, &options, world.command().args(arguments))
}

/// A store with one package, and the cache it came from.
fn store(world: &World) -> (PathBuf, String) {
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    assert_eq!(install(world, &root, &cache, "greet").code, Some(0));
    (root, cache)
}

#[test]
fn locks_that_are_refused() {
    const TEST: &str = "locks_that_are_refused";
    let world = World::new();
    let (root, cache) = store(&world);
    let before = tree(&root);
    let locks = ["lock", "prefix_lock", "strata-stage.lock"].map(|name| root.join(".spack-db").join(name));
    for error in ["ENOLCK", "EOPNOTSUPP"] {
        let refusal = format!("inject=fcntl:error={error}");
        let run = |arguments: &[&str]| {
            injected(TEST, &world, &locks, &refusal, &[&["--store", text(&root)], arguments].concat())
        };
        // What changes the store is refused, before anything is changed.
        let Some(ran) = run(&["install", "-m", &cache, "hello"]) else { return };
        ran.fails(DISK, &["cannot lock", text(&root), "hint:", "config:locks"]);
        run(&["uninstall", "-y", "greet"]).unwrap().fails(DISK, &["cannot lock", "config:locks"]);
        assert_eq!(tree(&root), before);
        // Nor is a store begun.
        let new = world.path("new/root");
        let arguments = ["--store", text(&new), "install", "-m", &cache, "hello"];
        let files = locks.each_ref().map(|lock| new.join(lock.strip_prefix(&root).unwrap()));
        injected(TEST, &world, &files, &refusal, &arguments).unwrap().fails(DISK, &["cannot lock"]);
        assert!(!world.path("new").exists(), "{:?}", tree(&world.path("new")));
        // What only reads it goes on, and says so.
        let found = run(&["find"]).unwrap();
        assert_eq!((found.code, found.stdout.contains("greet@1.0")), (Some(0), true), "{}", found.stderr);
        assert!(found.stderr.contains("without a lock"), "{}", found.stderr);
        // And who is alone can do without.
        let arguments = ["-c", "config:locks:false", "install", "-m", &cache, "runner"];
        let ran = run(&arguments).unwrap();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let ran = run(&["-c", "config:locks:false", "uninstall", "-y", "runner"]).unwrap();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!tree(&root).iter().any(|path| text(path).contains("strata-stage/")));
    }
}

#[test]
fn stale_handles() {
    const TEST: &str = "stale_handles";
    let world = World::new();
    let (root, _) = store(&world);
    let arguments = ["--store", text(&root), "find"];
    let calls = |what: &str| format!("inject=openat,open,fcntl:error=ESTALE:{what}");
    let index = root.join(".spack-db/index.json");
    let of = |file: &PathBuf, what: &str| {
        injected(TEST, &world, std::slice::from_ref(file), &calls(what), &arguments)
    };
    // Once or twice: opened again.
    let Some(ran) = of(&index, "when=1..2") else { return };
    assert_eq!((ran.code, ran.stdout.contains("greet@1.0")), (Some(0), true), "{}", ran.stderr);
    // For ever: an error that says what it means.
    of(&index, "when=1+").unwrap().fails(DISK, &["index.json", "tale", "hint:", "mount it anew"]);
    let lock = root.join(".spack-db/lock");
    let ran = of(&lock, "when=1..2").unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    of(&lock, "when=1+").unwrap().fails(DISK, &[text(&lock), "tale", "hint:"]);
}

#[test]
fn a_file_system_that_answers_late() {
    const TEST: &str = "a_file_system_that_answers_late";
    let world = World::new();
    let (root, _) = store(&world);
    let index = root.join(".spack-db/index.json");
    let late = "inject=openat,open:delay_enter=2500000:when=1";
    let arguments = ["--store", text(&root), "find"];
    let Some(ran) = injected(TEST, &world, std::slice::from_ref(&index), late, &arguments) else { return };
    assert_eq!((ran.code, ran.stdout.contains("greet@1.0")), (Some(0), true), "{}", ran.stderr);
    let word = format!("waiting for the file system of {}", index.display());
    assert!(ran.stderr.contains(&word), "{}", ran.stderr);
}

#[test]
fn a_lock_that_somebody_holds() {
    let world = World::new();
    let (root, cache) = store(&world);
    let hold = "import fcntl, sys, time; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)";
    let lock = root.join(".spack-db/lock");
    let holder = Command::new("python3").args(["-c", hold, text(&lock)]).stdout(Stdio::piped()).spawn();
    let Ok(mut holder) = holder else {
        return golden::skipped("a_lock_that_somebody_holds", "there is no python3");
    };
    let mut said = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
    let started = Instant::now();
    let arguments =
        ["-c", "config:db_lock_timeout:3", "--store", text(&root), "install", "-m", &cache, "hello"];
    let ran = world.run(arguments);
    let waited = started.elapsed();
    let id = holder.id();
    holder.kill().unwrap();
    holder.wait().unwrap();
    ran.fails(
        75,
        &[&format!("process {id}"), "waiting for a read lock", text(&lock), "config:db_lock_timeout"],
    );
    assert!((Duration::from_secs(3)..Duration::from_secs(30)).contains(&waited), "{waited:?}");
}
