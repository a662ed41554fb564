//! Databases: real ones, broken ones, and many processes changing one at once.

use crate::support::{
    Nodes, Process, as_somebody_else, hash, new_store, node, python, record_installs,
    where_nothing_can_be_written,
};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use strata_spec::Database;
use strata_store::{
    IndexError, LockError, LockSettings, NewInstall, RegistrationError, RootError, Store, StoreError,
    StoreRoot, installed_dependents, layout, record_removal, store::now,
};

/// What the closures of these tests fail with.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Registration(#[from] RegistrationError),
}

/// The roots that `STRATA_STORES` lists, or nothing after saying so.
fn real_stores(test: &str) -> Vec<PathBuf> {
    let stores = strata_testkit::golden::stores();
    if stores.is_empty() {
        strata_testkit::golden::skipped(test, "STRATA_STORES is not set");
    }
    stores
}

/// A store with a copy of the database of the one at `root`.
fn copy_of(root: &Path, dir: &Path) -> Store {
    let database = dir.join(".spack-db");
    std::fs::create_dir(&database).unwrap();
    for name in ["index.json", "index_verifier"] {
        std::fs::copy(root.join(".spack-db").join(name), database.join(name)).unwrap();
    }
    Store::open(StoreRoot::open(dir).unwrap(), LockSettings::default()).unwrap()
}

fn file(store: &Store, name: &str) -> String {
    std::fs::read_to_string(store.root().database_directory().join(name)).unwrap()
}

#[test]
fn a_real_database_is_written_back_as_it_was() {
    for root in real_stores("real database") {
        let dir = tempfile::tempdir().unwrap();
        let store = copy_of(&root, dir.path());
        let (index, verifier) = (file(&store, "index.json"), file(&store, "index_verifier"));
        store.transaction(|_| Ok::<_, StoreError>(())).unwrap();
        assert!(file(&store, "index.json") == index, "the index changed");
        assert_ne!(file(&store, "index_verifier"), verifier);
        assert_eq!(file(&store, "index_verifier").len(), 36);
    }
}

#[test]
fn a_real_root_is_found_with_its_layout_and_padding() {
    for dir in real_stores("real root") {
        let root = StoreRoot::open(&dir).unwrap();
        assert_eq!(root.root(), dir);
        assert_eq!(StoreRoot::open(root.unpadded()).unwrap(), root);
        let length = root.root().as_os_str().len();
        if root.unpadded() != root.root() {
            assert_eq!(StoreRoot::open_or_new(root.unpadded(), Some(length)).unwrap(), root);
        }
        let database = Store::open(root.clone(), LockSettings::default()).unwrap().read().unwrap();
        for record in database.records.values() {
            let expected = record.path.as_deref().map(PathBuf::from);
            assert_eq!(layout::default_prefix(&root, &record.node), expected, "{}", record.node.label());
        }
    }
}

#[test]
fn installing_all_that_a_real_store_has_gives_its_records() {
    for root in real_stores("real records") {
        let real = Store::open(StoreRoot::open(&root).unwrap(), LockSettings::default()).unwrap();
        let theirs = real.read().unwrap();
        let mut ours = Database::default();
        let installs: Vec<_> =
            theirs.records.values().filter(|r| r.installed && !r.node.is_external()).collect();
        let installs: Vec<_> = installs
            .iter()
            .map(|r| NewInstall {
                node: &r.node,
                prefix: r.path.clone().unwrap().into(),
                explicit: r.explicit,
            })
            .collect();
        record_installs(&mut ours, real.root(), &theirs, &installs, 1.5).unwrap();
        assert_eq!(ours.records.len(), theirs.records.len());
        for (hash, record) in &theirs.records {
            let own = &ours.records[hash];
            let facts = |r: &strata_spec::Record| (r.ref_count, r.path.clone(), r.installed, r.explicit);
            assert_eq!(facts(own), facts(record), "{}", record.node.label());
            assert_eq!(own.node.json(), record.node.json());
        }
        // And back to nothing but externals, dependents first.
        let mut left: Vec<_> = installs.iter().map(|i| i.node.hash.clone()).collect();
        while let Some(next) =
            left.iter().position(|h| installed_dependents(&ours, std::slice::from_ref(h)).is_empty())
        {
            record_removal(&mut ours, &left.swap_remove(next)).unwrap();
        }
        assert!(left.is_empty());
        assert!(ours.records.values().all(|record| record.node.is_external() && record.ref_count == 0));
    }
}

