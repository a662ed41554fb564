//! Files of a prefix against its `.spack/install_manifest.json`, as `spack verify manifest` compares them (`verify.py`).
//!
//! One thing is stricter than there: of a file whose mode is wrong, size, time and contents are compared all the same.

use crate::install_manifest::{MANIFEST_FILE, TIMES_FILE, python_mtime, sha1_base32};
use crate::stage::METADATA_DIRECTORY;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A path that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which, absolute.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// What differs, in Spack's words: `added`, `deleted`, `owner`, `group`, `mode`, `link`, `size`, `mtime`, `hash`, `manifest
    /// missing`, `manifest corrupted`; and in ours: `unreadable`, `type`, `manifest of another prefix`.
    pub errors: Vec<&'static str>,
}

impl Difference {
    /// One path and one thing.
    pub fn new(path: impl Into<PathBuf>, error: &'static str) -> Self {
        Self { path: path.into(), errors: vec![error] }
    }
}

fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// What a manifest says of one path. All of it is absent from what was not there when the manifest was written.
#[derive(Debug, Deserialize)]
struct Expected {
    mode: Option<u32>,
    owner: Option<u32>,
    group: Option<u32>,
    hash: Option<String>,
    time: Option<f64>,
    size: Option<u64>,
    dest: Option<PythonText>,
}

/// A manifest that was read.
#[derive(Debug)]
pub(crate) struct Manifest {
    entries: BTreeMap<PythonText, Expected>,
}

/// Why there is no manifest to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoManifest {
    Missing,
    Corrupt,
}

impl Manifest {
    /// The manifest of the package in `prefix`.
    pub(crate) fn read(prefix: &Path) -> Result<Self, NoManifest> {
        let text = std::fs::read(manifest_path(prefix)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NoManifest::Missing,
            _ => NoManifest::Corrupt,
        })?;
        let entries = serde_json::from_slice(&text).map_err(|_| NoManifest::Corrupt)?;
        Ok(Self { entries })
    }

    /// The prefix that its paths are below: the shortest of them, since it lists the prefix itself.
    pub(crate) fn prefix(&self) -> Option<&Path> {
        self.entries.keys().map(PythonText::path).min_by_key(|path| path.as_os_str().len())
    }

    /// The paths that it lists, relative to the prefix that it is of.
    pub(crate) fn relative_paths(&self) -> impl Iterator<Item = &Path> {
        let prefix = self.prefix().unwrap_or(Path::new("/"));
        self.entries.keys().filter_map(move |path| path.path().strip_prefix(prefix).ok())
    }
}

/// `.spack/install_manifest.json` of a prefix.
pub(crate) fn manifest_path(prefix: &Path) -> PathBuf {
    prefix.join(METADATA_DIRECTORY).join(MANIFEST_FILE)
}

/// Everything in which the files below `prefix` differ from its manifest, by path. Reads every file.
pub fn verify_manifest(prefix: &Path) -> Vec<Difference> {
    let mut manifest = match Manifest::read(prefix) {
        Ok(manifest) => manifest,
        Err(NoManifest::Missing) => return vec![Difference::new(prefix, "manifest missing")],
        Err(NoManifest::Corrupt) => return vec![Difference::new(prefix, "manifest corrupted")],
    };
    if !manifest.entries.keys().any(|path| path.path().starts_with(prefix)) {
        return vec![Difference::new(prefix, "manifest of another prefix")];
    }
    let mut differences = Vec::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut check = |path: &Path| {
        let expected = manifest.entries.remove(&PythonText(path.as_os_str().to_owned()));
        let errors = compare(path, expected.filter(|expected| expected.mode.is_some()), &mut buffer);
        if !errors.is_empty() {
            differences.push(Difference { path: path.to_owned(), errors });
        }
    };
    let own = manifest_path(prefix);
    let mut unreadable = Vec::new();
    let mut directories = vec![prefix.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            unreadable.push(Difference::new(directory, "unreadable"));
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path.clone());
            }
            if path != own && path.file_name() != Some(OsStr::new(TIMES_FILE)) {
                check(&path);
            }
        }
    }
    check(prefix);
    let deleted = manifest.entries.into_keys().map(|path| Difference::new(path.0, "deleted"));
    differences.extend(unreadable);
    differences.extend(deleted);
    differences.sort_by(|a, b| a.path.cmp(&b.path));
    differences
}

