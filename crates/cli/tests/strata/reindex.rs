//! `strata reindex`: the database comes back, and half prefixes do not come with it.

use crate::support::exit_code::{SOME_FAILED, USAGE};
use crate::support::{World, install, text, tree};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const TRY_AGAIN: i32 = 75;

fn index_file(root: &Path) -> PathBuf {
    root.join(".spack-db/index.json")
}

/// The records; with `times` replaced, which differ where they were lost.
pub(crate) fn records(root: &Path, times: bool) -> Value {
    let index: Value = serde_json::from_str(&fs::read_to_string(index_file(root)).unwrap()).unwrap();
    let mut records = index["database"]["installs"].clone();
    for record in records.as_object_mut().unwrap().values_mut() {
        if !times {
            record["installation_time"] = Value::Null;
        }
    }
    records.sort_all_objects();
    records
}

/// A store that was installed from a cache, with everything in it asked for.
fn installed(world: &World) -> PathBuf {
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    assert_eq!(install(world, &root, &cache, "hello").code, Some(0));
    world.ok(["--store", text(&root), "mark", "-ea"]);
    complete_specs(&[&root]);
    root
}

/// The spec files of the sample name the package alone; real ones have all that it depends on as well.
pub(crate) fn complete_specs(roots: &[&Path]) {
    let stores = roots.iter().map(|root| records(root, true).as_object().unwrap().clone());
    let records = Value::Object(stores.flatten().collect());
    for record in records.as_object().unwrap().values() {
        let file = Path::new(record["path"].as_str().unwrap()).join(".spack/spec.json");
        if !file.exists() {
            continue;
        }
        let mut nodes = vec![record["spec"].clone()];
        let mut next = 0;
        while let Some(node) = nodes.get(next) {
            for edge in node["dependencies"].as_array().cloned().unwrap_or_default() {
                let dependency = &records[edge["hash"].as_str().unwrap()]["spec"];
                if !nodes.contains(dependency) {
                    nodes.push(dependency.clone());
                }
            }
            next += 1;
        }
        let spec = serde_json::json!({"spec": {"_meta": {"version": 5}, "nodes": nodes}});
        fs::write(file, spec.to_string()).unwrap();
    }
}

fn prefix(world: &World, root: &Path, name: &str) -> PathBuf {
    world.ok(["--store", text(root), "location", "-i", name]).trim().into()
}

#[test]
fn what_is_installed_is_recorded_as_before() {
    let world = World::new();
    let root = installed(&world);
    world.ok(["--store", text(&root), "mark", "-i", "greet"]);
    let (before, files) = (records(&root, true), tree(&root));
    let said = world.ok(["--store", text(&root), "reindex", "-n"]);
    assert!(said.starts_with("would record 3 packages in "), "{said}");
    assert_eq!((records(&root, true), tree(&root)), (before.clone(), files));

    let old = fs::read(index_file(&root)).unwrap();
    let said = world.ok(["--store", text(&root), "reindex"]);
    assert!(said.contains("recorded 3 packages in ") && said.contains("index.json.bkp"), "{said}");
    // Paths of what is not installed are not for the database to know: Spack leaves them out, too.
    let without_missing = |mut records: Value| {
        for record in records.as_object_mut().unwrap().values_mut().filter(|r| r["installed"] == false) {
            record["path"] = Value::Null;
        }
        records
    };
    assert_eq!(without_missing(records(&root, true)), without_missing(before));
    assert_eq!(fs::read(root.join(".spack-db/index.json.bkp")).unwrap(), old);
}