#[test]
fn a_new_store_is_what_spack_makes() {
    let dir = tempfile::tempdir().unwrap();
    let root = StoreRoot::open_or_new(dir.path(), Some(128)).unwrap();
    assert!(matches!(
        Store::open(root.clone(), LockSettings::default()),
        Err(StoreError::Root(RootError::NoDatabase { .. }))
    ));
    let store = Store::create(root, LockSettings::default()).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(store.root().database_directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["index.json", "index_verifier", "lock", "prefix_lock"]);
    assert_eq!(file(&store, "index.json"), r#"{"database":{"version":"8","installs":{}}}"#);
    // Creating it again changes nothing.
    let verifier = file(&store, "index_verifier");
    Store::create(store.root().clone(), LockSettings::default()).unwrap();
    assert_eq!(file(&store, "index_verifier"), verifier);
}

#[test]
fn a_failing_change_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let nodes = Nodes::new([node('a', &[], "")]);
    let before = (file(&store, "index.json"), file(&store, "index_verifier"));
    let install = |database: &mut Database| {
        let installs = [NewInstall { node: nodes.get('a'), prefix: "/p".into(), explicit: true }];
        record_installs(database, store.root(), &nodes, &installs, now())
    };
    let error = store
        .transaction(|database| {
            install(database)?;
            record_removal(database, &hash('b'))?;
            Ok::<_, Failure>(())
        })
        .unwrap_err();
    assert!(matches!(error, Failure::Registration(RegistrationError::NotRecorded { .. })), "{error}");
    assert_eq!((file(&store, "index.json"), file(&store, "index_verifier")), before);

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = store.transaction(|database| -> Result<(), Failure> {
            install(database)?;
            panic!("while the database is locked")
        });
    }));
    assert!(panicked.is_err());
    assert_eq!((file(&store, "index.json"), file(&store, "index_verifier")), before);
    store.transaction(install_into(&nodes, &store)).unwrap();
    assert_eq!(store.read().unwrap().records.len(), 1);
}

fn install_into<'s>(
    nodes: &'s Nodes,
    store: &'s Store,
) -> impl FnOnce(&mut Database) -> Result<(), Failure> + 's {
    |database| {
        let installs = [NewInstall { node: nodes.get('a'), prefix: "/p".into(), explicit: true }];
        Ok(record_installs(database, store.root(), nodes, &installs, now())?)
    }
}

#[test]
fn broken_and_foreign_databases_are_named_and_left_alone() {
    let record = r#"{"database":{"version":"8","installs":{"zz":{"spec":{}}}}}"#;
    for (index, expected) in [
        (&b"{\"database\": {"[..], "is corrupt"),
        (b"", "is corrupt"),
        (b"\xff\xfe", "is corrupt"),
        (b"[]", "is corrupt"),
        (record.as_bytes(), "zz"),
        (br#"{"database":{"version":"9","installs":{}}}"#, "database version 9; understood are 5 to 8"),
        (
            br#"{"database":{"version":"0.9.3","installs":{}}}"#,
            "database version 0.9.3; understood are 5 to 8",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = new_store(dir.path());
        std::fs::write(store.index_path(), index).unwrap();
        let read = store.read().unwrap_err().to_string();
        let written = store.transaction(|_| Ok::<_, StoreError>(())).unwrap_err().to_string();
        for error in [read, written] {
            assert!(error.contains(expected), "{error}");
            assert!(error.contains(store.index_path().to_str().unwrap()), "{error}");
        }
        assert_eq!(std::fs::read(store.index_path()).unwrap(), index);
    }
}

#[test]
fn old_databases_are_read_and_not_written() {
    for version in [5, 6, 7] {
        let dir = tempfile::tempdir().unwrap();
        let store = new_store(dir.path());
        let index = format!(r#"{{"database":{{"version":"{version}","installs":{{}}}}}}"#);
        std::fs::write(store.index_path(), &index).unwrap();
        assert_eq!(store.read().unwrap().version, version);
        let error = store.transaction(|_| -> Result<(), StoreError> { panic!("applied") }).unwrap_err();
        assert!(
            matches!(error, StoreError::Index(IndexError::OldVersion { version: v, .. }) if v == version)
        );
        assert!(error.to_string().contains("spack reindex"), "{error}");
        assert_eq!(file(&store, "index.json"), index);
    }
}

#[test]
fn a_directory_that_may_not_be_looked_into_is_not_taken_for_one_without_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let root = new_store(dir.path()).root().clone();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o000)).unwrap();
    let errors = as_somebody_else(|| {
        let opened = Store::open(root, LockSettings::default()).unwrap_err();
        [StoreRoot::open(dir.path()).unwrap_err().into(), opened]
    });
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for error in errors.unwrap() {
        assert!(matches!(error, StoreError::Root(RootError::Unreadable { .. })), "{error}");
        assert!(error.to_string().contains("denied"), "{error}");
    }
}

#[test]
fn a_read_only_store_is_read_and_refuses_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    where_nothing_can_be_written(dir.path(), || {
        assert_eq!(store.read().unwrap().records.len(), 0);
        let error = store.transaction(|_| Ok::<_, StoreError>(())).unwrap_err();
        assert!(matches!(error, StoreError::Lock(LockError::ReadOnly { .. })), "{error}");
        // Opening with leave to create is fine as long as it exists.
        assert!(Store::create(store.root().clone(), LockSettings::default()).is_ok());
    });
}

