//! Projections: the prefixes that real Spack gives to the packages of the golden index (`tests/data/projections.py`).

use crate::support::{Nodes, hash, node};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use strata_spec::Database;
use strata_store::{ProjectionError, Projections, StoreRoot};
use strata_testkit::golden;

#[derive(Deserialize)]
struct Row {
    projections: Vec<(String, String)>,
    hash_length: Option<usize>,
    /// None where Spack refuses the projections; none for a package where it has no path for that.
    paths: Option<HashMap<String, Option<String>>>,
}

fn root() -> StoreRoot {
    StoreRoot::open_or_new(Path::new("/root"), None).unwrap()
}

#[test]
fn prefixes_are_spacks() {
    let Some(index) = golden::file("push/index.json") else {
        return golden::skipped("prefixes_are_spacks", "no push/index.json in the golden data");
    };
    let database = Database::parse(&golden::text(&index)).unwrap();
    let rows: Vec<Row> = serde_json::from_str(include_str!("../data/projections.json")).unwrap();
    let mut compared = 0;
    for row in rows {
        let what = format!("{:?} {:?}", row.projections, row.hash_length);
        let projections = Projections::new(&row.projections, row.hash_length);
        let Some(paths) = row.paths else {
            assert!(matches!(projections, Err(ProjectionError::NoHash { .. })), "{what}");
            continue;
        };
        let projections = projections.unwrap();
        for (hash, expected) in paths {
            let Some(record) = database.records.get(hash.as_str()) else { continue };
            // What a projection is for may be asked of what a package depends on: all of them are there.
            let all = database.records.values().map(|record| &record.node);
            let alone = std::iter::once(&record.node);
            let prefix = match expected.is_some() {
                true => projections.prefixes(&root(), &database, all).or_else(|error| match error {
                    ProjectionError::NoneFor { .. } => projections.prefixes(&root(), &database, alone),
                    error => Err(error),
                }),
                false => projections.prefixes(&root(), &database, alone),
            };
            match (prefix, expected) {
                (Ok(prefixes), Some(expected)) => {
                    assert_eq!(prefixes[&record.node.hash], Path::new("/root").join(expected), "{what}");
                }
                (Err(ProjectionError::NoneFor { .. }), None) => {}
                (prefix, expected) => panic!("{what} {hash}: {prefix:?}, and Spack has {expected:?}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn projections_that_cannot_be_used_are_refused() {
    let new = |spec: &str, text: &str| Projections::new(&[(spec.to_owned(), text.to_owned())], None);
    for text in ["/opt/{name}-{hash}", "../{name}-{hash}", "a/../../{hash}", "", "./"] {
        assert!(matches!(new("all", text), Err(ProjectionError::Outside { .. })), "{text}");
    }
    for text in ["{name", "{name}}", "{@name}"] {
        assert!(matches!(new("all", text), Err(ProjectionError::Format { .. })), "{text}");
    }
    assert!(matches!(new("zlib@@", "{name}-{hash}"), Err(ProjectionError::Spec { .. })));
    let nodes = Nodes::new([node('a', &[], "")]);
    let prefixes = |projections: Projections| {
        projections
            .prefixes(&root(), &nodes, std::iter::once(nodes.get('a')))
            .map(|mut p| p.remove(&hash('a')))
    };
    let error = prefixes(new("all", "{nonsense}/{hash}").unwrap()).unwrap_err();
    assert!(matches!(error, ProjectionError::Format { .. }), "{error}");
    let error = prefixes(new("zlib", "{hash}").unwrap()).unwrap_err();
    assert!(error.to_string().contains("a@1.0"), "{error}");
    assert!(prefixes(Projections::default()).unwrap().unwrap().starts_with("/root/linux-x86_64"));
}
