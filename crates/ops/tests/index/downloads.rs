//! The index of a cache that packages are copied to.

use crate::packages::{in_index, node, open, put, spec, tag};
use strata_ops::download::{DownloadSummary, download};
use strata_ops::push::Only;
use strata_ops::resolve::{Mirror, Request, Stock, Unify, resolve};
use strata_ops::{Error, Silent};
use strata_spec::{AbstractSpec, Database};
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;

fn copy(from: &[Mirror], to: &str, specs: &[&str], only: Only) -> Result<DownloadSummary, Error> {
    let specs: Vec<AbstractSpec> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
    let nothing = Database::default();
    let stock = Stock::gather(&specs, None, from, &nothing, None, &Silent)?;
    let resolved = resolve(&Request { specs: &specs, host: None, unify: Unify::WhenPossible }, stock)?;
    download(&resolved, only, from, &*open(to), &Silent)
}

fn downloaded(summary: &DownloadSummary) -> Vec<&str> {
    let names = summary.downloaded.iter().filter_map(|one| one.package.label.split('@').next());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

/// Caches one of which has `above`, which needs `below`, and the other `below`; neither has an index.
fn two_mirrors(registry: &TestRegistry) -> [Mirror; 2] {
    let (above, below) = (node("above", &["below"]), node("below", &[]));
    let mirror = |name: &str| Mirror::new(name.to_owned(), open(&registry.url(name)));
    put(&*open(&registry.url("one")), &tag("above"), &spec(&[above, below.clone()]));
    put(&*open(&registry.url("two")), &tag("below"), &spec(&[below]));
    [mirror("one"), mirror("two")]
}

#[test]
fn what_is_needed_may_come_from_another_mirror() {
    let registry = TestRegistry::start();
    let mirrors = two_mirrors(&registry);
    let specs = ["above", "below"];
    let all = copy(&mirrors, &registry.url("all"), &specs, Only::Everything).unwrap();
    assert_eq!((downloaded(&all), all.failed.len()), (vec!["above", "below"], 0));
    assert_eq!(in_index(&*open(&registry.url("all"))), ["above", "below"]);
    let alone = copy(&mirrors, &registry.url("alone"), &["above"], Only::Package).unwrap();
    assert_eq!(downloaded(&alone), ["above"]);
    let needed = copy(&mirrors, &registry.url("needed"), &specs, Only::Dependencies).unwrap();
    assert_eq!(downloaded(&needed), ["below"]);
}

#[test]
fn an_index_that_cannot_be_written_is_told_of() {
    let registry = TestRegistry::start();
    let mirrors = two_mirrors(&registry);
    registry.faults().add(|entry| {
        let is_index = entry.is("PUT", "/manifests/index.spack");
        is_index.then(|| Fault::Answer(Answer::error(403, "DENIED", "the index is not yours")))
    });
    let summary = copy(&mirrors, &registry.url("copy"), &["above"], Only::Everything).unwrap();
    assert_eq!(downloaded(&summary), ["above", "below"]);
    assert!(summary.index.is_none());
    assert!(summary.trouble.unwrap().to_string().contains("the index is not yours"));
}
