//! `strata find`: every spec of the language, asked of a store's database alone.

use crate::support::{World, exit_code, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use strata_spec::Database;
use strata_testkit::golden;

/// A store that is nothing but a database: the packages that Spack pushed, and the externals they need.
fn store_of_pushed_packages(world: &World, test: &str) -> Option<PathBuf> {
    let Some(index) = golden::file("push/index.json") else {
        golden::skipped(test, "no push/index.json in the golden data");
        return None;
    };
    let root = world.path("store");
    let mut database = Database::parse(&golden::text(&index)).unwrap();
    for record in database.records.values_mut() {
        record.installed = record.in_buildcache || record.node.is_external();
        record.in_buildcache = false;
        let ours = root.join(format!("{}-{}", record.node.name, record.node.hash));
        let external = record.node.external.as_ref().and_then(|external| external.path.clone());
        record.path = Some(external.unwrap_or_else(|| text(&ours).to_owned()));
    }
    let directory = root.join(".spack-db");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("index.json"), database.to_store_json()).unwrap();
    Some(root)
}

/// Asks every row of a table, and says which answers differ.
fn replay(world: &World, store: &Path, table: &str) {
    let rows = golden::rows(&golden::file(table).unwrap());
    let mut wrong = Vec::new();
    for row in &rows {
        let spec = row["spec"].as_str().unwrap();
        // After `--`: a spec can begin with what marks an option.
        let ran = world.run(["--json", "--store", text(store), "find", "--", spec]);
        let expected: Option<BTreeSet<&str>> = row["satisfied_by"]
            .as_array()
            .map(|hashes| hashes.iter().map(|hash| hash.as_str().unwrap()).collect());
        let answer = ran.json();
        let found: BTreeSet<&str> = answer["result"]["specs"]
            .as_array()
            .map(|specs| specs.iter().map(|spec| spec["hash"].as_str().unwrap()).collect())
            .unwrap_or_default();
        let right = match &expected {
            None => ran.code == Some(exit_code::USAGE),
            Some(hashes) if hashes.is_empty() => ran.code == Some(exit_code::NOT_FOUND),
            Some(hashes) => ran.code == Some(0) && found == *hashes,
        };
        if !right {
            wrong.push(format!("{spec}: expected {expected:?}, exit code {:?} with {found:?}", ran.code));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(!rows.is_empty());
}

#[test]
fn a_database_of_the_pushed_packages_answers_as_spack_does() {
    const TEST: &str = "a_database_of_the_pushed_packages_answers_as_spack_does";
    let world = World::new();
    let Some(store) = store_of_pushed_packages(&world, TEST) else { return };
    replay(&world, &store, "spec/satisfies.jsonl");
}

#[test]
fn stores_that_spack_built_answer_as_spack_does() {
    const TEST: &str = "stores_that_spack_built_answer_as_spack_does";
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped(TEST, "STRATA_STORES is not set");
    }
    for store in stores {
        replay(&World::new(), &store, "spec/satisfies.jsonl");
    }
}

#[test]
fn a_large_index_as_a_database_answers_as_spack_does() {
    const TEST: &str = "a_large_index_as_a_database_answers_as_spack_does";
    let Some(index) = golden::file("spec/index-750.json.zst") else {
        return golden::skipped(TEST, "no spec/index-750.json.zst in the golden data");
    };
    let world = World::new();
    let mut database = Database::parse(&golden::text(&index)).unwrap();
    for record in database.records.values_mut() {
        record.installed = true;
    }
    let directory = world.path("store/.spack-db");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("index.json"), database.to_store_json()).unwrap();
    replay(&world, &world.path("store"), "spec/satisfies-index-750.jsonl");
}

/// What `find` prints of a store that has `greet`, `hello` and `runner`.
fn find(world: &World, store: &Path, arguments: &[&str]) -> String {
    world.ok(["--store", text(store), "find"].iter().chain(arguments))
}

#[test]
fn packages_are_shown_as_it_is_asked_for() {
    let world = World::new();
    let store = world.sample_store();
    let hello = store.package("hello");
    let find = |arguments: &[&str]| find(&world, &store.unpadded_root, arguments);
    assert_eq!(find(&["hello"]), "hello@2.1\n");
    assert_eq!(find(&["-l", "hello"]), format!("{} hello@2.1\n", &hello.hash[..7]));
    assert_eq!(find(&["-L", "hello"]), format!("{} hello@2.1\n", hello.hash));
    let prefix = world.ok(["--store", text(&store.unpadded_root), "location", "hello"]);
    assert_eq!(find(&["-p", "hello"]), format!("hello@2.1  {prefix}"));
    assert_eq!(find(&["-v", "hello"]), "hello@2.1 build_system=generic\n");
    assert_eq!(find(&["--variants", "hello"]), "hello@2.1 build_system=generic\n");
    assert_eq!(
        find(&["--format", "{name}-{version}{/hash:7}\\{", "hello"]),
        format!("hello-2.1/{}{{\n", &hello.hash[..7])
    );
    let tree = find(&["-d", "hello"]);
    assert!(tree.starts_with("hello@2.1\n    "), "{tree}");
    assert!(tree.contains("\n    greet@1.0\n") && tree.ends_with("\n\n"), "{tree}");
    assert!(find(&["-X"]).lines().all(|line| line != "hello@2.1"));
    assert_eq!(find(&["-x", "hello", "nothing"]), "hello@2.1\n", "what is there is shown");
}

#[test]
fn json_says_more() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let ran = world.run(["--json", "--store", root, "find", "-d", "--format", "{name}", "hello"]);
    let hello = &ran.json()["result"]["specs"][0];
    assert_eq!((&hello["formatted"], &hello["external"]), (&Value::from("hello"), &Value::from(false)));
    let edges = hello["dependencies"].as_array().unwrap();
    assert!(
        edges.iter().any(|edge| edge["name"] == "greet" && edge["types"] == json!(["build", "link"])),
        "{edges:?}"
    );
}

#[test]
fn what_cannot_be_answered_says_why() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let find = |arguments: &[&str]| world.run(["--store", root, "find"].iter().chain(arguments));
    find(&["nothing", "hello@9"]).fails(exit_code::NOT_FOUND, &["`nothing`, `hello@9`"]);
    find(&["-X", "hello"]).fails(exit_code::NOT_FOUND, &["hello"]);
    find(&["hello@@"]).fails(exit_code::USAGE, &["hello@@"]);
    for (format, word) in [
        ("{name", "`{` without `}`"),
        ("name}", "`}` without `{`"),
        ("{nonsense}", "no attribute `nonsense`"),
        ("{variants.nonsense}", "no variant `nonsense`"),
        ("{^nonsense.name}", "no dependency `nonsense`"),
        ("{@name}", "versions only"),
        ("${NAME}", "`${NAME}`"),
    ] {
        find(&["--format", format, "hello"]).fails(exit_code::USAGE, &[format, word]);
    }
}
