//! Specs, orders and databases against what real Spack produced (`golden/README.md`).

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use strata_spec::dag::{DependencyTypes, referenced, topological};
use strata_spec::{ConcreteSpec, DagHash, Database, NodeSource, Record, format};
use strata_testkit::golden;

/// Every spec in the configs that Spack pushed, by tag.
fn pushed() -> BTreeMap<String, (Value, ConcreteSpec)> {
    let mut specs = BTreeMap::new();
    for entry in std::fs::read_dir(golden::dir().join("push/configs")).expect("golden/push/configs") {
        let path = entry.unwrap().path();
        let text = golden::text(&path);
        let value: Value = serde_json::from_str(&text).unwrap();
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
        if let Some(spec) = raw.get("spec") {
            let parsed = ConcreteSpec::parse(spec).unwrap();
            assert_eq!(
                parsed.to_json(),
                spec.get(),
                "{}: the spec is passed on byte for byte",
                path.display()
            );
            specs.insert(path.file_stem().unwrap().to_string_lossy().into_owned(), (value, parsed));
        }
    }
    assert!(!specs.is_empty());
    specs
}

fn index() -> (String, Database) {
    let text = golden::text(&golden::dir().join("push/index.json"));
    let database = Database::parse(&text).unwrap();
    (text, database)
}

#[test]
fn an_index_is_written_as_it_was_read() {
    for name in ["push/index.json", "spec/index-750.json.zst"] {
        let text = golden::text(&golden::dir().join(name));
        assert_eq!(Database::parse(&text).unwrap().to_index_json(), text, "{name}");
    }
}

#[test]
fn the_index_of_the_pushed_specs_is_spacks() {
    let (text, _) = index();
    let mut database = Database::default();
    for (_, spec) in pushed().values() {
        let root = spec.root().hash.clone();
        database.add_with_dependencies(spec, &root, &|node| Record::new(node.clone())).unwrap();
        database.records.get_mut(&root).unwrap().in_buildcache = true;
    }
    assert_eq!(database.to_index_json(), text);
}

#[test]
fn a_spec_collected_from_a_database_is_the_one_pushed() {
    let (_, database) = index();
    for (tag, (_, spec)) in pushed() {
        let root = database.node(&spec.root().hash).unwrap();
        let collected = ConcreteSpec::collect(&database, root, database.spec_version()).unwrap();
        assert_eq!(collected.to_json(), spec.to_json(), "{tag}");
    }
}

#[test]
fn descriptions_are_spacks_canonical_form() {
    for row in golden::rows(&golden::dir().join("layers/layers.jsonl.zst")) {
        let hash = DagHash::parse(row["hash"].as_str().unwrap()).unwrap();
        let (_, database) = index();
        assert_eq!(format::canonical(database.node(&hash).unwrap()), row["format"].as_str().unwrap());
    }
}

#[test]
fn layer_order_is_the_reversed_topological_order() {
    let (_, database) = index();
    let diff_ids: BTreeMap<String, String> = golden::rows(&golden::dir().join("layers/layers.jsonl.zst"))
        .iter()
        .map(|r| (r["hash"].as_str().unwrap().to_owned(), r["diff_id"].as_str().unwrap().to_owned()))
        .collect();
    for (tag, (config, spec)) in pushed() {
        let root = database.node(&spec.root().hash).unwrap();
        let mut order = topological(&database, &[root], DependencyTypes::RUNTIME).unwrap();
        order.retain(|node| !node.is_external());
        order.reverse();
        let expected: Vec<&str> =
            config["rootfs"]["diff_ids"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
        let found: Vec<&str> = order.iter().map(|n| diff_ids[n.hash.as_str()].as_str()).collect();
        assert_eq!(found, expected, "{tag}");
    }
}

#[test]
fn referenced_packages_are_those_of_hash_to_prefix_in_order() {
    let (_, database) = index();
    for row in golden::rows(&golden::dir().join("layers/layers.jsonl.zst")) {
        let hash = DagHash::parse(row["hash"].as_str().unwrap()).unwrap();
        let yaml = row["binary_distribution"].as_str().unwrap();
        let from = yaml.find("hash_to_prefix: {").unwrap();
        let map = &yaml[from..from + yaml[from..].find('}').unwrap()];
        let mut last = 0;
        let nodes = referenced(&database, database.node(&hash).unwrap()).unwrap();
        for node in &nodes {
            let at = map.find(node.hash.as_str()).unwrap_or_else(|| panic!("{} in {map}", node.hash));
            assert!(at > last, "{} out of order in {map}", node.hash);
            last = at;
        }
        assert_eq!(nodes.len(), map.matches(": /").count(), "{map}");
    }
}
