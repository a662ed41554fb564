//! What happens to the store between a plan and its execution is seen.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use strata_oci::{Repository, RepositoryUrl};
use strata_ops::install::{InstallOptions, InstallSummary, PlanOptions, Site, execute, plan};
use strata_ops::push::{self, PushRequest};
use strata_ops::resolve::{Mirror, Request, Stock, Unify, resolve};
use strata_ops::uninstall::{self, uninstall};
use strata_ops::{Error, Event, Reporter, Silent};
use strata_spec::{AbstractSpec, Database};
use strata_store::stage::StageError;
use strata_store::{LockSettings, Projections, Store, StoreRoot};
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
    let summary =
        push::execute(&database, store.root(), &*repository, &request, plan, &|_| None, &Silent).unwrap();
    assert_eq!(summary.pushed.len(), 3);
    vec![Mirror::new("cache".to_owned(), repository)]
}

/// Installs under `root`; `meanwhile` runs between plan and execution.
fn install(mirrors: &[Mirror], root: &Path, names: &[&str], meanwhile: impl FnOnce()) -> InstallSummary {
    install_watched(mirrors, root, names, meanwhile, &Silent)
}

fn install_watched(
    mirrors: &[Mirror],
    root: &Path,
    names: &[&str],
    meanwhile: impl FnOnce(),
    reporter: &dyn Reporter,
) -> InstallSummary {
    let database = if root.exists() { open(root).read().unwrap() } else { Database::default() };
    let specs = specs(names);
    let stock = Stock::gather(&specs, None, mirrors, &database, None, &Silent).unwrap();
    let resolved = resolve(&Request { specs: &specs, host: None, unify: Unify::True }, stock).unwrap();
    let root = StoreRoot::open_or_new(root, None).unwrap();
    let site = Site::new(root).with(database.clone().into());
    let plan = plan(&resolved, mirrors, &site, PlanOptions::default(), &Silent).unwrap();
    meanwhile();
    let options = InstallOptions { jobs: 2, ..InstallOptions::default() };
    execute(plan, &resolved, mirrors, &site, &options, reporter).unwrap()
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

/// Puts something where a package is to go, once work on it has begun.
struct Squatter {
    package: &'static str,
    prefix: PathBuf,
}

impl Reporter for Squatter {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Started(_, package) if package.starts_with(self.package)) {
            std::fs::create_dir_all(&self.prefix).unwrap();
            std::fs::write(self.prefix.join("mine"), "").unwrap();
        }
    }
}

/// What is in the database directory of parts that processes have for staging.
fn staged(root: &Path) -> usize {
    std::fs::read_dir(root.join(".spack-db/strata-stage")).map_or(0, Iterator::count)
}

#[test]
fn who_cannot_appear_fails_alone_with_what_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mirrors, root) = (cache(dir.path()), dir.path().join("root"));
    // Where it goes shows when it is there.
    install(&mirrors, &dir.path().join("model"), &["greet"], || ());
    let database = open(&dir.path().join("model")).read().unwrap();
    let record = database.records.values().find(|record| record.node.name == "greet").unwrap();
    let model = StoreRoot::open(&dir.path().join("model")).unwrap().root().to_owned();
    let place = Path::new(record.path.as_ref().unwrap()).strip_prefix(model).unwrap().to_owned();
    let prefix = StoreRoot::open_or_new(&root, None).unwrap().root().join(place);
    let squatter = Squatter { package: "greet@1.0", prefix: prefix.clone() };

    let summary = install_watched(&mirrors, &root, &["hello"], || (), &squatter);
    assert_eq!(summary.installed.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["runner"]);
    let mut failed: Vec<_> =
        summary.failed.iter().map(|failure| (&*failure.package, &failure.error)).collect();
    failed.sort_by_key(|(package, _)| *package);
    assert!(
        matches!(failed[..], [
            (greet, Error::Stage(StageError::PrefixExists { prefix: taken })),
            (hello, Error::DependencyFailed { dependency }),
        ] if greet.starts_with("greet@") && *taken == prefix && hello.starts_with("hello@") && dependency == greet),
        "{failed:?}"
    );
    // What is recorded is there, and nothing else is; what was in the way is as it was.
    let database = open(&root).read().unwrap();
    let recorded: Vec<_> =
        database.records.values().filter(|r| r.installed && !r.node.is_external()).collect();
    assert_eq!(recorded.iter().map(|record| &*record.node.name).collect::<Vec<_>>(), ["runner"]);
    assert!(Path::new(recorded[0].path.as_ref().unwrap()).join(".spack/spec.json").is_file());
    assert_eq!(std::fs::read_dir(&prefix).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(prefix.parent().unwrap()).unwrap().count(), 2);
    assert_eq!(staged(&root), 0);

    std::fs::remove_dir_all(&prefix).unwrap();
    assert_eq!(
        install(&mirrors, &root, &["hello"], || ()).installed.len(),
        2,
        "the next one finishes the job"
    );
}

#[test]
fn a_rename_that_is_refused_is_the_failure_of_one_package() {
    let dir = tempfile::tempdir().unwrap();
    let (mirrors, root) = (cache(dir.path()), dir.path().join("root"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("taken"), "a file").unwrap();
    let specs = specs(&["hello"]);
    let empty = Database::default();
    let stock = Stock::gather(&specs, None, &mirrors, &empty, None, &Silent).unwrap();
    let resolved = resolve(&Request { specs: &specs, host: None, unify: Unify::True }, stock).unwrap();
    let mut site = Site::new(StoreRoot::open_or_new(&root, None).unwrap());
    let projections = [("runner", "taken/{hash}"), ("all", "{name}-{hash}")];
    let projections = projections.map(|(spec, place)| (spec.to_owned(), place.to_owned()));
    site.projections = Projections::new(&projections, None).unwrap();
    let plan = plan(&resolved, &mirrors, &site, PlanOptions::default(), &Silent).unwrap();
    let options = InstallOptions { jobs: 2, flush: true, ..InstallOptions::default() };
    let summary = execute(plan, &resolved, &mirrors, &site, &options, &Silent).unwrap();
    assert_eq!(summary.installed.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["greet"]);
    let errors: Vec<&Error> = summary.failed.iter().map(|failure| &failure.error).collect();
    assert!(errors.iter().any(|error| matches!(error, Error::Stage(StageError::Io { .. }))), "{errors:?}");
    assert!(errors.iter().any(|error| matches!(error, Error::DependencyFailed { .. })), "{errors:?}");
    assert_eq!(staged(&root), 0);
}