fn compare(path: &Path, expected: Option<Expected>, buffer: &mut [u8]) -> Vec<&'static str> {
    let Some(expected) = expected else { return vec!["added"] };
    let Ok(status) = path.symlink_metadata() else { return vec!["unreadable"] };
    let mut errors = Vec::new();
    let mut differ = |differs: bool, what| {
        if differs {
            errors.push(what);
        }
    };
    differ(Some(status.uid()) != expected.owner, "owner");
    differ(Some(status.gid()) != expected.group, "group");
    // Old manifests have the mode of what a link points to.
    differ(!status.is_symlink() && Some(status.mode()) != expected.mode, "mode");
    if status.is_symlink() {
        let target = std::fs::read_link(path).ok().map(|target| PythonText(target.into_os_string()));
        differ(target != expected.dest, "link");
    } else if status.is_file() && expected.size.is_some() {
        differ(Some(status.len()) != expected.size, "size");
        differ(Some(python_mtime(&status)) != expected.time, "mtime");
        match sha1_base32(path, buffer) {
            Ok(hash) => differ(Some(hash) != expected.hash, "hash"),
            Err(_) => differ(true, "unreadable"),
        }
    }
    errors
}

/// A file name as Python's JSON has it: bytes that are not UTF-8 are lone surrogates there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PythonText(OsString);

impl PythonText {
    fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl<'de> Deserialize<'de> for PythonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = PythonText;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a file name")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<PythonText, E> {
                Ok(PythonText(OsString::from_vec(unescaped(bytes))))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PythonText, E> {
                self.visit_bytes(text.as_bytes())
            }
        }
        // Not as a string, which would refuse lone surrogates: as bytes they come out encoded one by one.
        deserializer.deserialize_bytes(Text)
    }
}

/// U+DC80 to U+DCFF, each encoded as if it were a character, are the bytes 0x80 to 0xff (`surrogateescape`).
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = match rest {
            [0xed, middle @ (0xb2 | 0xb3), last, after @ ..] => {
                plain.push((middle & 0x03) << 6 | (last & 0x3f));
                after
            }
            _ => {
                plain.push(first);
                after
            }
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_install_manifest;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn errors(prefix: &Path) -> Vec<(String, Vec<&'static str>)> {
        let found = verify_manifest(prefix).into_iter();
        let name = |path: &Path| path.strip_prefix(prefix).unwrap().to_string_lossy().into_owned();
        found.map(|difference| (name(&difference.path), difference.errors)).collect()
    }

    #[test]
    fn what_was_written_is_found_whole_and_every_change_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("na\u{ef}ve \"prefix\"");
        std::fs::create_dir_all(prefix.join(".spack")).unwrap();
        let odd = prefix.join(OsStr::from_bytes(b"share-\xff\xed\xb2\x80-\xf0\x9f\x8c\x8d\n"));
        for path in [&odd, &prefix.join("a"), &prefix.join("b"), &prefix.join("c"), &prefix.join("d")] {
            std::fs::write(path, "content").unwrap();
        }
        symlink(OsStr::from_bytes(b"\xfe"), prefix.join("link")).unwrap();
        write_install_manifest(&prefix, &prefix).unwrap();
        assert_eq!(errors(&prefix), []);

        let times = std::fs::metadata(prefix.join("a")).unwrap().modified().unwrap();
        std::fs::write(prefix.join("a"), "CONTENT").unwrap();
        std::fs::File::options().write(true).open(prefix.join("a")).unwrap().set_modified(times).unwrap();
        std::fs::set_permissions(prefix.join("b"), std::fs::Permissions::from_mode(0o4755)).unwrap();
        std::fs::remove_file(prefix.join("c")).unwrap();
        std::fs::remove_file(prefix.join("d")).unwrap();
        std::fs::create_dir(prefix.join("d")).unwrap();
        std::fs::remove_file(prefix.join("link")).unwrap();
        symlink("elsewhere", prefix.join("link")).unwrap();
        std::fs::write(prefix.join("new"), "").unwrap();
        std::fs::write(prefix.join(".spack/install_times.json"), "").unwrap();
        let expected = [
            ("a", vec!["hash"]),
            ("b", vec!["mode"]),
            ("c", vec!["deleted"]),
            ("d", vec!["mode"]),
            ("link", vec!["link"]),
            ("new", vec!["added"]),
        ];
        let expected = expected.map(|(path, errors)| (path.to_owned(), errors));
        assert_eq!(errors(&prefix), expected);
        // Who changes the mode as well does not hide what else was changed.
        std::fs::set_permissions(prefix.join("a"), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(errors(&prefix)[0].1, ["mode", "hash"]);

        std::fs::write(manifest_path(&prefix), "{").unwrap();
        assert_eq!(errors(&prefix), [(String::new(), vec!["manifest corrupted"])]);
        std::fs::remove_file(manifest_path(&prefix)).unwrap();
        assert_eq!(errors(&prefix), [(String::new(), vec!["manifest missing"])]);
        write_install_manifest(&prefix, Path::new("/elsewhere")).unwrap();
        assert_eq!(errors(&prefix), [(String::new(), vec!["manifest of another prefix"])]);
        assert_eq!(Manifest::read(&prefix).unwrap().prefix(), Some(Path::new("/elsewhere")));
    }
}
