//! What is on the disk before the database says that it is there, as the system calls show it.

use crate::support::exit_code::DISK;
use crate::support::{World, text, tree, under_strace};
use std::collections::HashSet;

/// What matters of what a run told the system, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    /// Everything that was written is flushed.
    FlushAll,
    /// A directory or a file is.
    Flush(String),
    /// A package appears.
    Appear,
    /// The index of the database is replaced.
    Record,
}

fn calls(trace: &str) -> Vec<Call> {
    let call = |line: &str| {
        let is_rename = line.contains(" rename(") || line.contains(" renameat");
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let is_staged = |path: &str| path.contains("/strata-stage/run.");
        if line.contains(" syncfs(") {
            Some(Call::FlushAll)
        } else if line.contains(" fsync(") {
            line.split(['<', '>']).nth(1).map(|path| Call::Flush(path.to_owned()))
        } else if let (true, [from, to]) = (is_rename, &quoted[..]) {
            let appears = is_staged(from) && !is_staged(to);
            if appears { Some(Call::Appear) } else { to.ends_with("/index.json").then_some(Call::Record) }
        } else {
            None
        }
    };
    trace.lines().filter_map(call).collect()
}

#[test]
fn what_is_flushed_before_what() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let trace = world.path("trace");
    let traced = |root: &str, variable: &str| {
        let root = world.path(root);
        let mut install = world.command();
        install
            .args(["--store", text(&root), "install", "-m", &cache, "hello"])
            .env("STRATA_FSYNC", variable);
        let options =
            ["-y", "-s", "4096", "-e", "trace=syncfs,fsync,rename,renameat,renameat2", "-o", text(&trace)];
        let ran = under_strace("what_is_flushed_before_what", &options, &install)?;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        Some(calls(&std::fs::read_to_string(&trace).unwrap()))
    };
    let Some(plain) = traced("plain", "0") else { return };
    assert_eq!(plain.iter().filter(|call| **call == Call::Appear).count(), 3, "{plain:?}");
    assert!(!plain.contains(&Call::FlushAll), "{plain:?}");

    let flushed = traced("flushed", "1").unwrap();
    assert_eq!(flushed.iter().filter(|call| **call == Call::Appear).count(), 3, "{flushed:?}");
    for calls in [&plain, &flushed] {
        let with_contents = calls.contains(&Call::FlushAll);
        // The first one makes the database.
        let batches: Vec<&[Call]> = calls.split_inclusive(|call| *call == Call::Record).skip(1).collect();
        for batch in batches.iter().filter(|batch| batch.contains(&Call::Appear)) {
            let place = |wanted: &Call| batch.iter().position(|call| call == wanted);
            let (all, appeared) = (place(&Call::FlushAll), place(&Call::Appear).unwrap());
            assert!(!with_contents || all.is_some_and(|all| all < appeared), "{batch:?}");
            // Names once each, after all of them are there, and before they are recorded.
            let appeared = batch.iter().rposition(|call| *call == Call::Appear).unwrap();
            let names: Vec<&Call> =
                batch[appeared..].iter().filter(|c| matches!(c, Call::Flush(_))).collect();
            let different: HashSet<String> = names.iter().map(|call| format!("{call:?}")).collect();
            assert_eq!(names.len(), different.len(), "{batch:?}");
            let packages = batch.iter().filter(|call| **call == Call::Appear).count();
            let metadata = different.iter().filter(|call| call.contains("/.spack\""));
            assert_eq!(metadata.count(), packages, "{batch:?}");
            assert_eq!(batch.last(), Some(&Call::Record));
        }
    }
}

#[test]
fn contents_that_do_not_reach_the_disk() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let refusal = ["-o", "/dev/null", "-e", "inject=syncfs:error=EIO"];
    let install = ["--store", text(&root), "install", "--fsync", "-m", &cache, "hello"];
    let test = "contents_that_do_not_reach_the_disk";
    let Some(ran) = under_strace(test, &refusal, world.command().args(install)) else { return };
    ran.fails(DISK, &["cannot flush the file system of", text(&root)]);
    assert!(world.installed(&root).is_empty());
    let left = tree(&root);
    assert!(
        !left.iter().any(|path| path.ends_with(".spack") || text(path).contains("strata-stage/")),
        "{left:?}"
    );
}
