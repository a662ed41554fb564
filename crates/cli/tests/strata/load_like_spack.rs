//! `load` and `env activate` beside Spack's own: what `data/load.py` and `data/activate.py` wrote down of a store is
//! compared with what strata makes of the same store (`STRATA_STORES`).
//!
//! What is below `/usr` differs between machines and is left out.

use crate::shells::{evaluated, variables_of};
use crate::support::{World, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use strata_testkit::golden;

type Variables = BTreeMap<String, String>;

fn cases(data: &str) -> Vec<Value> {
    serde_json::from_str(data).unwrap()
}

/// The store that the data are of, if it is there.
fn store(test: &str, hash: &str) -> Option<PathBuf> {
    let stores = golden::stores();
    let has =
        |store: &PathBuf| std::fs::read_to_string(store.join(".spack-db/index.json")).unwrap().contains(hash);
    let found = stores.into_iter().find(has);
    if found.is_none() {
        golden::skipped(test, "STRATA_STORES has not the store that was asked");
    }
    found
}

fn variables(value: &Value, places: &[(&str, &Path)]) -> Variables {
    let replaced = |value: &Value| {
        let value = value.as_str().unwrap().to_owned();
        places.iter().fold(value, |value, (name, path)| value.replace(name, text(path)))
    };
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), replaced(value))).collect()
}

/// Without what only this machine has. A list of which nothing is left is no list.
fn comparable(variables: &Variables) -> Variables {
    let kept = |value: &str| {
        let entries = value
            .split(':')
            .filter(|entry| !entry.starts_with("/usr/share") && !entry.starts_with("/usr/lib"));
        entries.collect::<Vec<_>>().join(":")
    };
    let all = variables.iter().map(|(name, value)| (name.clone(), kept(value)));
    all.filter(|(_, value)| !value.is_empty() && value != ":").collect()
}

#[test]
fn what_is_loaded_is_what_spack_loads() {
    let cases = cases(include_str!("data/load.json"));
    let hash = &cases[0]["specs"][0].as_str().unwrap()[1..];
    let Some(store) = store("what_is_loaded_is_what_spack_loads", hash) else { return };
    let world = World::new();
    for case in &cases {
        let specs = case["specs"].as_array().unwrap().iter().map(|spec| spec.as_str().unwrap());
        let arguments: Vec<&str> = ["--store", text(&store), "load"].into_iter().chain(specs).collect();
        let before = variables(&case["before"], &[]);
        let after = evaluated(&world, "sh", &before, &arguments).unwrap();
        let expected = variables(&case["after"], &[("{store}", &store)]);
        assert_eq!(comparable(&after), comparable(&expected), "{}", case["names"]);
        let again = evaluated(&world, "sh", &after, &arguments).unwrap();
        assert_eq!(again, after, "{} twice", case["names"]);
        let unload = ["--store", text(&store), "unload"];
        let mut restored = evaluated(&world, "sh", &after, &unload).unwrap();
        // The colon at the end was added for the system's manuals: whether it was there before, nobody knows.
        if let Some(manuals) = restored.get_mut("MANPATH") {
            *manuals = manuals.trim_end_matches(':').to_owned();
        }
        assert_eq!(comparable(&restored), comparable(&before), "{} unloaded", case["names"]);
        let shells: &[&str] =
            if case["specs"].as_array().unwrap().len() > 1 { &["tcsh", "csh", "fish"] } else { &[] };
        for shell in shells {
            if let Some(other) = evaluated(&world, shell, &before, &arguments) {
                assert_eq!(other, after, "{shell}: {}", case["names"]);
            }
        }
    }
}