#[test]
fn a_database_that_is_lost_or_damaged() {
    let world = World::new();
    let root = installed(&world);
    let without_externals = |mut records: Value| {
        for record in records.as_object_mut().unwrap().values_mut() {
            if record["spec"].get("external").is_some() {
                // That they were asked for was only in the database.
                record["explicit"] = Value::Null;
            }
        }
        records
    };
    let before = without_externals(records(&root, false));
    let good = fs::read_to_string(index_file(&root)).unwrap();
    for damaged in ["", "{", "{\"database\": {}}", &good[..good.len() / 2]] {
        fs::write(index_file(&root), damaged).unwrap();
        let ran = world.run(["--store", text(&root), "reindex"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("the old database cannot be read"), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(root.join(".spack-db/index.json.bkp")).unwrap(), damaged);
        assert_eq!(without_externals(records(&root, false)), before);
    }
    fs::remove_dir_all(root.join(".spack-db")).unwrap();
    let said = world.ok(["--store", text(&root), "reindex"]);
    assert!(said.contains("recorded 3 packages"), "{said}");
    assert_eq!(without_externals(records(&root, false)), before);
    // A newer Spack knows things that we would lose.
    fs::write(index_file(&root), good.replace("\"version\":\"8\"", "\"version\":\"99\"")).unwrap();
    let ran = world.run(["--store", text(&root), "reindex"]);
    ran.fails(crate::support::exit_code::CORRUPT, &["99"]);
    fs::create_dir(world.path("empty")).unwrap();
    for name in ["none", "empty"] {
        let ran = world.run(["--store", text(&world.path(name)), "reindex"]);
        ran.fails(USAGE, &["no Spack database"]);
        assert!(tree(&world.path(name)).is_empty());
    }
}

#[test]
fn half_prefixes_stay_out_and_are_named() {
    let world = World::new();
    let root = installed(&world);
    let (hello, greet, runner) =
        (prefix(&world, &root, "hello"), prefix(&world, &root, "greet"), prefix(&world, &root, "runner"));
    let whole = records(&root, false);
    // The very packages, unfinished in each of the ways there are; the database knows nothing.
    let manifest = hello.join(".spack/install_manifest.json");
    let kept = fs::read(&manifest).unwrap();
    let left_out = |word: &str| {
        fs::remove_file(index_file(&root)).unwrap();
        let ran = world.run(["--json", "--store", text(&root), "reindex"]);
        assert_eq!(ran.code, Some(SOME_FAILED), "{word}: {}", ran.stderr);
        let left_out = ran.json()["result"]["left_out"].clone();
        assert_eq!(left_out[0]["prefix"], text(&hello), "{word}");
        assert!(left_out[0]["reason"].as_str().unwrap().contains(word), "{left_out}");
        assert!(ran.stderr.contains("is left out") && ran.stderr.contains("hint:"), "{}", ran.stderr);
        assert_eq!(world.installed(&root), ["greet@1.0", "runner@0.3"], "{word}");
    };
    fs::remove_file(&manifest).unwrap();
    left_out("there is no .spack/install_manifest.json");
    fs::write(&manifest, &kept[..kept.len() / 2]).unwrap();
    left_out("cannot be read");
    fs::write(&manifest, &kept).unwrap();
    fs::rename(hello.join("bin"), hello.join("nib")).unwrap();
    left_out("its install manifest lists");
    fs::rename(hello.join("nib"), hello.join("bin")).unwrap();
    // As Spack leaves it when it is killed while it unpacks.
    let times = fs::metadata(&manifest).unwrap().modified().unwrap();
    let set = |time| fs::File::options().write(true).open(&manifest).unwrap().set_modified(time).unwrap();
    set(std::time::SystemTime::UNIX_EPOCH);
    let information = hello.join(".spack/binary_distribution");
    fs::rename(&information, hello.join("aside")).unwrap();
    left_out("installation from a cache was not finished");
    fs::rename(hello.join("aside"), &information).unwrap();
    set(times);
    let (spec, staged) = (hello.join(".spack/spec.json"), hello.join(".spack/spec.json.strata-staged"));
    fs::rename(&spec, &staged).unwrap();
    left_out("about to be put in place");
    fs::rename(&staged, &spec).unwrap();
    let json = fs::read_to_string(&spec).unwrap();
    for bad in ["{", "{\"spec\": {\"_meta\": {\"version\": 99}, \"nodes\": []}}"] {
        fs::write(&spec, bad).unwrap();
        left_out("cannot be used");
    }
    fs::write(&spec, json).unwrap();

    // Whole again; and what is foreign is not looked at.
    fs::create_dir_all(root.join("foreign/.spack")).unwrap();
    fs::write(root.join("foreign/file"), "").unwrap();
    std::os::unix::fs::symlink(&greet, root.join("link")).unwrap();
    fs::remove_file(index_file(&root)).unwrap();
    world.ok(["--store", text(&root), "reindex"]);
    let explicit = |records: &Value| -> Vec<bool> {
        let records = records.as_object().unwrap().values();
        records.filter(|r| r["spec"].get("external").is_none()).map(|r| r["explicit"] == true).collect()
    };
    assert_eq!(explicit(&records(&root, false)), explicit(&whole));

    // A second one of the same package, and one that the database has and the disk has not.
    let copy = runner.with_file_name("a-copy");
    let copied = std::process::Command::new("cp").arg("-a").args([&runner, &copy]).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(&greet).unwrap();
    let ran = world.run(["--store", text(&root), "reindex"]);
    ran.fails(SOME_FAILED, &[text(&copy), "the same package as", text(&runner), "greet@1.0", "is not there"]);
    assert_eq!(world.installed(&root), ["hello@2.1", "runner@0.3"]);
}

#[test]
fn nobody_may_be_installing() {
    use strata_store::{LockKind, LockSettings, Store, StoreRoot};
    let world = World::new();
    let root = installed(&world);
    let before = fs::read(index_file(&root)).unwrap();
    let store = Store::open(StoreRoot::open(&root).unwrap(), LockSettings::default()).unwrap();
    let hash = store.read().unwrap().records.keys().next().unwrap().clone();
    let lock = store.lock_prefix(&hash, LockKind::Read).unwrap();
    let ran = world.run(["--store", text(&root), "reindex"]);
    ran.fails(TRY_AGAIN, &["prefix_lock", "held by"]);
    assert_eq!(fs::read(index_file(&root)).unwrap(), before);
    drop(lock);
    world.ok(["--store", text(&root), "reindex"]);
}
