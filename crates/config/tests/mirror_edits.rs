//! Mirrors in files as people write them, and each edit of each: what differs is what was asked for, line by line.
//!
//! The files are the manifests of `tests/manifests` and those of `tests/mirrors`; `tests/mirrors/edits.txt` has the lines that
//! are gone (`-`) and new (`+`). It is written anew with `STRATA_BLESS=1`, and read by people.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

mod corpus;

use corpus::{corpus, difference};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use strata_config::{
    AccessChange, AccessPair, Asked, ConfigError, Configuration, Direction, EditedScope, IdSource,
    MirrorChange, Mirrors, NewMirror, Surroundings,
};
use tempfile::TempDir;

type Edit = fn(&Configuration) -> Result<EditedScope, ConfigError>;

fn set(configuration: &Configuration, change: &MirrorChange) -> Result<EditedScope, ConfigError> {
    configuration.change_mirror(None, "first", change)
}

fn url(url: &str) -> Option<String> {
    Some(url.to_owned())
}

/// Every edit, by the command that does it.
const EDITS: [(&str, Edit); 11] = [
    ("mirror add", |it| it.add_mirror(None, &NewMirror::new("new", "oci://host/new"))),
    ("mirror add --unsigned --oci-username joe --oci-password-variable PW", |it| {
        let id = IdSource::Text("joe".to_owned());
        let pair = AccessPair::Variables { id, secret_variable: "PW".to_owned() };
        let new = NewMirror::new("new", "oci://host/new");
        it.add_mirror(None, &NewMirror { access_pair: Some(pair), signed: Some(false), ..new })
    }),
    ("mirror set-url", |it| {
        set(it, &MirrorChange { url: url("oci://host/changed"), ..MirrorChange::default() })
    }),
    ("mirror set-url --push", |it| {
        let direction = Some(Direction::Push);
        set(it, &MirrorChange { url: url("oci://host/pushed"), direction, ..MirrorChange::default() })
    }),
    ("mirror set --autopush --unsigned", |it| {
        set(it, &MirrorChange { autopush: Some(true), signed: Some(false), ..MirrorChange::default() })
    }),
    ("mirror set --type binary", |it| {
        set(it, &MirrorChange { binary: Some(true), source: Some(false), ..MirrorChange::default() })
    }),
    ("mirror set --oci-username-variable U --oci-password-variable P", |it| {
        set(it, &MirrorChange { access: access(), ..MirrorChange::default() })
    }),
    ("mirror set --fetch --oci-username-variable U --oci-password-variable P", |it| {
        let direction = Some(Direction::Fetch);
        set(it, &MirrorChange { access: access(), direction, ..MirrorChange::default() })
    }),
    ("mirror rename first renamed", |it| it.rename_mirror(None, "first", "renamed")),
    ("mirror remove first", |it| Ok(it.remove_mirror(None, "first", false)?.remove(0))),
    ("mirror remove second", |it| Ok(it.remove_mirror(None, "second", false)?.remove(0))),
];

fn access() -> AccessChange {
    AccessChange {
        id: Some(IdSource::Variable("U".to_owned())),
        secret_variable: Some("P".to_owned()),
        secret: None,
    }
}

/// The configuration with an environment, or with a user scope, that is the directory.
fn configuration(directory: &Path, is_manifest: bool) -> Result<Configuration, ConfigError> {
    let mut surroundings = Surroundings::default();
    let user = if is_manifest { Path::new("/nowhere") } else { directory };
    let variables =
        [("SPACK_USER_CONFIG_PATH", user.to_str().unwrap()), ("SPACK_SYSTEM_CONFIG_PATH", "/nowhere")];
    surroundings.variables.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let environment = is_manifest.then(|| ("e".to_owned(), directory.to_owned()));
    Configuration::load(surroundings, &Asked { environment, ..Asked::default() })
}

/// A file with that text in a directory of its own, and the configuration that it is of.
fn placed(file: &str, text: &str) -> (TempDir, PathBuf, Result<Configuration, ConfigError>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file);
    fs::write(&path, text).unwrap();
    let configuration = configuration(directory.path(), file == "spack.yaml");
    (directory, path, configuration)
}

