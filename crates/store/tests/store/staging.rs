//! Staged prefixes: committed, dropped, killed; and what is found at a prefix afterwards.

use crate::support::{Process, as_somebody_else, hash, new_store};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use strata_spec::{Database, Record};
use strata_store::prefix_state::{PrefixState, prefix_state};
use strata_store::removal::RemovalError;
use strata_store::stage::{STAGED_SPEC_FILE, StageError, StagedPrefix};
use strata_store::{
    ChangedDirectories, LockSettings, StageArea, Store, StoreRoot, clean_stale, install_sbang, remove_prefix,
};

/// The tree of a package from a cache, with its spec file under `spec_file`.
fn fill(tree: &Path, name: char, spec_file: &str) {
    std::fs::create_dir_all(tree.join(".spack")).unwrap();
    std::fs::create_dir_all(tree.join("bin")).unwrap();
    std::fs::write(tree.join("bin/tool"), "tool").unwrap();
    let spec = format!(r#"{{"spec":{{"_meta":{{"version":5}},"nodes":[{{"hash":"{}"}}]}}}}"#, hash(name));
    std::fs::write(tree.join(".spack").join(spec_file), spec).unwrap();
    std::fs::write(tree.join(".spack/binary_distribution"), "{}").unwrap();
}

fn commit(staged: StagedPrefix, prefix: &Path) -> Result<(), StageError> {
    let mut changed = ChangedDirectories::default();
    staged.commit(prefix, &mut changed)?;
    changed.flush()
}

fn area_of(root: &StoreRoot) -> PathBuf {
    root.database_directory().join("strata-stage")
}

/// Every file below the root that `spack reindex` would take for that of an installed package.
fn spec_files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut stack) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = stack.pop() {
        found.extend(Some(dir.join(".spack/spec.json")).filter(|path| path.exists()));
        let entries = std::fs::read_dir(&dir).unwrap().map(Result::unwrap);
        stack.extend(entries.filter(|e| e.file_type().unwrap().is_dir()).map(|e| e.path()));
    }
    found
}

#[test]
fn a_committed_tree_is_the_prefix_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let prefix = dir.path().join("linux-x86_64/deep/a-1.0");
    let area = StageArea::open(&store).unwrap();
    let staged = area.stage(&hash('a')).unwrap();
    fill(staged.path(), 'a', STAGED_SPEC_FILE);
    assert!(staged.path().starts_with(area_of(store.root())));
    assert!(spec_files(dir.path()).is_empty(), "spack reindex would see the staged package");
    commit(staged, &prefix).unwrap();
    assert_eq!(std::fs::read_to_string(prefix.join("bin/tool")).unwrap(), "tool");
    assert_eq!(spec_files(dir.path()), [prefix.join(".spack/spec.json")]);
    assert!(!prefix.join(".spack").join(STAGED_SPEC_FILE).exists());
    drop(area);
    assert!(!area_of(store.root()).exists());
}

#[test]
fn a_dropped_tree_is_gone_while_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let area = StageArea::open(&store).unwrap();
    let (first, second) = (area.stage(&hash('a')).unwrap(), area.stage(&hash('a')).unwrap());
    fill(first.path(), 'a', "spec.json");
    let path = first.path().to_path_buf();
    drop(area);
    drop(first);
    assert!(!path.exists() && second.path().exists());
    drop(second);
    assert!(!area_of(store.root()).exists());
}

