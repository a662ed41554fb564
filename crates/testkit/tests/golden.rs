//! Where tests look for stores.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use strata_testkit::golden;

/// Prints what a child process of this test, with an environment of its own, makes of `STRATA_STORES`.
#[test]
#[ignore = "run by the test below"]
fn print_stores() {
    for store in golden::stores() {
        println!("store {}", store.display());
    }
}

#[test]
fn stores_are_found_padded_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let placeholder = "__spack_path_placeholder__";
    let padded = dir.path().join(format!("padded/{placeholder}/{placeholder}/__spack_"));
    let plain = dir.path().join("plain");
    for root in [&padded, &plain] {
        std::fs::create_dir_all(root.join(".spack-db")).unwrap();
    }
    let stores = |listed: &[&Path]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "print_stores", "--ignored", "--nocapture"]);
        command.env("STRATA_STORES", std::env::join_paths(listed).unwrap());
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<String> =
            text.lines().filter_map(|line| Some(line.split_once("store ")?.1.to_owned())).collect();
        (output.status.success(), found)
    };
    let expected = [&padded, &plain].map(|root| root.display().to_string()).to_vec();
    assert_eq!(stores(&[&dir.path().join("padded"), &plain]), (true, expected.clone()));
    assert_eq!(stores(&[&padded, &plain]), (true, expected));
    assert!(!stores(&[&dir.path().join("absent")]).0, "a store that is listed and not there is no skip");
}
