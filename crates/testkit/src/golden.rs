//! Where the golden data and the unpacked stores are, and how to read them.
//!
//! `STRATA_GOLDEN` names a directory of the layout that `golden/README.md` describes; without it the copy this
//! repository carries is used. `STRATA_STORES` lists the roots of unpacked install trees (the directories that
//! hold `.spack-db`), separated by `:`. Tests go through whatever they find there and name nothing themselves.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory of golden data: `STRATA_GOLDEN`, or the repository's own copy.
pub fn dir() -> PathBuf {
    match std::env::var_os("STRATA_GOLDEN") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden"),
    }
}

/// The roots of the unpacked install trees that `STRATA_STORES` lists; empty when it is not set.
pub fn stores() -> Vec<PathBuf> {
    std::env::var_os("STRATA_STORES")
        .map(|value| std::env::split_paths(&value).filter(|p| !p.as_os_str().is_empty()).collect())
        .unwrap_or_default()
}

/// The file `name` below the golden directory, if it is there.
pub fn file(name: &str) -> Option<PathBuf> {
    Some(dir().join(name)).filter(|path| path.exists())
}

/// The text of a golden file; `.zst` is decompressed.
///
/// # Panics
/// If the file cannot be read: golden data is part of the test.
pub fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let bytes = match path.extension() {
        Some(extension) if extension == "zst" => zstd::decode_all(&bytes[..]).expect("valid zstd"),
        _ => bytes,
    };
    String::from_utf8(bytes).expect("golden data is UTF-8")
}

/// The rows of a `.jsonl` or `.jsonl.zst` file.
///
/// # Panics
/// If a line is not JSON.
pub fn rows(path: &Path) -> Vec<serde_json::Value> {
    text(path)
        .lines()
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_str(l).expect("JSON line"))
        .collect()
}

/// Says, past the test harness's capture, that a test did not run and why. Return right after calling it.
pub fn skipped(test: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}
