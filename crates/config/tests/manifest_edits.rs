//! Manifests as people write them, and each edit of each: what differs is what was asked for, line by line.
//!
//! `tests/manifests/*.yaml` are the manifests, `tests/manifests/edits.txt` has for each of them and each edit the lines that are
//! gone (`-`) and new (`+`). It is written anew with `STRATA_BLESS=1`, and read by people.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

mod corpus;

use corpus::{corpus, difference};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;

use strata_config::{ConfigError, Manifest, ViewSetting};

type Edit = fn(&Manifest) -> Result<(), ConfigError>;

/// Every edit, by the command that does it.
const EDITS: [(&str, Edit); 10] = [
    ("add zstd", |it| it.add_spec("zstd", None)),
    ("add 'py-foo @1: +x'", |it| it.add_spec("py-foo @1: +x", None)),
    ("remove zlib", |it| it.remove_spec(&["zlib"], None)),
    ("remove hdf5", |it| it.remove_spec(&["hdf5"], None)),
    ("remove --all", Manifest::clear_specs),
    ("add -l packages zstd", |it| it.add_spec("zstd", Some("packages"))),
    ("remove -l packages zlib", |it| it.remove_spec(&["zlib"], Some("packages"))),
    ("env view enable", |it| it.set_view(&ViewSetting::Default)),
    ("env view enable ./new", |it| it.set_view(&ViewSetting::Path("./new".to_owned()))),
    ("env view disable", |it| it.set_view(&ViewSetting::None)),
];

/// The manifest with `text`, in a directory of its own.
fn manifest(text: &str) -> (tempfile::TempDir, Manifest) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("spack.yaml"), text).unwrap();
    let manifest = Manifest::read(directory.path()).unwrap();
    (directory, manifest)
}

fn text(manifest: &Manifest) -> String {
    fs::read_to_string(manifest.path()).unwrap()
}

#[test]
fn every_edit_changes_what_it_should() {
    let mut report = String::new();
    for (name, before) in corpus("manifests") {
        for (command, edit) in EDITS {
            let (directory, manifest) = manifest(&before);
            let outcome = edit(&manifest);
            let after = text(&manifest);
            match outcome {
                Ok(()) => write!(report, "{name}: {command}\n{}", difference(&before, &after)).unwrap(),
                // Most of the files do not have it, which is said in one way.
                Err(ConfigError::NoSuchSpec { .. } | ConfigError::NoSuchList { .. }) => {
                    assert_eq!(before, after)
                }
                Err(error) => {
                    assert_eq!(before, after, "{name}: {command} failed and changed something");
                    let shown = error.to_string().replace(directory.path().to_str().unwrap(), "DIR");
                    writeln!(report, "{name}: {command}\n  {shown}").unwrap();
                }
            }
        }
    }
    corpus::compare(&report, "manifests/edits.txt");
}

/// Prints what Spack reads in each text; nothing for one that it cannot read.
const READ: &str = "import json, sys, spack.util.spack_yaml as y
def read(text):
    try:
        return y.load_config(text)
    except y.SpackYAMLError:
        return None
print(json.dumps([read(text) for text in json.load(open(sys.argv[1]))]))
";

/// What an edit is to do to what is below `spack`.
fn changed(command: &str, spack: &mut Value) {
    if spack.is_null() {
        *spack = json!({});
    }
    // The first definition that has no condition.
    fn packages(spack: &mut Value) -> &mut Value {
        let definitions = spack["definitions"].as_array_mut().unwrap();
        definitions
            .iter_mut()
            .filter(|it| it.get("when").is_none())
            .find_map(|it| it.get_mut("packages"))
            .unwrap()
    }
    let with = |list: Value, new: &str| {
        let mut items = list.as_array().cloned().unwrap_or_default();
        items.push(json!(new));
        json!(items)
    };
    let without = |list: Value, old: &str| {
        json!(list.as_array().unwrap().iter().filter(|it| **it != json!(old)).collect::<Vec<_>>())
    };
    match command {
        "add zstd" => spack["specs"] = with(spack["specs"].take(), "zstd"),
        "add 'py-foo @1: +x'" => spack["specs"] = with(spack["specs"].take(), "py-foo @1: +x"),
        "remove zlib" => spack["specs"] = without(spack["specs"].take(), "zlib"),
        "remove hdf5" => spack["specs"] = without(spack["specs"].take(), "hdf5"),
        "remove --all" if spack.get("specs").is_some_and(|specs| !specs.is_null()) => {
            spack["specs"] = json!([]);
        }
        "add -l packages zstd" => {
            let list = packages(spack);
            *list = with(list.take(), "zstd");
        }
        "remove -l packages zlib" => {
            let list = packages(spack);
            *list = without(list.take(), "zlib");
        }
        // What is to be of a view depends on what it is; only that nothing else changes is compared.
        _ => {}
    }
    if command.starts_with("env view") {
        spack.as_object_mut().unwrap().remove("view");
    }
}

#[test]
fn spack_reads_what_was_meant() {
    let mut cases = Vec::new();
    let mut texts = Vec::new();
    for (name, before) in corpus("manifests") {
        for (command, edit) in EDITS {
            let (_directory, manifest) = manifest(&before);
            if edit(&manifest).is_ok() {
                cases.push((name.clone(), command));
                texts.extend([before.clone(), text(&manifest)]);
            }
        }
    }
    assert!(cases.len() > 100);
    let Some(read) = corpus::spack("spack_reads_what_was_meant", READ, &texts) else { return };
    for ((name, command), pair) in cases.iter().zip(read.chunks(2)) {
        let [mut before, mut after] = [pair[0].clone(), pair[1].clone()];
        // Spack reads no tab outside of quotes.
        if name == "tabs_in_comments" {
            assert!(before.is_null() && after.is_null());
            continue;
        }
        changed(command, &mut before["spack"]);
        if command.starts_with("env view") {
            changed(command, &mut after["spack"]);
        }
        // Nothing at all below `spack` is as good as an empty mapping.
        if after["spack"].is_null() {
            after["spack"] = json!({});
        }
        assert_eq!(after, before, "{name}: {command}");
    }
}

#[test]
fn what_is_added_and_removed_leaves_no_trace() {
    for (name, before) in corpus("manifests") {
        for spec in ["zstd", "py-foo @1: +x", "a%gcc@12", "é", "it's \"x\" #1, {y}"] {
            let (_directory, manifest) = manifest(&before);
            manifest.add_spec(spec, None).unwrap();
            manifest.remove_spec(&[spec], None).unwrap();
            // Lists that are not there, or have nothing in them, are `[]` afterwards.
            if !["null_list", "no_specs", "empty_spack"].contains(&&*name) {
                assert_eq!(text(&manifest), before, "{name}: {spec}");
            }
        }
    }
}
