//! Where the golden data and the unpacked stores are, and how to read them.
//!
//! `STRATA_GOLDEN` names a directory of the layout that `golden/README.md` describes; without it the copy this
//! repository carries is used. `STRATA_STORES` lists the roots of unpacked install trees, separated by `:`, padded or
//! as `config:install_tree:root` names them. Tests go through whatever they find there and name nothing themselves.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Spack pads the root of an install tree with components of this name, the last one cut.
const PADDING: &str = "__spack_path_placeholder__";

/// The directory of golden data: `STRATA_GOLDEN`, or the repository's own copy.
pub fn dir() -> PathBuf {
    match std::env::var_os("STRATA_GOLDEN") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden"),
    }
}

/// The roots of the unpacked install trees that `STRATA_STORES` lists: the directories that hold `.spack-db`. Empty
/// when it is not set.
///
/// # Panics
/// If there is no database at or below a listed directory: whoever lists it wants it tested.
pub fn stores() -> Vec<PathBuf> {
    let Some(value) = std::env::var_os("STRATA_STORES") else { return Vec::new() };
    std::env::split_paths(&value)
        .filter(|path| !path.as_os_str().is_empty())
        .map(|path| store_root(&path).unwrap_or_else(|| panic!("no Spack database at {}", path.display())))
        .collect()
}

/// The directory that holds `.spack-db`: `directory`, or one below it that pads it.
/// `None` if neither is there.
pub fn store_root(directory: &Path) -> Option<PathBuf> {
    if directory.join(".spack-db").is_dir() {
        return Some(directory.to_owned());
    }
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let is_padding = |name: &str| PADDING.starts_with(name) || name.strip_suffix('_') == Some(PADDING);
    entries.filter(|e| e.file_name().to_str().is_some_and(is_padding)).find_map(|e| store_root(&e.path()))
}

/// The files of the golden directory `name` whose names contain `.json`, sorted; none if it is not there.
pub fn json_files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir().join(name)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".json")));
    files.sort();
    files
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