#[test]
fn an_index_that_cannot_be_written_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let nodes = Nodes::new([node('a', &[], "")]);
    let before = file(&store, "index.json");
    // Every name the temporary file could get is in the way of nothing, but the directory takes no new names.
    let directory = store.root().database_directory();
    where_nothing_can_be_written(&directory, || {
        let without_locks = LockSettings { enabled: false, ..LockSettings::default() };
        let store = Store::open(store.root().clone(), without_locks).unwrap();
        let error = store.transaction(install_into(&nodes, &store)).unwrap_err();
        assert!(matches!(error, Failure::Store(StoreError::Index(IndexError::Io { .. }))), "{error}");
    });
    assert_eq!(file(&store, "index.json"), before);
}

#[test]
fn what_a_killed_process_left_half_written_goes_with_the_next_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let debris = store.root().database_directory().join("index.json.somehost.123.temp");
    std::fs::write(&debris, "{\"data").unwrap();
    store.transaction(|_| Ok::<_, StoreError>(())).unwrap();
    assert!(!debris.exists());
}

/// Adds `count` references to the record of `a`, one transaction each.
fn count_up(store: &Store, count: u64) {
    for _ in 0..count {
        store
            .transaction(|database| {
                database.records[&hash('a')].ref_count += 1;
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}

/// Not a test of its own: what the tests below run in further processes.
#[test]
fn worker() {
    let Some(dir) = std::env::var_os("STRATA_TEST_WORKER_STORE") else { return };
    let store = Store::open(StoreRoot::open(Path::new(&dir)).unwrap(), LockSettings::default()).unwrap();
    count_up(&store, std::env::var("STRATA_TEST_WORKER_COUNT").unwrap().parse().unwrap());
}

fn start_worker(dir: &Path, count: u64) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "database::worker"]).stdout(Stdio::null());
    command.env("STRATA_TEST_WORKER_STORE", dir).env("STRATA_TEST_WORKER_COUNT", count.to_string());
    Process(command.spawn().unwrap())
}

/// What Spack does in a write transaction, in short: argv is the database directory and a count.
const PYTHON_COUNTS: &str = "
import fcntl, json, os, sys, time, uuid
directory, count = sys.argv[1], int(sys.argv[2])
for _ in range(count):
    descriptor = os.open(directory + '/lock', os.O_RDWR | os.O_CREAT)
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 0, 0, os.SEEK_SET)
            break
        except OSError:
            time.sleep(0.005)
    data = json.load(open(directory + '/index.json'))
    data['database']['installs']['a' * 32]['ref_count'] += 1
    with open(directory + '/index.json.python.temp', 'w') as f:
        json.dump(data, f)
    os.rename(directory + '/index.json.python.temp', directory + '/index.json')
    with open(directory + '/index_verifier', 'w') as f:
        f.write(str(uuid.uuid4()))
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 0, 0, os.SEEK_SET)
    os.close(descriptor)
";

#[test]
fn no_update_is_lost_between_threads_processes_and_python() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let nodes = Nodes::new([node('a', &[], "")]);
    store.transaction(install_into(&nodes, &store)).unwrap();
    let mut processes = vec![start_worker(dir.path(), 20), start_worker(dir.path(), 20)];
    let mut expected = 40 + 3 * 20;
    if let Some(mut command) = python("lost updates", PYTHON_COUNTS) {
        command.arg(store.root().database_directory()).arg("20");
        processes.push(Process(command.spawn().unwrap()));
        expected += 20;
    }
    let verifier = file(&store, "index_verifier");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| count_up(&store, 20));
        }
        // Readers see whole databases all the while.
        for _ in 0..50 {
            assert_eq!(store.read().unwrap().records.len(), 1);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    assert_ne!(file(&store, "index_verifier"), verifier);
    for process in &mut processes {
        assert!(process.0.wait().unwrap().success());
    }
    assert_eq!(store.read().unwrap().records[&hash('a')].ref_count, expected);
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_database_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let nodes = Nodes::new([node('a', &[], "")]);
    store.transaction(install_into(&nodes, &store)).unwrap();
    let mut last = 0;
    for round in 0..10 {
        let mut worker = start_worker(dir.path(), 1_000_000);
        std::thread::sleep(Duration::from_millis(20 + 7 * round));
        worker.0.kill().unwrap();
        worker.0.wait().unwrap();
        let count = store.read().unwrap().records[&hash('a')].ref_count;
        assert!(count >= last);
        last = count;
        count_up(&store, 1);
        last += 1;
        assert_eq!(store.read().unwrap().records[&hash('a')].ref_count, last);
    }
    assert!(last > 10, "no worker got to change anything: {last}");
}
