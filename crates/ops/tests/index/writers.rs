//! Several who push to one cache at the same time.

use crate::packages::{in_index, open, put_package, tag};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use strata_oci::Repository;
use strata_ops::index::IndexSummary;
use strata_ops::{Silent, index};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::golden;
use strata_testkit::registry::TestRegistry;

const WRITERS: usize = 8;
const PACKAGES: usize = 4;

/// Each writer tags packages and brings the index up to date after each of them, all at the same time and each as a process
/// of its own does; in the end the index has every package.
fn all_are_in_the_index(url: &str) {
    // A layout is made by the first who writes.
    put_package(&*open(url), "first");
    let barrier = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let barrier = &barrier;
            scope.spawn(move || {
                let repository = open(url);
                barrier.wait();
                for number in 0..PACKAGES {
                    put_package(&*repository, &format!("w{writer}n{number}"));
                    index::update(&*repository, &Silent).unwrap();
                }
            });
        }
    });
    let mut expected: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..PACKAGES).map(move |number| format!("w{writer}n{number}")))
        .collect();
    expected.push("first".to_owned());
    expected.sort();
    assert_eq!(in_index(&*open(url)), expected);
}

#[test]
fn in_our_registry() {
    all_are_in_the_index(&TestRegistry::start().url("cache"));
}

#[test]
fn who_knows_least_writes_last() {
    let registry = TestRegistry::start();
    let written = AtomicUsize::new(0);
    registry.faults().add(move |entry| {
        let is_index = entry.is("PUT", "/manifests/index.spack");
        let before = if is_index { written.fetch_add(1, Ordering::SeqCst) } else { WRITERS };
        let steps = u32::try_from(WRITERS.saturating_sub(before)).unwrap();
        (steps > 0).then(|| Fault::Delay(Duration::from_millis(100) * steps))
    });
    let url = registry.url("cache");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let url = &url;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(30) * u32::try_from(writer).unwrap());
                let repository = open(url);
                put_package(&*repository, &format!("w{writer}"));
                index::update(&*repository, &Silent).unwrap();
            });
        }
    });
    assert_eq!(in_index(&*open(&url)).len(), WRITERS);
}

#[test]
fn in_docker_registry() {
    match DockerRegistry::start() {
        Some(registry) => all_are_in_the_index(&registry.url("cache")),
        None => golden::skipped("writers::in_docker_registry", "there is no docker-registry"),
    }
}

#[test]
fn in_a_layout() {
    let scratch = tempfile::tempdir().unwrap();
    all_are_in_the_index(&format!("oci+file://{}/cache", scratch.path().display()));
}

/// A registry in which somebody else tags `late`, and does what `then` says, while the first writer lists the tags after
/// writing, and in which `shy` gives no answer over http so many times.
fn with_another_writer(
    refusals: usize,
    then: impl Fn(&dyn Repository) + Send + Sync + 'static,
) -> (TestRegistry, IndexSummary) {
    let registry = TestRegistry::start();
    let repository = open(&registry.url("cache"));
    put_package(&*repository, "early");
    put_package(&*repository, "shy");
    let (shy, refused) = (format!("/manifests/{}", tag("shy")), AtomicUsize::new(0));
    registry.faults().add(move |entry| {
        let is_refused = entry.is("GET", &shy) && refused.fetch_add(1, Ordering::SeqCst) < refusals;
        is_refused.then(|| Fault::Answer(Answer::error(403, "DENIED", "not you")))
    });
    let layout = format!("oci+file://{}", registry.directory().join("cache").display());
    let listed = AtomicUsize::new(0);
    registry.faults().add(move |entry| {
        if entry.is("GET", "/tags/list") && listed.fetch_add(1, Ordering::SeqCst) == 1 {
            let other = open(&layout);
            put_package(&*other, "late");
            then(&*other);
        }
        None
    });
    let summary = index::update(&*open(&registry.url("cache")), &Silent).unwrap();
    (registry, summary)
}

#[test]
fn what_another_writer_could_read_is_not_dropped_by_who_could_not() {
    let (registry, summary) = with_another_writer(usize::MAX, |other| {
        index::update(other, &Silent).unwrap();
    });
    assert_eq!(in_index(&*open(&registry.url("cache"))), ["early", "late", "shy"]);
    assert!(summary.bad_tags.is_empty() && summary.trouble.is_none(), "{summary:?}");
}

#[test]
fn a_tag_that_gave_no_answer_is_asked_again_when_the_update_starts_over() {
    let (registry, summary) = with_another_writer(1, |_| ());
    assert_eq!(in_index(&*open(&registry.url("cache"))), ["early", "late", "shy"]);
    assert!(summary.bad_tags.is_empty() && summary.trouble.is_none(), "{summary:?}");
}
