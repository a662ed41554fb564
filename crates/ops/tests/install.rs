//! What happens to the store between a plan and its execution is seen.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use strata_oci::{Repository, RepositoryUrl};
use strata_ops::install::{InstallOptions, InstallSummary, PlanOptions, Site, execute, plan};
use strata_ops::push::{self, PushRequest};
use strata_ops::resolve::{Mirror, Request, Stock, Unify, resolve};
use strata_ops::uninstall::{self, uninstall};
use strata_ops::{Error, Silent};
use strata_spec::{AbstractSpec, Database};
use strata_store::{LockSettings, Store, StoreRoot};
use strata_testkit::sample_store::SampleStore;

fn specs(names: &[&str]) -> Vec<AbstractSpec> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn layout(directory: &Path) -> Box<dyn Repository> {
    strata_oci::open_or_create(
        &RepositoryUrl::from_directory(directory).unwrap(),
        &strata_oci::Transport::default(),
        None,
    )
    .unwrap()
}

fn open(root: &Path) -> Store {
    Store::open(StoreRoot::open(root).unwrap(), LockSettings::default()).unwrap()
}

/// A cache in `dir` that holds the sample store.
fn cache(dir: &Path) -> Vec<Mirror> {
    let sample = SampleStore::build(&dir.join("built"), 128).unwrap();
    let (store, repository) = (open(&sample.unpadded_root), layout(&dir.join("cache")));
    let database = store.read().unwrap();
    let request = PushRequest { jobs: 2, ..PushRequest::default() };
    let plan = push::plan(&database, &*repository, &request, &Silent).unwrap();
    let summary = push::execute(&database, store.root(), &*repository, &request, plan, &Silent).unwrap();
    assert_eq!(summary.pushed.len(), 3);
    vec![Mirror::new("cache".to_owned(), repository)]
}

/// Installs under `root`; `meanwhile` runs between plan and execution.
fn install(mirrors: &[Mirror], root: &Path, names: &[&str], meanwhile: impl FnOnce()) -> InstallSummary {
    let database = if root.exists() { open(root).read().unwrap() } else { Database::default() };
    let specs = specs(names);
    let stock = Stock::gather(&specs, None, mirrors, &database, None, &Silent).unwrap();
    let resolved = resolve(&Request { specs: &specs, host: None, unify: Unify::True }, stock).unwrap();
    let root = StoreRoot::open_or_new(root, None).unwrap();
    let site = Site::new(root).with(database.clone().into());
    let plan = plan(&resolved, mirrors, &site, PlanOptions::default(), &Silent).unwrap();
    meanwhile();
    let options = InstallOptions { jobs: 2, ..InstallOptions::default() };
    execute(plan, &resolved, mirrors, &site, &options, &Silent).unwrap()
}

#[test]
fn nothing_is_recorded_whose_dependency_went_away_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (mirrors, root) = (cache(dir.path()), dir.path().join("root"));
    assert_eq!(install(&mirrors, &root, &["greet"], || ()).installed.len(), 1);
    let summary = install(&mirrors, &root, &["hello"], || {
        let request = uninstall::Request { specs: &["greet".parse().unwrap()], ..Default::default() };
        uninstall(&open(&root), &request, &Silent).unwrap();
    });
    assert_eq!(summary.installed.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["runner"]);
    assert!(matches!(&summary.failed[..], [failure]
        if matches!(&failure.error, Error::DependencyGone { dependency } if dependency.starts_with("greet@1.0"))));
    assert_eq!(
        install(&mirrors, &root, &["hello"], || ()).installed.len(),
        2,
        "the next one finishes the job"
    );
}

#[test]
fn who_was_not_the_first_has_asked_for_it_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mirrors, root) = (cache(dir.path()), dir.path().join("root"));
    let summary = install(&mirrors, &root, &["greet"], || {
        assert_eq!(install(&mirrors, &root, &["hello"], || ()).installed.len(), 3);
    });
    assert_eq!((summary.installed.len(), summary.present.len()), (0, 1));
    let database = open(&root).read().unwrap();
    let explicit = database.records.values().filter(|r| r.explicit && !r.node.is_external());
    let mut names: Vec<&str> = explicit.map(|r| r.node.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["greet", "hello"]);
}
