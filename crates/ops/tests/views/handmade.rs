//! A store of a few hand-made packages and the views that Spack made of it: `tests/data/views/make_handmade.py` has them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use strata_spec::{DagHash, Database};
use strata_testkit::golden;

/// How long the path of the directory with the store is, in bytes: copies of programs are padded to a length.
const LENGTH: usize = 60;

pub(crate) struct Handmade {
    _temporary: tempfile::TempDir,
    pub(crate) base: PathBuf,
    pub(crate) store: PathBuf,
    pub(crate) database: Database,
    /// As it was where Spack made the views.
    pub(crate) recorded_database: Database,
    pub(crate) cases: Vec<Case>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) manifest: String,
    pub(crate) roots: Vec<DagHash>,
    pub(crate) hash: String,
    pub(crate) entries: BTreeMap<String, Value>,
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

impl Handmade {
    /// The store, unpacked.
    pub(crate) fn new() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/views/handmade.json.zst");
        let data: Value = serde_json::from_str(&golden::text(&path)).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let mut base = temporary.path().join("b").into_os_string().into_string().unwrap();
        assert!(base.len() <= LENGTH, "the directory for temporary files has too long a name");
        base.extend(std::iter::repeat_n('-', LENGTH - base.len()));
        let base = PathBuf::from(base);
        let store = base.join("store");
        let here = |text: &str| text.replace("$STORE", store.to_str().unwrap());
        for row in data["files"].as_array().unwrap() {
            let path = store.join(text(row, "path"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if let Some(target) = row["target"].as_str() {
                symlink(here(target), &path).unwrap();
            } else {
                match row["content"].as_str() {
                    Some(content) => fs::write(&path, here(content)).unwrap(),
                    None => fs::create_dir_all(&path).unwrap(),
                }
                let mode = u32::from_str_radix(&text(row, "mode"), 8).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            }
        }
        let index = data["index"].to_string();
        let database = Database::parse(&here(&index)).unwrap();
        let recorded_database = Database::parse(&index.replace("$STORE", &text(&data, "store"))).unwrap();
        let case = |row: &Value| Case {
            name: text(row, "case"),
            manifest: text(row, "manifest"),
            roots: row["roots"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hash| DagHash::parse(hash.as_str().unwrap()).unwrap())
                .collect(),
            hash: text(row, "hash"),
            entries: row["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| (text(row, "path"), row.clone()))
                .collect(),
        };
        let cases = data["cases"].as_array().unwrap().iter().map(case).collect();
        Self { _temporary: temporary, base, store, database, recorded_database, cases }
    }

    /// What is in a directory, in the form of the recorded entries; `of` names the file in the store that is the same.
    pub(crate) fn entries(&self, tree: &Path) -> BTreeMap<String, Value> {
        let mut originals = BTreeMap::new();
        walk(&self.store, &mut |path, found| {
            if !found.is_dir() {
                originals.insert((found.dev(), found.ino()), path.to_owned());
            }
        });
        let short = |text: &str| {
            let text = text.replace(tree.to_str().unwrap(), "$TREE");
            text.replace(self.store.to_str().unwrap(), "$STORE")
        };
        let mut entries = BTreeMap::new();
        walk(tree, &mut |path, found| {
            let name = path.strip_prefix(tree).unwrap().to_str().unwrap().to_owned();
            let mut row = serde_json::json!({"path": name});
            if let Some(same) = originals.get(&(found.dev(), found.ino())) {
                row["of"] = short(same.to_str().unwrap()).into();
            } else if found.is_symlink() {
                row["target"] = short(fs::read_link(path).unwrap().to_str().unwrap()).into();
            } else {
                row["mode"] = format!("{:o}", found.mode() & 0o7777).into();
                if found.is_file() {
                    row["content"] = short(&fs::read_to_string(path).unwrap()).into();
                }
            }
            entries.insert(name, row);
        });
        entries
    }
}

/// Calls `visit` for everything below a directory.
pub(crate) fn walk(directory: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        visit(&path, &found);
        if found.is_dir() {
            walk(&path, visit);
        }
    }
}
