//! The packed form of catalogs: it says what the nodes say, and survives whatever is done to its bytes.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use strata_spec::catalog::{HEADER_LENGTH, InvalidTables, NodeRef, ParameterValue, lengths};
use strata_spec::{Catalog, Database, Node, format};
use strata_testkit::golden;

/// Every index and database there is to test with: the golden ones, and those of the stores.
fn databases(test: &str) -> Vec<(String, String)> {
    let golden = ["push/index.json", "spec/index-750.json.zst"].map(golden::file).into_iter().flatten();
    let stores = golden::stores().into_iter().map(|root| root.join(".spack-db/index.json"));
    let texts: Vec<(String, String)> =
        golden.chain(stores).map(|path| (path.display().to_string(), golden::text(&path))).collect();
    if texts.is_empty() {
        golden::skipped(test, "there is no index and no store");
    }
    texts
}

fn value(value: &Value) -> ParameterValue<'_> {
    match value {
        Value::Bool(value) => ParameterValue::Bool(*value),
        Value::String(text) => ParameterValue::Single(text),
        Value::Array(values) => {
            ParameterValue::Multiple(values.iter().map(|v| v.as_str().unwrap()).collect())
        }
        other => panic!("{other}"),
    }
}

/// Compares all that a node of a catalog says with the node itself.
fn assert_says(found: NodeRef<'_>, node: &Node, in_buildcache: bool, all: &Database) {
    assert_eq!(format::canonical_in_catalog(found), format::canonical(node), "{found:?}");
    let label = node.label();
    assert_eq!(found.label(), label);
    assert_eq!(found.name(), node.name, "{label}");
    assert_eq!(found.version(), node.version, "{label}");
    assert_eq!(found.namespace(), node.namespace.as_deref(), "{label}");
    assert_eq!(found.platform(), node.architecture.platform, "{label}");
    assert_eq!(found.os(), node.architecture.os, "{label}");
    assert_eq!(found.target(), node.architecture.target, "{label}");
    assert_eq!(found.hash(), node.hash.as_str(), "{label}");
    assert_eq!(found.is_external(), node.is_external(), "{label}");
    assert_eq!(found.in_buildcache(), in_buildcache, "{label}");
    assert_eq!(found.build_spec(), node.build_spec.as_ref().map(|hash| hash.as_str()), "{label}");
    assert_eq!(found.original_format(), node.original_format, "{label}");
    let compiler = node.compiler.as_ref().map(|compiler| (&*compiler.name, &*compiler.version));
    assert_eq!(found.compiler(), compiler, "{label}");
    assert_eq!(found.json(), node.json(), "{label}");
    let parameters: Vec<_> = node.parameters.iter().map(|(name, v)| (name.as_str(), value(v))).collect();
    assert_eq!(found.parameters().collect::<Vec<_>>(), parameters, "{label}");
    for (name, value) in parameters {
        assert_eq!(found.parameter(name), Some(value), "{label} {name}");
    }
    assert_eq!(found.parameter("no-such-parameter"), None);
    assert_eq!(found.edges().count(), node.dependencies.len(), "{label}");
    for (found, edge) in found.edges().zip(&node.dependencies) {
        assert_eq!((found.name(), found.hash()), (&*edge.name, edge.hash.as_str()), "{label}");
        assert_eq!(found.types(), edge.types, "{label}");
        assert_eq!(found.virtuals().collect::<Vec<_>>(), edge.virtuals, "{label}");
        let there = all.records.contains_key(&edge.hash).then(|| edge.hash.as_str());
        assert_eq!(found.node().map(NodeRef::hash), there, "{label}");
    }
}

