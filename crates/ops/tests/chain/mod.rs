//! A small store: three packages, each of which needs the next.

#![allow(dead_code)]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use strata_spec::Database;

/// The packages: each needs the next, and the last needs nothing.
pub(crate) const CHAIN: [&str; 3] = ["top", "middle", "base"];

fn hash(name: &str) -> String {
    format!("{name:a<32}").replace(|c: char| !c.is_ascii_lowercase(), "a")
}

/// Where a package is installed.
pub(crate) fn prefix(root: &Path, name: &str) -> PathBuf {
    root.join("linux-x86_64").join(format!("{name}-1.0-{}", hash(name)))
}

/// A store with the packages of [`CHAIN`], the first of which looks biggest and so is packed first.
pub(crate) fn store(root: &Path) -> Database {
    let mut installs = serde_json::Map::new();
    for (number, name) in CHAIN.iter().enumerate() {
        let prefix = prefix(root, name);
        // A second call describes what is there, and leaves it as it is.
        if !prefix.exists() {
            std::fs::create_dir_all(prefix.join(".spack")).unwrap();
            std::fs::write(prefix.join(".spack/spec.json"), "{}").unwrap();
            std::fs::write(prefix.join(".spack/install_manifest.json"), " ".repeat(100 - number)).unwrap();
        }
        let needs: Vec<Value> = CHAIN
            .get(number + 1)
            .map(|below| {
                let parameters = json!({"deptypes": ["link"], "virtuals": []});
                json!({"name": below, "hash": hash(below), "parameters": parameters})
            })
            .into_iter()
            .collect();
        let spec = json!({
            "name": name, "version": "1.0", "namespace": "test", "parameters": {}, "dependencies": needs,
            "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64"}, "hash": hash(name),
        });
        let record =
            json!({"spec": spec, "path": prefix, "installed": true, "explicit": true, "ref_count": 0});
        installs.insert(hash(name), record);
    }
    Database::parse(&json!({"database": {"version": "8", "installs": installs}}).to_string()).unwrap()
}
