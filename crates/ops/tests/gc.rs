//! What is unused, compared with Spack's `unused_specs`: `gc/unused.json` is Spack's own answers for the database
//! `gc/index.json`, made by `gc/unused.py`.

use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};
use strata_ops::gc::{Roots, unused};
use strata_spec::{DagHash, Database};

#[derive(Deserialize)]
struct Case {
    explicit: HashSet<DagHash>,
    unused: BTreeSet<DagHash>,
    unused_keeping_build: BTreeSet<DagHash>,
}

#[test]
fn unused_is_what_spack_says() {
    let mut database = Database::parse(include_str!("gc/index.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(include_str!("gc/unused.json")).unwrap();
    assert_eq!(cases.len(), 40);
    let found = |database: &Database, roots: &Roots, build: bool| -> BTreeSet<DagHash> {
        unused(database, roots, build).into_iter().collect()
    };
    for (number, case) in cases.iter().enumerate() {
        for (hash, record) in &mut database.records {
            record.explicit = case.explicit.contains(hash);
        }
        let roots = Roots::These(case.explicit.clone());
        for roots in [Roots::Explicit, roots] {
            assert_eq!(found(&database, &roots, false), case.unused, "case {number}");
            assert_eq!(found(&database, &roots, true), case.unused_keeping_build, "case {number}");
        }
    }
}

#[test]
fn cleaning_up_one_environment_leaves_everything_else() {
    let database = Database::parse(include_str!("gc/index.json")).unwrap();
    let hash = |name: &str| {
        database.records.values().find(|record| record.node.name == name).unwrap().node.hash.clone()
    };
    let environment: HashSet<DagHash> = ["zlib", "curl", "bzip2"].map(hash).into();
    let roots = HashSet::from([hash("curl")]);
    let roots = Roots::Within { roots, environment };
    // bzip2 is needed by python, which is not part of the environment, and zlib by curl, its root.
    assert_eq!(unused(&database, &roots, false), HashSet::new());
    let environment: HashSet<DagHash> = [hash("vim"), hash("curl")].into();
    let roots = Roots::Within { roots: HashSet::from([hash("curl")]), environment };
    assert_eq!(unused(&database, &roots, false), HashSet::from([hash("vim")]));
}
