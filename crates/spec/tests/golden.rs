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
    for path in golden::json_files("push/configs") {
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
    specs
}

/// The index that Spack pushed, as text and read; reports that `test` is skipped if there is none.
fn index(test: &str) -> Option<(String, Database)> {
    let Some(path) = golden::file("push/index.json") else {
        golden::skipped(test, "no push/index.json in the golden data");
        return None;
    };
    let text = golden::text(&path);
    let database = Database::parse(&text).unwrap();
    Some((text, database))
}

/// The golden layers of packages that the index has.
fn layers(test: &str, database: &Database) -> Vec<(DagHash, Value)> {
    let rows = golden::file("layers/layers.jsonl.zst").map(|path| golden::rows(&path)).unwrap_or_default();
    let with_hash = |row: Value| (DagHash::parse(row["hash"].as_str().unwrap()).unwrap(), row);
    let mut layers: Vec<_> = rows.into_iter().map(with_hash).collect();
    layers.retain(|(hash, _)| database.records.contains_key(hash));
    if layers.is_empty() {
        golden::skipped(test, "no golden layer is of a package in push/index.json");
    }
    layers
}

#[test]
fn an_index_is_written_as_it_was_read() {
    const TEST: &str = "an_index_is_written_as_it_was_read";
    for name in ["push/index.json", "spec/index-750.json.zst"] {
        let Some(path) = golden::file(name) else {
            golden::skipped(TEST, &format!("no {name} in the golden data"));
            continue;
        };
        let text = golden::text(&path);
        assert_eq!(Database::parse(&text).unwrap().to_index_json(), text, "{name}");
    }
}

#[test]
fn the_index_of_the_pushed_specs_is_spacks() {
    let Some((text, read)) = index("the_index_of_the_pushed_specs_is_spacks") else { return };
    let pushed = pushed();
    let in_cache = read.records.values().filter(|record| record.in_buildcache).count();
    if pushed.is_empty() || in_cache != pushed.len() {
        let reason = "push/index.json is not about the packages in push/configs";
        return golden::skipped("the_index_of_the_pushed_specs_is_spacks", reason);
    }
    let mut database = Database::default();
    for (_, spec) in pushed.values() {
        let root = spec.root().hash.clone();
        database.add_with_dependencies(spec, &root, &|node| Record::new(node.clone())).unwrap();
        database.records.get_mut(&root).unwrap().in_buildcache = true;
    }
    assert_eq!(database.to_index_json(), text);
}

#[test]
fn a_spec_collected_from_a_database_is_the_one_pushed() {
    const TEST: &str = "a_spec_collected_from_a_database_is_the_one_pushed";
    let Some((_, database)) = index(TEST) else { return };
    for (tag, (_, spec)) in pushed() {
        let Some(root) = database.node(&spec.root().hash) else {
            golden::skipped(TEST, &format!("push/index.json does not have {tag}"));
            continue;
        };
        let collected = ConcreteSpec::collect(&database, root, database.spec_version()).unwrap();
        assert_eq!(collected.to_json(), spec.to_json(), "{tag}");
    }
}

#[test]
fn descriptions_are_spacks_canonical_form() {
    const TEST: &str = "descriptions_are_spacks_canonical_form";
    let Some((_, database)) = index(TEST) else { return };
    for (hash, row) in layers(TEST, &database) {
        assert_eq!(format::canonical(database.node(&hash).unwrap()), row["format"].as_str().unwrap());
    }
}

#[test]
fn layer_order_is_the_reversed_topological_order() {
    const TEST: &str = "layer_order_is_the_reversed_topological_order";
    let Some((_, database)) = index(TEST) else { return };
    let diff_ids: BTreeMap<String, String> = layers(TEST, &database)
        .iter()
        .map(|(hash, row)| (hash.to_string(), row["diff_id"].as_str().unwrap().to_owned()))
        .collect();
    for (tag, (config, spec)) in pushed() {
        let Some(root) = database.node(&spec.root().hash) else { continue };
        let mut order = topological(&database, &[root], DependencyTypes::RUNTIME).unwrap();
        order.retain(|node| !node.is_external());
        order.reverse();
        let expected: Vec<&str> =
            config["rootfs"]["diff_ids"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
        let found: Option<Vec<&str>> =
            order.iter().map(|n| diff_ids.get(n.hash.as_str()).map(String::as_str)).collect();
        match found {
            Some(found) => assert_eq!(found, expected, "{tag}"),
            None => golden::skipped(TEST, &format!("not every layer of {tag} is in layers/layers.jsonl.zst")),
        }
    }
}

#[test]
fn referenced_packages_are_those_of_hash_to_prefix_in_order() {
    const TEST: &str = "referenced_packages_are_those_of_hash_to_prefix_in_order";
    let Some((_, database)) = index(TEST) else { return };
    for (hash, row) in layers(TEST, &database) {
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
