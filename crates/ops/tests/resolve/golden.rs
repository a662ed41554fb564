//! The index of 750 real specs.

use super::caches::{Asked, mirror};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use strata_ops::resolve::{Mirror, Unify};
use strata_spec::{NodeSource, closure};
use strata_testkit::golden;
use tempfile::TempDir;

fn golden_index(test: &str) -> Option<Value> {
    let Some(file) = golden::file("spec/index-750.json.zst") else {
        golden::skipped(test, "no index of 750 specs");
        return None;
    };
    Some(serde_json::from_str(&golden::text(&file)).unwrap())
}

fn golden_mirror(test: &str) -> Option<(TempDir, Vec<Mirror>)> {
    let index = golden_index(test)?;
    let dir = tempfile::tempdir().unwrap();
    let mirrors = vec![mirror(&dir, "golden", &index)];
    Some((dir, mirrors))
}

/// What a naive reading of the index says is the newest version of a package that can be used.
fn newest(index: &Value, name: &str) -> Vec<u32> {
    let installs = index["database"]["installs"].as_object().unwrap();
    let is_complete = |record: &Value| {
        let mut pending = vec![record];
        let mut seen = HashSet::new();
        while let Some(record) = pending.pop() {
            let spec = &record["spec"];
            if !spec["external"].is_null() || !seen.insert(spec["hash"].as_str().unwrap()) {
                continue;
            }
            if record["in_buildcache"] != true {
                return false;
            }
            for edge in spec["dependencies"].as_array().into_iter().flatten() {
                let types = edge["parameters"]["deptypes"].as_array().unwrap();
                if types.iter().any(|t| t == "link" || t == "run") {
                    pending.push(&installs[edge["hash"].as_str().unwrap()]);
                }
            }
        }
        true
    };
    let named = installs.values().filter(|r| r["spec"]["name"] == name && is_complete(r));
    let numbers = |r: &Value| -> Vec<u32> {
        r["spec"]["version"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect()
    };
    named.map(numbers).max().unwrap()
}

#[test]
fn the_newest_that_can_be_used_is_taken() {
    let Some(index) = golden_index("the_newest_that_can_be_used_is_taken") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mirrors = [mirror(&dir, "golden", &index)];
    let asked = Asked::of(&mirrors);
    for name in ["python", "py-numpy", "hdf5", "cmake", "openblas", "curl"] {
        let numbers: Vec<String> = newest(&index, name).iter().map(u32::to_string).collect();
        assert_eq!(asked.versions(&[name]), [format!("{name}@{}", numbers.join("."))]);
    }
    assert_eq!(asked.versions(&["python@3.11"]), ["python@3.11.14"]);
    assert_eq!(asked.versions(&["hdf5@:1.12"]), ["hdf5@1.12.2"]);
}

#[test]
fn constraints_and_virtual_packages_are_answered() {
    let Some((_dir, mirrors)) = golden_mirror("constraints_and_virtual_packages_are_answered") else {
        return;
    };
    let asked = Asked::of(&mirrors);
    assert!(asked.versions(&["mpi"])[0].starts_with("openmpi@"), "as Spack's defaults prefer");
    assert!(asked.versions(&["mpi ^hwloc"])[0].contains('@'));
    let resolved = asked.resolve(&["hdf5+mpi ^mpich"]).unwrap();
    assert!(
        closure(&resolved, &[resolved.node(&resolved.roots[0]).unwrap()])
            .unwrap()
            .iter()
            .any(|node| node.name == "mpich")
    );
    let error = asked.resolve(&["hdf5~mpi@1.14"]).unwrap_err().to_string();
    assert!(error.contains("+mpi, asked for ~mpi"), "{error}");
}

#[test]
fn several_specs_use_the_same_packages() {
    let Some((_dir, mirrors)) = golden_mirror("several_specs_use_the_same_packages") else { return };
    let asked = Asked::of(&mirrors);
    let specs = ["py-numpy", "py-matplotlib", "hdf5+mpi", "netcdf-c"];
    let resolved = asked.resolve(&specs).unwrap();
    let roots: Vec<_> = resolved.roots.iter().map(|hash| resolved.node(hash).unwrap()).collect();
    let mut by_name: HashMap<&str, HashSet<&str>> = HashMap::new();
    for node in closure(&resolved, &roots).unwrap() {
        by_name.entry(&node.name).or_default().insert(node.hash.as_str());
    }
    let several: Vec<_> = by_name.iter().filter(|(name, _)| **name != "gcc-runtime").collect();
    assert!(several.len() > 20 && several.iter().all(|(_, hashes)| hashes.len() == 1), "{several:?}");

    let alone = Asked { unify: Unify::False, ..Asked::of(&mirrors) };
    let each: Vec<String> = specs.iter().flat_map(|spec| alone.labels(&[spec])).collect();
    assert_eq!(alone.labels(&specs), each);
}

#[test]
fn neither_the_order_of_records_nor_that_of_mirrors_changes_the_answer() {
    let test = "neither_the_order_of_records_nor_that_of_mirrors_changes_the_answer";
    let Some(index) = golden_index(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut reversed = index.clone();
    let installs = reversed["database"]["installs"].as_object_mut().unwrap();
    *installs = installs.clone().into_iter().rev().collect();
    let mut without_some = index.clone();
    let installs = without_some["database"]["installs"].as_object_mut().unwrap();
    for (number, record) in installs.values_mut().enumerate() {
        record["in_buildcache"] = (number % 3 == 0 && record["in_buildcache"] == true).into();
    }
    let sets = [
        vec![mirror(&dir, "one", &index)],
        vec![mirror(&dir, "reversed", &reversed)],
        vec![mirror(&dir, "some", &without_some), mirror(&dir, "all", &index)],
        vec![mirror(&dir, "all again", &reversed), mirror(&dir, "some again", &without_some)],
    ];
    let specs = ["py-matplotlib", "hdf5+mpi", "netcdf-c", "mpi", "blas", "curl", "boost"];
    for unify in [Unify::True, Unify::WhenPossible, Unify::False] {
        let answers: Vec<_> = sets
            .iter()
            .map(|mirrors| {
                let asked = Asked { unify, ..Asked::of(mirrors) };
                asked.resolve(&specs).map(|r| r.roots).map_err(|error| error.to_string())
            })
            .collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{unify:?}: {answers:#?}");
    }
}