/// Compares all that a catalog says with the database it was made of.
fn assert_same(catalog: &Catalog, database: &Database) {
    assert_eq!(catalog.len(), database.records.len());
    for (found, record) in catalog.nodes().zip(database.records.values()) {
        assert_says(found, &record.node, record.in_buildcache, database);
    }
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut providers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (hash, record) in &database.records {
        by_name.entry(&record.node.name).or_default().push(hash.as_str());
        for edge in record.node.dependencies.iter().filter(|e| database.records.contains_key(&e.hash)) {
            for name in &edge.virtuals {
                providers.entry(name).or_default().insert(edge.hash.as_str());
            }
        }
    }
    assert_eq!(catalog.names().collect::<Vec<_>>(), by_name.keys().copied().collect::<Vec<_>>());
    for (name, hashes) in by_name {
        assert_eq!(catalog.named(name).map(NodeRef::hash).collect::<Vec<_>>(), hashes, "{name}");
        assert_eq!(catalog.providers(name).count(), providers.get(name).map_or(0, BTreeSet::len), "{name}");
    }
    for (name, hashes) in providers {
        let found: Vec<&str> = catalog.providers(name).map(NodeRef::hash).collect();
        assert_eq!(found.len(), hashes.len(), "{name}: each once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), hashes, "{name}");
    }
    assert_eq!(catalog.named("no-such-package").count(), 0);
    assert_eq!(catalog.named("").count(), 0);
}

/// What a catalog writes, and how many of these bytes are tables.
fn written(catalog: &Catalog) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    catalog.write(&mut bytes).unwrap();
    let (tables, document) = lengths(&bytes[..HEADER_LENGTH]).unwrap();
    assert_eq!(bytes.len() as u64, tables + document);
    (bytes, tables as usize)
}

fn reopened(catalog: &Catalog) -> Result<Catalog, InvalidTables> {
    let (mut bytes, tables) = written(catalog);
    let document = String::from_utf8(bytes.split_off(tables)).unwrap();
    Catalog::open(bytes, Box::new(document))
}

#[test]
fn a_catalog_says_what_the_nodes_say() {
    for (name, text) in databases("a_catalog_says_what_the_nodes_say") {
        let database = Database::parse(&text).unwrap();
        assert!(!database.records.is_empty(), "{name}");
        assert_same(&Catalog::of_database(&database), &database);
        let (catalog, skipped) = Catalog::parse(text.clone()).unwrap();
        assert_eq!(skipped, [], "{name}");
        assert_same(&catalog, &database);
        assert_same(&reopened(&catalog).unwrap(), &database);
    }
}

/// Everything that can be asked of a catalog; how much came back.
fn ask_everything(catalog: &Catalog) -> usize {
    let about = |node: NodeRef<'_>| {
        let texts = [
            node.name(),
            node.version(),
            node.platform(),
            node.os(),
            node.target(),
            node.hash(),
            node.json(),
        ];
        let edges = node.edges().map(|edge| {
            let _ = (edge.types(), edge.node().map(NodeRef::number));
            edge.name().len() + edge.hash().len() + edge.virtuals().map(str::len).sum::<usize>()
        });
        let flags = (node.is_external(), node.in_buildcache(), node.original_format(), node.compiler());
        let _ = (flags, node.namespace(), node.build_spec(), node.parameter("shared"), node.label());
        let parameters = node.parameters().map(|(name, value)| {
            name.len() + if let ParameterValue::Multiple(values) = value { values.len() } else { 1 }
        });
        texts.iter().map(|text| text.len()).sum::<usize>() + edges.sum::<usize>() + parameters.sum::<usize>()
    };
    let mut sum = catalog.nodes().map(about).sum();
    for name in catalog.names().map(str::to_owned).collect::<Vec<_>>() {
        sum += catalog.named(&name).count() + catalog.providers(&name).count();
    }
    for name in ["", "zlib", "libc", "mpi", "\u{10ffff}"] {
        sum +=
            catalog.named(name).count() + catalog.providers(name).count() + catalog.with_hash(name).count();
    }
    sum
}

