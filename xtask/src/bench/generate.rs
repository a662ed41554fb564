//! A large index that is like a real one: copies of a real one in which names, versions, hashes and some flags differ.
//!
//! The shape of the DAGs stays. Externals and what every package gets from its compiler are the same in all copies. The
//! hashes are made up, and the result depends on nothing but the index and the number of specs.

use super::Outcome;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use strata_oci::Digest;
use strata_testkit::golden;

/// Copies whose packages have names of their own; the ones after them have other versions of the same packages.
const NAMES: usize = 8;
/// What compilers bring along, one for all copies.
const SHARED: [&str; 2] = ["compiler-wrapper", "gcc-runtime"];
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The real index that large ones are made of.
const REAL_INDEX: &str = "spec/index-750.json.zst";

/// An index of `specs` specs, as JSON.
pub(super) fn index_of(specs: usize) -> Outcome<String> {
    let real = golden::file(REAL_INDEX).ok_or("the golden data has no index")?;
    index(&golden::text(&real), specs)
}

/// An index of `specs` specs made of that in `json`.
fn index(json: &str, specs: usize) -> Outcome<String> {
    let index: Value = serde_json::from_str(json)?;
    let records = index["database"]["installs"].as_object().ok_or("no records")?;
    let shared: HashSet<&str> = records
        .iter()
        .filter(|(_, record)| {
            let spec = &record["spec"];
            spec.get("external").is_some() || spec["name"].as_str().is_some_and(|name| SHARED.contains(&name))
        })
        .map(|(hash, _)| hash.as_str())
        .collect();
    let mut out = String::from(r#"{"database":{"version":"8","installs":{"#);
    let mut count = 0;
    for copy in 0.. {
        let hashes: HashMap<&str, String> = records
            .keys()
            .map(|hash| {
                let other = if shared.contains(&**hash) { hash.clone() } else { made_up(copy, hash) };
                (hash.as_str(), other)
            })
            .collect();
        for (hash, record) in records.iter().filter(|(hash, _)| copy == 0 || !shared.contains(hash.as_str()))
        {
            if count == specs {
                out.push_str("}}}");
                return Ok(out);
            }
            let comma = if count == 0 { "" } else { "," };
            let record = if shared.contains(hash.as_str()) {
                record.clone()
            } else {
                varied(record, copy, &shared, &hashes)
            };
            write!(out, "{comma}\"{}\":{record}", hashes[hash.as_str()])?;
            count += 1;
        }
    }
    Ok(out)
}

fn made_up(copy: usize, hash: &str) -> String {
    let digest = Digest::of(format!("{copy} {hash}").as_bytes());
    digest.as_bytes().iter().map(|byte| char::from(BASE32[usize::from(byte & 31)])).collect()
}

fn name(of: &Value, copy: usize) -> Value {
    match (of.as_str(), copy % NAMES) {
        (Some(name), variant @ 1..) => json!(format!("{name}-{variant}")),
        _ => of.clone(),
    }
}

fn varied(record: &Value, copy: usize, shared: &HashSet<&str>, hashes: &HashMap<&str, String>) -> Value {
    let mut record = record.clone();
    let spec = &mut record["spec"];
    spec["name"] = name(&spec["name"], copy);
    if let Some(version) = spec["version"].as_str().filter(|_| copy >= NAMES) {
        spec["version"] = json!(format!("{version}.{}", copy / NAMES));
    }
    if copy % 3 == 1 {
        spec["parameters"]["cflags"] = json!(["-O3", format!("-DCOPY={}", copy % 20)]);
    }
    if let Some(edges) = spec.get_mut("dependencies").and_then(Value::as_array_mut) {
        for edge in edges {
            let hash = edge["hash"].as_str().unwrap_or_default();
            if !shared.contains(hash) {
                let other = hashes.get(hash).cloned();
                edge["name"] = name(&edge["name"], copy);
                edge["hash"] = json!(other);
            }
        }
    }
    let hash = spec["hash"].as_str().and_then(|hash| hashes.get(hash)).cloned();
    spec["hash"] = json!(hash);
    record
}