#[test]
fn nothing_is_ever_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let area = StageArea::open(&store).unwrap();
    let (empty, file, dangling) =
        (dir.path().join("empty"), dir.path().join("file"), dir.path().join("link"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(&file, "here").unwrap();
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    for prefix in [empty, file, dangling] {
        let staged = area.stage(&hash('a')).unwrap();
        let path = staged.path().to_path_buf();
        let error = commit(staged, &prefix).unwrap_err();
        assert!(matches!(&error, StageError::PrefixExists { prefix: p } if *p == prefix), "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn a_commit_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let area = StageArea::open(&store).unwrap();
    let (root, file) = (store.root().root(), store.root().root().join("file"));
    std::fs::write(&file, "here").unwrap();
    // The name is longer than any file system takes, which shows after its directories were made.
    for prefix in [root.join("new/and/new").join("a".repeat(300)), file.join("a"), file.join("and/a")] {
        let staged = area.stage(&hash('a')).unwrap();
        fill(staged.path(), 'a', STAGED_SPEC_FILE);
        let path = staged.path().to_path_buf();
        let error = commit(staged, &prefix).unwrap_err();
        assert!(matches!(&error, StageError::Io { .. }), "{error}");
        assert!(!path.exists() && !root.join("new").exists());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "here");
}

#[test]
fn another_file_system_is_named() {
    use std::os::unix::fs::MetadataExt;
    let (dir, shared) = (tempfile::tempdir().unwrap(), Path::new("/dev/shm"));
    let device = |path: &Path| path.metadata().map(|m| m.dev()).ok();
    if device(shared).is_none() || device(shared) == device(dir.path()) {
        return strata_testkit::golden::skipped("staging", "there is no second file system at /dev/shm");
    }
    let other = tempfile::tempdir_in(shared).unwrap();
    let store = new_store(dir.path());
    let staged = StageArea::open(&store).unwrap().stage(&hash('a')).unwrap();
    let error = commit(staged, &other.path().join("prefix")).unwrap_err();
    assert!(matches!(error, StageError::OtherFileSystem { .. }), "{error}");
}

/// Not a test of its own: stages a package in another process and waits to be killed.
#[test]
fn worker() {
    let Some(dir) = std::env::var_os("STRATA_TEST_STAGE_STORE") else { return };
    let root = StoreRoot::open(Path::new(&dir)).unwrap();
    let store = Store::open(root, LockSettings::default()).unwrap();
    let staged = StageArea::open(&store).unwrap().stage(&hash('a')).unwrap();
    fill(staged.path(), 'a', STAGED_SPEC_FILE);
    writeln!(std::io::stdout(), "\nstaged").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(600));
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_a_running_one_needs_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "staging::worker", "--nocapture"])
            .env("STRATA_TEST_STAGE_STORE", dir.path());
        let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "staged"), "the worker failed");
        process
    };
    let runs = || std::fs::read_dir(area_of(store.root())).map_or(0, |entries| entries.count());
    assert_eq!(clean_stale(&store).unwrap(), 0);
    let (first, second) = (start(), start());
    assert_eq!(runs(), 2);
    assert_eq!(clean_stale(&store).unwrap(), 0);
    assert_eq!(runs(), 2);
    drop(first);
    assert_eq!(clean_stale(&store).unwrap(), 1);
    assert_eq!(runs(), 1);
    drop(second);
    // One of another host could still be running there, unless it is old.
    let run = std::fs::read_dir(area_of(store.root())).unwrap().next().unwrap().unwrap().path();
    std::fs::write(run.join("lock"), "elsewhere").unwrap();
    assert_eq!(clean_stale(&store).unwrap(), 0);
    let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 3600);
    std::fs::File::options().write(true).open(run.join("lock")).unwrap().set_modified(two_days_ago).unwrap();
    assert_eq!(clean_stale(&store).unwrap(), 1);
    // One killed before it had its lock file.
    std::fs::create_dir_all(area_of(store.root()).join("run.x")).unwrap();
    assert_eq!(clean_stale(&store).unwrap(), 1);
    // Or before it had written anything into it.
    std::fs::create_dir_all(area_of(store.root()).join("run.x")).unwrap();
    std::fs::write(area_of(store.root()).join("run.x/lock"), "").unwrap();
    assert_eq!(clean_stale(&store).unwrap(), 1);
    assert!(!area_of(store.root()).exists());
}