#[test]
fn rare_shapes_are_read_as_nodes_are() {
    let hashes = ["a", "b", "c", "d", "e", "f"].map(|letter| letter.repeat(32));
    let extras = [
        r#""annotations": {"original_specfile_version": 4, "compiler": "gcc@=12.2.0"}"#,
        r#""annotations": {"original_specfile_version": 3, "compiler": "gcc"}"#,
        r#""external": {"path": null, "module": ["m"]}, "compiler": {"name": "clang", "version": "15"}"#,
        r#""external": {"path": null, "module": null}"#,
        r#""external": null, "build_spec": {"name": "zlib", "hash": "HASH"}"#,
        r#""dependencies": [{"name": "e\u0041", "hash": "HASH", "type": ["build", "test"]}], "x": [1.50]"#,
    ];
    let records: Vec<String> = hashes
        .iter()
        .zip(extras)
        .map(|(hash, extra)| {
            let extra = extra.replace("HASH", &hashes[0]);
            let node = node(hash).replace("\"namespace\"", &format!("{extra}, \"namespace\""));
            format!(r#""{hash}": {{"spec": {node}}}"#)
        })
        .collect();
    let json = format!(r#"{{"database": {{"installs": {{{}}}, "version": 8}}}}"#, records.join(", "));
    let database = Database::parse(&json).unwrap();
    assert_eq!(database.records.len(), 6);
    let (catalog, skipped) = Catalog::parse(json).unwrap();
    assert_eq!(skipped, []);
    assert_same(&catalog, &database);
    assert_same(&Catalog::of_database(&database), &database);
    assert_same(&reopened(&catalog).unwrap(), &database);
}

#[test]
fn damaged_tables_are_found_out_and_do_no_harm() {
    let Some(path) = golden::file("push/index.json") else {
        golden::skipped(
            "damaged_tables_are_found_out_and_do_no_harm",
            "no push/index.json in the golden data",
        );
        return;
    };
    let text = golden::text(&path);
    let (catalog, _) = Catalog::parse(text.clone()).unwrap();
    let whole = ask_everything(&catalog);
    let (bytes, length) = written(&catalog);
    let tables = &bytes[..length];
    let open = |tables: Vec<u8>| Catalog::open(tables, Box::new(text.clone()));
    assert_eq!(ask_everything(&open(tables.to_vec()).unwrap()), whole);
    for cut in (0..length).step_by(7) {
        assert!(open(tables[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    let longer = [tables, b"x"].concat();
    assert!(matches!(open(longer).unwrap_err(), InvalidTables::Length { .. }));
    let (mut opened, mut different) = (0, 0);
    for at in 0..length {
        let flip = [0x01, 0x80, 0xff][at % 3];
        let mut damaged = tables.to_vec();
        damaged[at] ^= flip;
        assert!(open(damaged.clone()).is_err(), "byte {at} ^ {flip:#x}");
        // As if somebody had made it up: what it says makes no sense, and no more than that.
        let checksum = crc32fast::hash(&damaged[12..]);
        damaged[8..12].copy_from_slice(&checksum.to_le_bytes());
        if at % 5 == 0
            && let Ok(catalog) = open(damaged)
        {
            opened += 1;
            different += usize::from(ask_everything(&catalog) != whole);
        }
    }
    assert!(opened > length / 8 && different > length / 50, "{opened} {different} of {length}");
}

#[test]
fn json_that_is_not_what_was_written_is_not_handed_out() {
    let (catalog, _) = Catalog::parse(index(&[&"a".repeat(32), &"b".repeat(32)])).unwrap();
    let (mut bytes, length) = written(&catalog);
    let mut document = bytes.split_off(length);
    let at = document.len() / 4;
    document[at] ^= 1;
    let reopened =
        Catalog::open(bytes.clone(), Box::new(String::from_utf8(document.clone()).unwrap())).unwrap();
    let there: Vec<bool> = reopened.nodes().map(|node| !node.json().is_empty()).collect();
    assert_eq!(there, [false, true], "one of them is damaged");
    assert_eq!(reopened.nodes().next().unwrap().name(), "zlib", "which is known without its JSON");
    let none = Catalog::open(bytes, Box::new(String::new())).unwrap();
    assert!(none.nodes().all(|node| node.json().is_empty()));
}

fn node(hash: &str) -> String {
    format!(
        r#"{{"name": "zlib", "version": "1.3", "arch": {{"platform": "linux", "platform_os": "debian12",
            "target": "x86_64"}}, "namespace": "builtin", "parameters": {{"pic": true}}, "hash": "{hash}"}}"#
    )
}

/// An index of nodes that have these hashes.
fn index(hashes: &[&str]) -> String {
    let records: Vec<String> = hashes
        .iter()
        .map(|hash| format!(r#""{hash}": {{"spec": {}, "ref_count": 0, "in_buildcache": true}}"#, node(hash)))
        .collect();
    format!(r#"{{"database": {{"version": "8", "installs": {{{}}}}}}}"#, records.join(", "))
}

#[test]
fn records_that_are_not_understood_are_told_and_left_out() {
    let [good, other] = ["a", "b"].map(|letter| letter.repeat(32));
    for (record, reason) in [
        ("null", "not an object"),
        ("[{}, 1.5, true]", "not an object"),
        ("\"x\"", "not an object"),
        ("-1", "not an object"),
        (r#"{"in_buildcache": true}"#, "missing field `spec`"),
        (r#"{"spec": {"name": "zlib"}}"#, "missing field `version`"),
        (r#"{"spec": {"name": 1}}"#, "expected"),
        (&format!(r#"{{"spec": {}, "in_buildcache": 3}}"#, node(&other)), "`in_buildcache`"),
        (&format!(r#"{{"spec": {}}}"#, node(&other).replace("{\"pic\": true}", "[]")), "`parameters`"),
        (&format!(r#"{{"spec": {}}}"#, node(&other).replace("\"x86_64\"", "7")), "`arch`"),
        (
            &format!(
                r#"{{"spec": {}}}"#,
                node(&other)
                    .replace("\"namespace\"", r#""dependencies": [{"name": "x", "hash": "y"}], "namespace""#)
            ),
            "`y` is not a DAG hash",
        ),
    ] {
        let json =
            index(&[&good]).replace(r#""installs": {"#, &format!(r#""installs": {{"{other}": {record}, "#));
        let (catalog, skipped) = Catalog::parse(json).unwrap();
        assert_eq!(catalog.nodes().map(NodeRef::hash).collect::<Vec<_>>(), [&good], "{record}");
        assert_eq!(catalog.nodes().next().unwrap().edges().count(), 0, "{record}");
        assert_eq!(skipped.len(), 1, "{record}");
        assert!(skipped[0].record == other && skipped[0].reason.contains(reason), "{record}: {skipped:?}");
    }
    let bad_key = index(&[&good, "not-a-hash"]);
    assert_eq!(Catalog::parse(bad_key).unwrap().1[0].record, "not-a-hash");
}

#[test]
fn what_is_no_index_is_refused() {
    let newer = index(&[]).replace("\"8\"", "\"9\"");
    let error = Catalog::parse(newer).unwrap_err().to_string();
    assert!(error.contains("database version 9"), "{error}");
    let deep = format!(r#"{{"database": {{"version": "8", "installs": {}"#, "[".repeat(100_000));
    for text in ["", "[]", "{}", r#"{"database": {"version": "8"}}"#, "{\"database\"", "<html>", &deep] {
        assert!(Catalog::parse(text.to_owned()).is_err(), "{text:.40}");
    }
    assert!(Catalog::parse(index(&[])).unwrap().0.is_empty());
    assert_eq!(ask_everything(&Catalog::default()), 0);
}

#[test]
fn of_two_records_of_one_hash_the_later_one_counts() {
    let hash = "c".repeat(32);
    let mut json = index(&[&hash, &hash]);
    let version = json.rfind("1.3").unwrap();
    json.replace_range(version..version + 3, "1.4");
    let (catalog, _) = Catalog::parse(json).unwrap();
    let found: Vec<_> = catalog.nodes().map(|node| node.version()).collect();
    assert_eq!(found, ["1.4"]);
    assert_eq!(catalog.with_hash("c").count(), 1);
    assert_eq!(catalog.named("zlib").count(), 1);
}

proptest! {
    #[test]
    fn a_prefix_finds_the_hashes_that_begin_with_it(
        hashes in proptest::collection::btree_set("[abz27]{3}", 0..60),
        prefix in "[abz27]{0,4}",
    ) {
        let hashes: Vec<String> = hashes.iter().map(|start| format!("{start}{}", "q".repeat(29))).collect();
        let (catalog, _) = Catalog::parse(index(&hashes.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
        let found: Vec<&str> = catalog.with_hash(&prefix).map(NodeRef::hash).collect();
        let expected: Vec<&String> = hashes.iter().filter(|hash| hash.starts_with(&prefix)).collect();
        prop_assert_eq!(found, expected);
    }
}
