//! The main job on a bare machine: compile a small store, push it, install it under another root, run it there.
//!
//! Needs Rust and a C compiler; no server, no Spack, no Python. Everything lies in a temporary directory.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use strata_testkit::sample_store::SampleStore;

/// How long the roots of sample packages are where they are built, as `config:install_tree:padded_length`.
const PADDED_LENGTH: usize = 128;

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let strata = step("build strata (release)", build)?;
    let scratch = tempfile::Builder::new().prefix("strata-demo-").tempdir()?;
    let built = scratch.path().join("built-here");
    let cache = format!("oci+file://{}", scratch.path().join("cache").display());
    let store = scratch.path().join("installed");

    let sample =
        step("compile a sample store: a library, an interpreter, a program, scripts, links", || {
            SampleStore::build(&built, PADDED_LENGTH).map_err(Into::into)
        })?;
    println!("    built under {}", sample.root.display());
    let strata = |arguments: &[&OsStr]| command(Command::new(&strata).arg("-q").args(arguments));
    step("push it to a local OCI layout", || {
        let arguments = ["buildcache", "push", "--update-index", &cache].map(OsStr::new);
        strata(&[&[OsStr::new("--store"), built.as_os_str()], &arguments[..]].concat())
    })?;
    // What runs below cannot come from here any more.
    step("remove the store it was built in", || std::fs::remove_dir_all(&built).map_err(Into::into))?;
    let in_store = |rest: &[&str]| {
        let rest: Vec<&OsStr> = rest.iter().map(OsStr::new).collect();
        strata(&[&[OsStr::new("--store"), store.as_os_str()], &rest[..]].concat())
    };
    step("install it under another root", || in_store(&["install", "--mirror", &cache, "hello"]))?;
    let prefix = step("ask where it is", || in_store(&["location", "-i", "hello"]))?;
    let prefix = Path::new(prefix.trim()).to_owned();
    step("run the program: its RPATH, and the path in its library, lead to the new root", || {
        command(&mut Command::new(prefix.join("bin/hello")))
    })?;
    step("run the script: its #! line leads through sbang to the interpreter", || {
        command(&mut Command::new(prefix.join("bin/hello-script")))
    })?;
    step("list what is installed", || in_store(&["find", "-l"]))?;
    Ok(())
}

/// Runs one step and says how long it took.
fn step<T>(what: &str, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    let started = Instant::now();
    let result = work().map_err(|error| format!("could not {what}: {error}"))?;
    println!("{:>7.2} s  {what}", started.elapsed().as_secs_f64());
    Ok(result)
}

/// Builds the command and says where it is. Cargo tells on standard error how far it is: it takes a while.
fn build() -> Result<std::path::PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let format = "--message-format=json-render-diagnostics";
    let mut command = Command::new(cargo);
    command.current_dir(&root).args(["build", "--release", "--package", "strata-cli", format]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo: {}", output.status).into());
    }
    // One JSON document a line; the one about the binary says where it is.
    let text = String::from_utf8(output.stdout)?;
    let executable = text.lines().filter_map(|line| line.split_once("\"executable\":\"")).next_back();
    let path = executable.and_then(|(_, rest)| rest.split_once('"')).map(|(path, _)| path.into());
    path.ok_or_else(|| "cargo did not say where the binary is".into())
}

/// Runs a command and shows what it prints.
fn command(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{stderr}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    for line in text.lines() {
        println!("    | {line}");
    }
    Ok(text)
}
