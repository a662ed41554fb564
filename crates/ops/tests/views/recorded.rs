//! Views that Spack made, as `tests/data/views/make.py` recorded them; and views of ours in the same form.

use super::handmade::walk;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use strata_spec::DagHash;
use strata_testkit::golden;

/// A view that Spack made.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) manifest: String,
    pub(crate) roots: Vec<DagHash>,
    pub(crate) store: PathBuf,
    pub(crate) hash: String,
    pub(crate) link: String,
    pub(crate) lines: Vec<Line>,
}

/// An entry of a view.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) target: Option<String>,
    pub(crate) of: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) sha256: Option<String>,
}

/// All that were recorded.
pub(crate) fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/views");
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".jsonl.zst"));
    files.sort();
    files.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let mut rows = golden::rows(path).into_iter();
    let head = rows.next().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    let roots = head["roots"].as_array().unwrap().iter();
    Case {
        name: path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned(),
        manifest: text(&head, "manifest").unwrap(),
        roots: roots.map(|hash| DagHash::parse(hash.as_str().unwrap()).unwrap()).collect(),
        store: text(&head, "store").unwrap().into(),
        hash: text(&head, "hash").unwrap(),
        link: text(&head, "link").unwrap(),
        lines: rows
            .map(|row| Line {
                path: text(&row, "path").unwrap(),
                target: text(&row, "target"),
                of: text(&row, "of"),
                mode: text(&row, "mode"),
                sha256: text(&row, "sha256"),
            })
            .collect(),
    }
}

/// Everything in the directory of a view's files; `hard` if other names of files in the store are told.
pub(crate) fn described(tree: &Path, store: &Path, hard: bool) -> Vec<Line> {
    let mut names = HashMap::new();
    if hard {
        walk(store, &mut |path, found| {
            if !found.is_dir() {
                names.entry((found.dev(), found.ino())).or_insert_with(|| path.to_owned());
            }
        });
    }
    let short = |bytes: &[u8]| replaced(&replaced(bytes, store, b"$STORE"), tree, b"$TREE");
    let text = |path: &Path| String::from_utf8(short(path.as_os_str().as_bytes())).unwrap();
    let mut lines = Vec::new();
    walk(tree, &mut |path, found| {
        let mut line =
            Line { path: path.strip_prefix(tree).unwrap().to_str().unwrap().to_owned(), ..Line::default() };
        if let Some(name) = names.get(&(found.dev(), found.ino())).filter(|_| !found.is_dir()) {
            line.of = Some(text(name));
        } else if found.is_symlink() {
            line.target = Some(text(&fs::read_link(path).unwrap()));
        } else {
            line.mode = Some(format!("{:o}", found.permissions().mode() & 0o7777));
            if found.is_file() {
                let digest = Sha256::digest(short(&fs::read(path).unwrap()));
                line.sha256 = Some(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        lines.push(line);
    });
    lines
}

fn replaced(bytes: &[u8], old: &Path, new: &[u8]) -> Vec<u8> {
    let old = old.as_os_str().as_bytes();
    let mut out = Vec::new();
    let mut done = 0;
    for at in memchr::memmem::find_iter(bytes, old) {
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(new);
        done = at + old.len();
    }
    out.extend_from_slice(&bytes[done..]);
    out
}
