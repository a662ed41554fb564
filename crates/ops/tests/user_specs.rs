//! What manifests want, compared with what Spack reads from them: `user_specs/expected.json`, which `expected.py` beside it
//! makes.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use strata_config::{Asked, Configuration, Surroundings};
use strata_ops::environment::Environment;

/// Manifests that Spack refuses, or does not understand, and that mean something here: a list that is nothing is an empty one,
/// a matrix may be in a row of another, and rows need no recipe.
const READ_BY_US_ONLY: [&str; 3] = ["matrix_in_row", "nested_without_names", "null_specs"];

/// Manifests that we refuse and Spack does not: an item that is nothing would be a spec that any package satisfies.
const READ_BY_SPACK_ONLY: [&str; 1] = ["null_item"];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/user_specs")
}

/// The specs of a manifest, each once, as an environment has them.
fn read(manifest: &Path) -> Result<Vec<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(manifest, directory.path().join("spack.yaml")).unwrap();
    let surroundings = Surroundings {
        home: directory.path().join("home"),
        platform: "linux".to_owned(),
        variables: [("SPACK_DISABLE_LOCAL_CONFIG".to_owned(), "1".to_owned())].into(),
        ..Surroundings::default()
    };
    let environment = Some(("test".to_owned(), directory.path().to_owned()));
    let asked = Asked { environment, ..Asked::default() };
    let specs = Configuration::load(surroundings, &asked)
        .map_err(strata_ops::Error::from)
        .and_then(|configuration| Environment::read("test", directory.path())?.user_specs(&configuration));
    specs.map(|specs| specs.iter().map(|spec| spec.canonical()).collect()).map_err(|error| error.to_string())
}

#[test]
fn manifests_want_what_spack_reads_from_them() {
    let expected = std::fs::read_to_string(data().join("expected.json")).unwrap();
    let expected: BTreeMap<String, Option<Vec<String>>> = serde_json::from_str(&expected).unwrap();
    assert!(expected.len() > 50);
    let mut differences = Vec::new();
    for (name, expected) in expected {
        let found = read(&data().join(format!("{name}.yaml")));
        let same = match (&found, expected) {
            (Ok(_), None) => READ_BY_US_ONLY.contains(&name.as_str()),
            (Err(_), Some(_)) => READ_BY_SPACK_ONLY.contains(&name.as_str()),
            (Err(message), None) => {
                // Every refusal says where.
                let position = message.split("spack.yaml:").nth(1).unwrap_or_default();
                position.starts_with(|c: char| c.is_ascii_digit())
            }
            (Ok(found), Some(expected)) => {
                let mut once: Vec<String> = Vec::new();
                expected.into_iter().for_each(|spec| {
                    if !once.contains(&spec) {
                        once.push(spec);
                    }
                });
                *found == once
            }
        };
        if !same {
            differences.push(format!("{name}: {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
