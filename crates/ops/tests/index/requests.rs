//! What an update of the index costs.

use crate::packages::{in_index, node, open, put_package, write_layout};
use serde_json::{Value, json};
use strata_ops::{Silent, index};
use strata_spec::Database;
use strata_testkit::registry::TestRegistry;

const PACKAGES: usize = 5000;

/// Requests but those for pages of tags.
fn others(registry: &TestRegistry) -> Vec<String> {
    let mut lines = registry.log().lines();
    lines.retain(|line| !line.contains("/tags/list"));
    lines
}

#[test]
fn a_new_package_costs_two_requests_and_a_push_none() {
    let registry = TestRegistry::start();
    let directory = registry.directory().join("cache");
    let names: Vec<String> = (0..PACKAGES).map(|number| format!("p{number}")).collect();
    write_layout(&directory, &names);
    let summary = index::update(&*open(&format!("oci+file://{}", directory.display())), &Silent).unwrap();
    assert_eq!((summary.packages, summary.added, summary.written), (PACKAGES, PACKAGES, true));

    let repository = open(&registry.url("cache"));
    put_package(&*repository, "another");
    // As another process.
    let repository = open(&registry.url("cache"));
    registry.log().clear();
    let summary = index::update(&*repository, &Silent).unwrap();
    assert_eq!((summary.packages, summary.added, summary.dropped), (PACKAGES + 1, 1, 0));
    assert!(others(&registry).len() <= 2 + 5, "{:#?}", others(&registry));
    // The tags are on one page, which is read twice: even so there are no more requests than one page makes, and the eight.
    assert_eq!(registry.log().count("GET", "/tags/list"), 2);
    assert!(registry.log().lines().len() <= 1 + 2 + 6, "{:#?}", registry.log().lines());

    // What is pushed is known to who pushed it.
    put_package(&*repository, "pushed");
    let repository = open(&registry.url("cache"));
    registry.log().clear();
    let summary =
        index::add(&*repository, &store(), &[crate::packages::hash("pushed").parse_hash()], &Silent);
    let summary = summary.unwrap();
    assert_eq!((summary.packages, summary.added), (PACKAGES + 2, 1));
    assert!(others(&registry).len() <= 5, "{:#?}", others(&registry));
    assert_eq!(in_index(&*repository).len(), PACKAGES + 2);

    // Nothing new: the tags and the index are looked at, nothing else.
    let repository = open(&registry.url("cache"));
    registry.log().clear();
    let summary = index::update(&*repository, &Silent).unwrap();
    assert_eq!((summary.packages, summary.added, summary.written), (PACKAGES + 2, 0, false));
    assert!(others(&registry).len() <= 2, "{:#?}", others(&registry));
    assert_eq!(registry.log().count("GET", "/tags/list"), 1);
}

#[test]
fn the_bytes_do_not_depend_on_how_the_index_came_to_be() {
    let scratch = tempfile::tempdir().unwrap();
    let names = ["c", "a", "d", "b"];
    let mut digests = Vec::new();
    for (number, step) in [1, 2, 4].into_iter().enumerate() {
        let repository = open(&format!("oci+file://{}/cache-{number}", scratch.path().display()));
        for some in names.chunks(step) {
            some.iter().for_each(|name| put_package(&*repository, name));
            assert!(index::update(&*repository, &Silent).unwrap().written);
        }
        digests.push(index::read(&*repository).unwrap().unwrap().1);
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

/// A store with the package that is pushed.
fn store() -> Database {
    let record = |node: Value| json!({"spec": node, "path": "/x", "installed": true, "ref_count": 0});
    let nodes = [node("pushed", &["shared"]), node("shared", &[])];
    let installs: serde_json::Map<String, Value> =
        nodes.into_iter().map(|node| (node["hash"].as_str().unwrap().to_owned(), record(node))).collect();
    Database::parse(&json!({"database": {"version": "8", "installs": installs}}).to_string()).unwrap()
}

trait ParseHash {
    fn parse_hash(&self) -> strata_spec::DagHash;
}

impl ParseHash for String {
    fn parse_hash(&self) -> strata_spec::DagHash {
        strata_spec::DagHash::parse(self).unwrap()
    }
}
