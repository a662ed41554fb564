//! Stores below ours: read, never changed; and what gets no record because it is there.

use crate::support::{Nodes, hash, new_store, node};
use std::collections::HashMap;
use std::path::Path;
use strata_spec::format::Surroundings;
use strata_store::{
    Installed, LockSettings, NewInstall, Recording, RootError, Store, StoreError, Upstream, Watcher,
    record_installs,
};

/// a → b → c, and a → d which is needed to build only, which needs e.
fn nodes() -> Nodes {
    Nodes::new([
        node('a', &[('b', &["link"]), ('d', &["build"])], ""),
        node('b', &[('c', &["link"])], ""),
        node('c', &[], ""),
        node('d', &[('e', &["run"])], ""),
        node('e', &[], ""),
    ])
}

/// Records packages of [`nodes`] in a store, at `PREFIX/NAME`.
fn install(store: &Store, below: &Installed, names: &str, prefix: &str) {
    let nodes = nodes();
    let installs: Vec<NewInstall<'_>> = names
        .chars()
        .map(|name| {
            let prefix = Path::new(prefix).join(name.to_string());
            NewInstall { node: nodes.get(name), prefix, explicit: name == 'a' }
        })
        .collect();
    let prefixes = HashMap::new();
    let recording = Recording { root: store.root(), prefixes: &prefixes, below, now: 1.0 };
    store
        .transaction(|database| {
            record_installs(database, &recording, &nodes, &installs).unwrap();
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

fn upstream(name: &str, store: &Store) -> Upstream {
    Upstream::open(name, store.root().root(), &Watcher::default()).unwrap()
}

fn read(store: &Store, upstreams: &[Upstream]) -> Installed {
    Installed::read(Some(store), upstreams, &Watcher::default()).unwrap()
}

/// Name, references and `i`nstalled or `-`, of each record of a store by name.
fn summary(store: &Store) -> String {
    let database = store.read().unwrap();
    let mut records: Vec<String> = database
        .records
        .values()
        .map(|r| format!("{}{}{}", r.node.name, r.ref_count, if r.installed { "i" } else { "-" }))
        .collect();
    records.sort();
    records.join(" ")
}

#[test]
fn what_is_installed_below_gets_no_record_and_no_reference() {
    let dir = tempfile::tempdir().unwrap();
    let (above, below) = (new_store(&dir.path().join("above")), new_store(&dir.path().join("below")));
    install(&below, &Installed::default(), "bc", "/below");
    install(&above, &read(&above, &[upstream("site", &below)]), "a", "/above");
    // As Spack has it: d is recorded as missing with all it needs, b is the upstream's with all that it needs.
    assert_eq!(summary(&above), "a0i d1- e1-");
    assert_eq!(summary(&below), "b0i c1i");
}

#[test]
fn what_the_upstream_records_as_missing_is_recorded_here() {
    let dir = tempfile::tempdir().unwrap();
    let (above, below) = (new_store(&dir.path().join("above")), new_store(&dir.path().join("below")));
    // There, b is installed, and c has vanished.
    install(&below, &Installed::default(), "b", "/below");
    assert_eq!(summary(&below), "b0i c1-");
    install(&above, &read(&above, &[upstream("site", &below)]), "ca", "/above");
    assert_eq!(summary(&above), "a0i c0i d1- e1-");
}

#[test]
fn our_own_record_counts_first_and_then_that_of_the_first_upstream() {
    let dir = tempfile::tempdir().unwrap();
    let [own, first, second] = ["own", "first", "second"].map(|name| new_store(&dir.path().join(name)));
    install(&second, &Installed::default(), "abcde", "/second");
    install(&first, &Installed::default(), "cb", "/first");
    install(&own, &Installed::default(), "cb", "/own");
    own.transaction(|database| {
        database.records.get_mut(&hash('c')).unwrap().installed = false;
        Ok::<_, StoreError>(())
    })
    .unwrap();
    let installed = read(&own, &[upstream("first", &first), upstream("second", &second)]);
    let of = |installed: &Installed, name: char| {
        let record = &installed.database().records[&hash(name)];
        let upstream = installed.installed_upstream(&hash(name)).map(|upstream| upstream.name().to_owned());
        (record.path.clone().unwrap(), upstream, installed.is_upstream(&record.node))
    };
    assert_eq!(of(&installed, 'b'), ("/own/b".to_owned(), None, false));
    assert_eq!(of(&installed, 'c'), ("/own/c".to_owned(), None, false), "missing here, as for Spack");
    assert_eq!(of(&installed, 'd'), ("/second/d".to_owned(), Some("second".to_owned()), true));
    // Lists have what is there, wherever.
    let anywhere = installed.anywhere();
    assert_eq!(of(&anywhere, 'c'), ("/first/c".to_owned(), Some("first".to_owned()), true));
    let names = |installed: Installed| {
        let mut names: Vec<String> = installed
            .database()
            .records
            .values()
            .filter(|record| record.installed)
            .map(|record| record.node.name.clone())
            .collect();
        names.sort();
        names.concat()
    };
    assert_eq!(names(anywhere.clone().only(|upstream| upstream.is_none())), "b");
    assert_eq!(names(anywhere.clone().only(|upstream| upstream.is_some())), "acde");
    assert_eq!(names(anywhere.only(|u| u.is_some_and(|u| u.name() == "first"))), "c");
}

#[test]
fn an_upstream_is_read_without_locks_and_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let below = new_store(dir.path());
    install(&below, &Installed::default(), "abc", "/below");
    for name in ["lock", "prefix_lock", "index_verifier"] {
        std::fs::remove_file(below.root().database_directory().join(name)).unwrap();
    }
    let files = || {
        let entries = std::fs::read_dir(below.root().database_directory()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(files(), ["index.json"]);
    let database = upstream("site", &below).read(&Watcher::default()).unwrap();
    assert_eq!(database.records.len(), 5);
    assert_eq!(files(), ["index.json"], "not even a lock file was made");
}

#[test]
fn an_upstream_that_is_not_there_or_broken_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let error = Upstream::open("site", &dir.path().join("none"), &Watcher::default()).unwrap_err();
    assert!(matches!(error, RootError::NoDatabase { .. }), "{error}");
    let below = new_store(dir.path());
    std::fs::write(below.index_path(), "{").unwrap();
    let error = upstream("site", &below).read(&Watcher::default()).unwrap_err();
    assert!(error.to_string().contains("index.json"), "{error}");
    // Padding is found, as it is for a store of our own.
    let padded = dir.path().join("padded");
    let root = strata_store::StoreRoot::open_or_new(&padded, Some(120)).unwrap();
    Store::create(root.clone(), LockSettings::default()).unwrap();
    assert_eq!(*Upstream::open("site", &padded, &Watcher::default()).unwrap().root(), root);
}
