//! The sample store works where it was built.

use std::process::Command;
use strata_testkit::sample_store::{SampleStore, Shape};

fn output(program: &std::path::Path) -> String {
    let output = Command::new(program).output().expect("runs");
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn it_runs_where_it_was_built() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let store = SampleStore::build(&scratch.path().join("store"), 128).expect("compiles");
    assert_eq!(store.root.as_os_str().len(), 128);
    let hello = &store.package("hello").prefix;
    assert_eq!(output(&hello.join("bin/hello")), "hello from a relocated library\n");
    let script = output(&hello.join("bin/hello-script"));
    assert!(script.starts_with("run by runner\n# where things are\n"), "{script}");
}

#[test]
fn many_packages_call_each_other() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let store = SampleStore::build_many(&scratch.path().join("store"), 0, 40).expect("compiles");
    assert_eq!(store.packages.len(), 40);
    let said = output(&store.package(SampleStore::MANY).prefix.join("bin/many"));
    let mut said: Vec<&str> = said.lines().collect();
    said.sort_unstable();
    let mut names: Vec<&str> = store.packages.iter().map(|package| &*package.name).collect();
    names.sort_unstable();
    assert_eq!(said, names);
}

#[test]
fn a_store_has_the_shape_that_was_asked_for() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let shape = Shape { packages: 3, files: 250, bytes: 1_000_003 };
    let store = SampleStore::build_shaped(&scratch.path().join("store"), 0, shape).expect("written");
    assert_eq!(store.packages.len(), 3);
    let (mut files, mut bytes, mut relocatable) = (0, 0, 0);
    for package in &store.packages {
        let directories = std::fs::read_dir(package.prefix.join("share")).expect("a directory");
        for directory in directories.flatten() {
            for file in std::fs::read_dir(directory.path()).expect("a directory").flatten() {
                let content = std::fs::read_to_string(file.path()).expect("text");
                relocatable += usize::from(content.contains(&package.prefix.display().to_string()));
                files += 1;
                bytes += content.len() as u64;
            }
        }
    }
    assert_eq!((files, bytes), (shape.files, shape.bytes));
    assert_eq!(relocatable, 15, "one in twenty of each package, the first included");
}