#[test]
fn every_edit_changes_what_it_should() {
    let mut report = String::new();
    for (folder, file) in [("mirrors", "mirrors.yaml"), ("manifests", "spack.yaml")] {
        for (name, before) in corpus(folder) {
            for (command, edit) in EDITS {
                let (directory, path, configuration) = placed(file, &before);
                let outcome = configuration.and_then(|configuration| edit(&configuration));
                let after = fs::read_to_string(&path).unwrap();
                match outcome {
                    Ok(edited) => {
                        assert_eq!(edited.changed, before != after, "{name}: {command}");
                        assert_eq!(edited.file, path);
                        write!(report, "{name}: {command}\n{}", difference(&before, &after)).unwrap();
                    }
                    // Most of the files do not have it, which is said in one way.
                    Err(ConfigError::NoSuchMirror { .. }) => assert_eq!(before, after),
                    Err(error) => {
                        assert_eq!(before, after, "{name}: {command} failed and changed something");
                        let shown = error.to_string().replace(directory.path().to_str().unwrap(), "DIR");
                        writeln!(report, "{name}: {command}\n  {shown}").unwrap();
                    }
                }
            }
        }
    }
    corpus::compare(&report, "mirrors/edits.txt");
}

/// Prints the mirrors that Spack reads in each text, by name.
const READ: &str = "import json, sys, spack.util.spack_yaml as y
from spack.mirrors.mirror import Mirror
def said(name, data):
    m = Mirror(data, name)
    return {'fetch': m.fetch_url, 'push': m.push_url, 'binary': m.binary, 'source': m.source, 'signed': m.signed,
        'autopush': m.autopush}
def mirrors(text):
    try:
        data = y.load_config(text) or {}
    except y.SpackYAMLError:
        return None
    data = data.get('spack', data) or {}
    return {str(name): said(str(name), it) for name, it in (data.get('mirrors') or {}).items()}
print(json.dumps([mirrors(text) for text in json.load(open(sys.argv[1]))]))
";

#[test]
fn spack_reads_the_mirrors_that_we_read() {
    let (mut cases, mut texts) = (Vec::new(), Vec::new());
    for (folder, file) in [("mirrors", "mirrors.yaml"), ("manifests", "spack.yaml")] {
        for (name, before) in corpus(folder) {
            for (command, edit) in EDITS {
                let (_directory, path, configuration) = placed(file, &before);
                let Ok(configuration) = configuration else { continue };
                if edit(&configuration).is_err() {
                    continue;
                }
                let scope = configuration.to_change(None).unwrap();
                let mirrors = Mirrors::of_scope(&configuration, scope).unwrap();
                let ours: serde_json::Map<String, Value> = mirrors
                    .iter()
                    .map(|mirror| {
                        let said = json!({
                            "fetch": mirror.fetch_url().ok(), "push": mirror.push_url().ok(),
                            "binary": mirror.binary, "source": mirror.source,
                            "signed": mirror.signed, "autopush": mirror.autopush,
                        });
                        (mirror.name.clone(), said)
                    })
                    .collect();
                cases.push((format!("{name}: {command}"), Value::Object(ours)));
                texts.push(fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(cases.len() > 60);
    let Some(read) = corpus::spack("spack_reads_the_mirrors_that_we_read", READ, &texts) else { return };
    for ((case, ours), theirs) in cases.iter().zip(&read) {
        // Spack reads no tab outside of quotes.
        if case.starts_with("tabs_in_comments") {
            assert!(theirs.is_null());
        } else {
            assert_eq!(ours, theirs, "{case}");
        }
    }
}

#[test]
fn what_is_added_and_removed_leaves_no_trace() {
    for (folder, file) in [("mirrors", "mirrors.yaml"), ("manifests", "spack.yaml")] {
        for (name, before) in corpus(folder) {
            let (_directory, path, configuration) = placed(file, &before);
            // Some of the files are not valid: Spack does not read them either.
            let Ok(configuration) = configuration else { continue };
            let scope = configuration.to_change(None).unwrap();
            let Ok(mirrors) = Mirrors::of_scope(&configuration, scope) else { continue };
            let there_were = mirrors.len();
            configuration.add_mirror(None, &NewMirror::new("new", "oci://host/new")).unwrap();
            configuration.remove_mirror(None, "new", false).unwrap();
            let after = fs::read_to_string(&path).unwrap();
            if there_were > 0 || before.contains("mirrors: {}") {
                assert_eq!(before, after, "{name}");
            } else {
                // There was no section, or one with nothing in it.
                assert_eq!(Mirrors::of_scope(&configuration, scope).unwrap().len(), 0, "{name}");
            }
        }
    }
}
