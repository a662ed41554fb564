//! Files that edits are tried on, and what of them is different afterwards.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The files of a folder: names and texts.
pub(crate) fn corpus(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(tests().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() >= 4);
    files
}

/// The lines that are gone and new: what is in the longest common subsequence stays.
pub(crate) fn difference(before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] =
                if a == b { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let shown = |line: &str| line.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
    let (mut i, mut j, mut lines) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            writeln!(lines, "  {}-{}", i + 1, shown(old[i])).unwrap();
            i += 1;
        } else {
            writeln!(lines, "  {}+{}", j + 1, shown(new[j])).unwrap();
            j += 1;
        }
    }
    lines
}

/// What Spack has of each text, by a program that it runs; none if there is no Spack to ask (`STRATA_SPACK`). The program gets the
/// texts as a list in JSON, in the file that its first argument names, and prints another.
pub(crate) fn spack(test: &str, program: &str, texts: &[String]) -> Option<Vec<Value>> {
    let Some(spack) = std::env::var_os("STRATA_SPACK") else {
        eprintln!("SKIPPED {test}: STRATA_SPACK names no Spack to ask");
        return None;
    };
    let directory = tempfile::tempdir().unwrap();
    let (script, input) = (directory.path().join("ask.py"), directory.path().join("texts.json"));
    fs::write(&script, program).unwrap();
    fs::write(&input, serde_json::to_vec(texts).unwrap()).unwrap();
    let output = Command::new(spack).arg("python").args([&script, &input]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said.len(), texts.len());
    Some(said)
}

/// Compares a report with the one that people have read.
pub(crate) fn compare(report: &str, file: &str) {
    let expected = tests().join(file);
    if std::env::var_os("STRATA_BLESS").is_some() {
        fs::write(&expected, report).unwrap();
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    assert!(report == expected, "{file} differs: see `git diff` after STRATA_BLESS=1");
}