#[test]
fn what_is_activated_is_what_spack_activates() {
    let cases = cases(include_str!("data/activate.json"));
    let test = "what_is_activated_is_what_spack_activates";
    let Some(store) = store(test, "o3dn3esaezfdclf342q4laivi6uomws6") else { return };
    let world = World::new();
    for (number, case) in cases.iter().enumerate() {
        let environment = world.path(&format!("environment-{number}"));
        std::fs::create_dir_all(&environment).unwrap();
        std::fs::write(environment.join("spack.yaml"), case["manifest"].as_str().unwrap()).unwrap();
        std::fs::write(environment.join("spack.lock"), lockfile(&store, &case["roots"])).unwrap();
        let mut arguments = vec!["--store", text(&store), "env", "activate", "-d", text(&environment)];
        arguments.extend(case["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
        let before = variables(&case["before"], &[]);
        let after = evaluated(&world, "sh", &before, &arguments).unwrap();
        let mut expected = variables(&case["after"], &[("{store}", &store), ("{env}", &environment)]);
        // Spack looks for duplicates in what it has just unset, and sets it to nothing.
        expected.retain(|name, value| name != "GONE" || !value.is_empty());
        assert_eq!(comparable(&after), comparable(&expected), "{case}");
        assert_eq!(evaluated(&world, "sh", &after, &arguments).unwrap(), after, "{case} twice");

        let leave = ["--store", text(&store), "env", "deactivate"];
        let left = evaluated(&world, "sh", &after, &leave).unwrap();
        let mut expected = before.clone();
        // What is unset or removed cannot be brought back, and what is said twice is said once.
        let manifest = case["manifest"].as_str().unwrap();
        if manifest.contains("env_vars") {
            expected.remove("GONE");
            expected.insert("OTHERLIST".to_owned(), "/c".to_owned());
        }
        let mut left = left;
        if let Some(manuals) = left.get_mut("MANPATH") {
            *manuals = manuals.trim_end_matches(':').to_owned();
        }
        assert_eq!(left, expected, "{case} left");
        // Spack's own way out takes out as much of what strata put in.
        let spacks = variables(&case["left"], &[("{store}", &store), ("{env}", &environment)]);
        assert_eq!(spacks["PATH"], left["PATH"]);
    }
}

/// A lockfile with these roots, made of what the database has.
fn lockfile(store: &Path, roots: &Value) -> String {
    let database: Value =
        serde_json::from_str(&std::fs::read_to_string(store.join(".spack-db/index.json")).unwrap()).unwrap();
    let installs = database["database"]["installs"].as_object().unwrap();
    let of_name = |name: &Value| {
        let is_it = |record: &&Value| {
            record["spec"]["name"] == *name
                && record["installed"] == true
                && record["path"].as_str().is_some_and(|path| path.starts_with(text(store)))
        };
        installs.iter().find(|(_, record)| is_it(record)).unwrap().0.clone()
    };
    let roots: Vec<Value> =
        roots.as_array().unwrap().iter().map(|name| json!({"hash": of_name(name), "spec": name})).collect();
    let mut concrete = serde_json::Map::new();
    let mut todo: Vec<String> = roots.iter().map(|root| root["hash"].as_str().unwrap().to_owned()).collect();
    while let Some(hash) = todo.pop() {
        let mut node = installs[&hash]["spec"].clone();
        node["hash"] = json!(hash);
        let edges = node["dependencies"].as_array().cloned().unwrap_or_default();
        if concrete.insert(hash, node).is_none() {
            todo.extend(edges.iter().map(|edge| edge["hash"].as_str().unwrap().to_owned()));
        }
    }
    json!({"_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": roots, "concrete_specs": concrete})
    .to_string()
}

#[test]
fn spacks_own_code_leaves_what_strata_activated() {
    let test = "spacks_own_code_leaves_what_strata_activated";
    let Some(spack) = std::env::var_os("STRATA_SPACK") else {
        return golden::skipped(test, "STRATA_SPACK names no Spack");
    };
    let world = World::new();
    let environment = world.path("environment");
    std::fs::create_dir_all(&environment).unwrap();
    std::fs::write(environment.join("spack.yaml"), "spack:\n  env_vars:\n    prepend_path: {PATH: /mine}\n")
        .unwrap();
    let before = Variables::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let after = evaluated(&world, "sh", &before, &["env", "activate", "-p", text(&environment)]).unwrap();
    assert!(after["PATH"].contains("/mine"));
    let mut command = std::process::Command::new(spack);
    command.args(["env", "deactivate", "--sh"]).env_clear().envs(&after).env("HOME", world.path("home"));
    let output = command.output().unwrap();
    let code = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = variables_of("sh", &format!("{code}\nexec env -0"), &after);
    assert_eq!(left["PATH"], "/usr/bin:/bin");
    assert!(!left.contains_key("SPACK_ENV") && !left.contains_key("SPACK_ENV_VIEW"));
}
