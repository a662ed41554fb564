//! DAG hashes computed anew, against those that Spack computed.

use serde_json::Value;
use serde_json::value::RawValue;
use std::path::PathBuf;
use strata_spec::dag_hash::verify;
use strata_spec::{ConcreteSpec, Database, Node};
use strata_testkit::golden;

/// Every database and index there is.
fn databases(test: &str) -> Vec<(PathBuf, Database)> {
    let mut files: Vec<PathBuf> =
        golden::json_files("spec").into_iter().chain(golden::file("push/index.json")).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("index")));
    let stores = golden::stores();
    if files.is_empty() {
        golden::skipped(test, "no index in the golden data");
    }
    if stores.is_empty() {
        golden::skipped(test, "the databases of stores: STRATA_STORES is not set");
    }
    files.extend(stores.iter().map(|root| root.join(".spack-db/index.json")));
    let read = |path: PathBuf| {
        let database = Database::parse(&golden::text(&path)).unwrap();
        (path, database)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_node_is_what_its_hash_says() {
    const TEST: &str = "every_node_is_what_its_hash_says";
    for (path, database) in databases(TEST) {
        let verified = verify(database.records.values().map(|record| &record.node));
        assert_eq!(verified.wrong, [], "{}", path.display());
        assert_eq!(verified.right, database.records.len(), "{}: every hash can be computed", path.display());
    }
    for path in golden::json_files("push/configs") {
        let config: serde_json::Map<String, Value> = serde_json::from_str(&golden::text(&path)).unwrap();
        let Some(spec) = config.get("spec") else { continue };
        let spec = ConcreteSpec::parse(&RawValue::from_string(spec.to_string()).unwrap()).unwrap();
        assert_eq!(verify(spec.nodes()).wrong, [], "{}", path.display());
    }
}

#[test]
fn spec_files_of_prefixes_are_what_their_hashes_say() {
    const TEST: &str = "spec_files_of_prefixes_are_what_their_hashes_say";
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped(TEST, "STRATA_STORES is not set");
    }
    for root in stores {
        let database = Database::parse(&golden::text(&root.join(".spack-db/index.json"))).unwrap();
        let mut read = 0;
        for record in database.records.values().filter(|r| r.installed && !r.node.is_external()) {
            let path = PathBuf::from(record.path.as_ref().unwrap()).join(".spack/spec.json");
            let file: serde_json::Map<String, Value> = serde_json::from_str(&golden::text(&path)).unwrap();
            let spec = RawValue::from_string(file["spec"].to_string()).unwrap();
            let verified = verify(ConcreteSpec::parse(&spec).unwrap().nodes());
            assert_eq!(verified.wrong, [], "{}", path.display());
            read += 1;
        }
        assert!(read > 0, "{}", root.display());
    }
}

#[test]
fn every_change_that_matters_is_noticed() {
    const TEST: &str = "every_change_that_matters_is_noticed";
    let Some((_, database)) = databases(TEST).into_iter().next() else { return };
    let mut changed = 0;
    for record in database.records.values().take(200) {
        let json: Value = serde_json::from_str(record.node.json()).unwrap();
        for key in ["name", "version", "namespace", "package_hash"] {
            let mut json = json.clone();
            let Some(text) = json[key].as_str().map(|text| format!("{text}x")) else { continue };
            json[key] = Value::from(text);
            let node = Node::parse(&RawValue::from_string(json.to_string()).unwrap()).unwrap();
            assert_eq!(verify([&node]).wrong.len(), 1, "{key} of {}", node.label());
            changed += 1;
        }
        // What Spack does not hash does not matter.
        let mut json = json.clone();
        json["something_new"] = Value::from(1);
        let node = Node::parse(&RawValue::from_string(json.to_string()).unwrap()).unwrap();
        assert_eq!(verify([&node]).wrong, []);
    }
    assert!(changed > 0);
}
