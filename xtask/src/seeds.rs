//! `cargo xtask seeds`: what the fuzz targets begin with, made from the golden data.

use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use strata_spec::dag::{DependencyTypes, preorder};
use strata_spec::{ConcreteSpec, Database, Node};
use strata_testkit::golden;

/// How many nodes a seed has at most: what is small is mutated best.
const NODES: usize = 12;

/// Writes `fuzz/corpus/TARGET/…`.
pub(crate) fn write() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut specs = Vec::new();
    for table in ["spec/satisfies.jsonl", "spec/satisfies-index-750.jsonl"] {
        let rows = golden::file(table).map(|path| golden::rows(&path)).unwrap_or_default();
        specs.extend(rows.iter().filter_map(|row| Some(row["spec"].as_str()?.to_owned())));
    }
    save("spec_language", &specs)?;

    let (mut concrete, mut databases, mut lockfiles) = (Vec::new(), Vec::new(), Vec::new());
    for index in ["push/index.json", "spec/index-750.json.zst"] {
        let Some(path) = golden::file(index) else { continue };
        let database = Database::parse(&golden::text(&path))?;
        for record in database.records.values() {
            let nodes = preorder(&database, &record.node, DependencyTypes::ALL)?;
            if nodes.len() <= NODES {
                let spec = ConcreteSpec::collect(&database, &record.node, database.spec_version())?;
                concrete.push(spec.to_json());
                databases.push(small_database(&database, &nodes));
                lockfiles.push(lockfile(&nodes)?);
            }
        }
    }
    save("spec_json", &concrete)?;
    save("database", &databases)?;
    save("lockfile", &lockfiles)
}

fn small_database(database: &Database, nodes: &[&Node]) -> String {
    let records = nodes.iter().filter_map(|node| database.records.get_key_value(&node.hash));
    let records = records.map(|(hash, record)| (hash.clone(), record.clone())).collect();
    Database { version: database.version, records }.to_store_json()
}

fn lockfile(nodes: &[&Node]) -> Result<String, serde_json::Error> {
    let root = nodes.first().map(|node| json!({"hash": node.hash, "spec": node.name}));
    let mut concrete = serde_json::Map::new();
    for node in nodes {
        concrete.insert(node.hash.to_string(), serde_json::from_str::<Value>(node.json())?);
    }
    let meta = json!({"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5});
    Ok(json!({"_meta": meta, "roots": [root], "concrete_specs": concrete}).to_string())
}

fn save(target: &str, seeds: &[String]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let directory: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    std::fs::create_dir_all(&directory)?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(directory.join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}