#[test]
fn many_stage_clean_and_commit_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..10 {
                    let area = StageArea::open(store).unwrap();
                    let staged = area.stage(&hash('a')).unwrap();
                    fill(staged.path(), 'a', STAGED_SPEC_FILE);
                    assert_eq!(clean_stale(store).unwrap(), 0);
                    let prefix = store.root().root().join(format!("linux-x86_64/{thread}-{number}"));
                    commit(staged, &prefix).unwrap();
                    assert!(prefix.join("bin/tool").exists());
                }
            });
        }
    });
    let _ = clean_stale(&store).unwrap();
    assert_eq!(spec_files(dir.path()).len(), 40);
}

#[test]
fn an_uninstall_that_takes_the_empty_parent_away_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let area = StageArea::open(&store).unwrap();
    let parent = dir.path().join("linux-x86_64/gcc");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::remove_dir(&parent);
                let _ = std::fs::remove_dir(parent.parent().unwrap());
                // As fast as no uninstall is, but not so fast that nobody else gets at the directory.
                std::thread::sleep(std::time::Duration::from_micros(20));
            }
        });
        for number in 0..500 {
            let staged = area.stage(&hash('a')).unwrap();
            std::fs::create_dir(staged.path().join(".spack")).unwrap();
            let outcome = commit(staged, &parent.join(number.to_string()));
            if let Ok(()) = outcome {
                std::fs::remove_dir_all(parent.join(number.to_string())).unwrap();
            } else {
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            outcome.unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// Not a test of its own: stages and commits a package under the umask of its caller.
#[test]
fn stranger() {
    let Some(dir) = std::env::var_os("STRATA_TEST_SHARED_STORE") else { return };
    let root = StoreRoot::open(Path::new(&dir)).unwrap();
    install_sbang(&root).unwrap();
    let store = Store::open(root.clone(), LockSettings::default()).unwrap();
    let area = StageArea::open(&store).unwrap();
    let staged = area.stage(&hash('a')).unwrap();
    fill(staged.path(), 'a', STAGED_SPEC_FILE);
    commit(staged, &root.root().join("linux-x86_64/gcc/a")).unwrap();
    assert_eq!(mode(&area_of(&root)), mode(&root.database_directory()));
}

#[test]
fn in_a_shared_store_everybody_may_work_whatever_the_umask_of_who_came_first() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join(".spack-db");
    std::fs::create_dir(&database).unwrap();
    for shared in [dir.path(), &database] {
        std::fs::set_permissions(shared, PermissionsExt::from_mode(0o2775)).unwrap();
    }
    let status = Command::new("sh")
        .args(["-c", "umask 077 && exec \"$0\" --exact staging::stranger"])
        .arg(std::env::current_exe().unwrap())
        .env("STRATA_TEST_SHARED_STORE", dir.path())
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    for (path, expected) in [
        ("linux-x86_64", 0o2775),
        ("linux-x86_64/gcc", 0o2775),
        (".spack-db/strata-stage.lock", 0o664),
        // Spack's defaults for sbang's directory and for prefixes.
        ("bin", 0o2755),
        ("linux-x86_64/gcc/a", 0o2755),
    ] {
        assert_eq!(mode(&dir.path().join(path)), expected, "{path}");
    }
}

#[test]
fn what_another_user_left_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    drop(StageArea::open(&store).unwrap());
    let run = area_of(store.root()).join("run.x");
    std::fs::create_dir_all(&run).unwrap();
    // Of this host, and of nobody alive.
    std::fs::write(run.join("lock"), rustix::system::uname().nodename().to_bytes()).unwrap();
    std::fs::write(area_of(store.root()).join("stray"), "a file").unwrap();
    for (path, mode) in [
        (dir.path().to_path_buf(), 0o777),
        (store.root().database_directory(), 0o777),
        (store.root().database_directory().join("strata-stage.lock"), 0o666),
        (area_of(store.root()), 0o777),
        (run.join("lock"), 0o444),
        (run.clone(), 0o555),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let theirs = as_somebody_else(|| {
        let cleaned = clean_stale(&store).unwrap();
        drop(StageArea::open(&store).unwrap().stage(&hash('a')).unwrap());
        cleaned
    });
    assert_eq!(theirs.unwrap(), 0);
    std::fs::set_permissions(&run, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(run.join("lock"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(clean_stale(&store).unwrap(), 1);
}

#[test]
fn the_state_of_a_prefix_follows_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let mut database = Database::default();
    let prefix = dir.path().join("linux-x86_64/a");
    let state = |database: &Database, name| prefix_state(database, &prefix, &hash(name)).unwrap();
    assert_eq!(state(&database, 'a'), PrefixState::Absent);
    std::fs::create_dir_all(&prefix).unwrap();
    assert_eq!(state(&database, 'a'), PrefixState::Unfinished, "an empty directory");
    std::fs::write(prefix.join("file"), "somebody's").unwrap();
    assert_eq!(state(&database, 'a'), PrefixState::Foreign);
    for spec_file in ["spec.json", STAGED_SPEC_FILE] {
        fill(&prefix, 'a', spec_file);
        assert_eq!(state(&database, 'a'), PrefixState::Unfinished, "{spec_file}");
        assert_eq!(state(&database, 'b'), PrefixState::Foreign, "{spec_file}");
        std::fs::remove_file(prefix.join(".spack/binary_distribution")).unwrap();
        assert_eq!(state(&database, 'a'), PrefixState::Foreign, "built here, perhaps just now");
        std::fs::remove_dir_all(prefix.join(".spack")).unwrap();
    }

    fill(&prefix, 'a', "spec.json");
    let mut record = Record::new(crate::support::node('a', &[], ""));
    record.path = prefix.to_str().map(str::to_owned);
    database.records.insert(hash('a'), record);
    assert_eq!(state(&database, 'a'), PrefixState::Unfinished, "recorded, but not as installed");
    database.records[&hash('a')].installed = true;
    assert_eq!(state(&database, 'a'), PrefixState::Installed);
    assert_eq!(state(&database, 'b'), PrefixState::Foreign);

    // Setting aside leaves nothing that spack reindex would find, even while it lasts.
    let area = StageArea::open(&store).unwrap();
    let aside = area.set_aside(&prefix).unwrap();
    assert!(spec_files(dir.path()).is_empty());
    assert_eq!(state(&database, 'a'), PrefixState::Absent);
    drop((aside, area));
    assert!(!area_of(store.root()).exists());

    std::os::unix::fs::symlink(dir.path(), &prefix).unwrap();
    assert_eq!(state(&Database::default(), 'a'), PrefixState::Foreign, "a link to who knows where");
}

#[test]
fn removing_takes_empty_parents_and_nothing_outside() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let area = StageArea::open(&store).unwrap();
    let prefixes = ["linux-x86_64/gcc/a", "linux-x86_64/b"].map(|name| dir.path().join(name));
    prefixes.iter().for_each(|prefix| fill(prefix, 'a', "spec.json"));
    assert!(remove_prefix(&area, store.root(), &prefixes[0]).unwrap().is_some());
    assert!(!dir.path().join("linux-x86_64/gcc").exists() && prefixes[1].exists());
    assert!(remove_prefix(&area, store.root(), &prefixes[0]).unwrap().is_none());
    assert!(remove_prefix(&area, store.root(), &prefixes[1]).unwrap().is_some());
    assert!(!dir.path().join("linux-x86_64").exists() && dir.path().exists());
    let outside =
        ["/usr".into(), dir.path().to_path_buf(), dir.path().join("x/../.."), "linux-x86_64".into()];
    for prefix in outside {
        let error = remove_prefix(&area, store.root(), &prefix).unwrap_err();
        assert!(matches!(error, RemovalError::Outside { .. }), "{error}");
    }
}
