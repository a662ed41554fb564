//! `.spack/install_manifest.json`: what `spack verify manifest` compares a prefix with.
//!
//! One entry per path, as `create_manifest_entry` in Spack's `verify.py` makes it: mode, owner and group for all,
//! `dest` for symlinks, and SHA-1, size and modification time for regular files. Times are compared for equality as
//! Python floats, so they are computed as CPython computes `st_mtime`; nothing of directories but mode and owner is
//! compared. The manifest itself is not listed, nor is `install_times.json`.

use crate::replace_file::{Durability, Replacement};
use crate::stage::{METADATA_DIRECTORY, SPEC_FILE, STAGED_SPEC_FILE};
use data_encoding::BASE32;
use serde::Serialize;
use sha1::{Digest, Sha1};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(crate) const MANIFEST_FILE: &str = "install_manifest.json";
/// Where it is written first. What a layer has of this name goes then.
const TEMPORARY_FILE: &str = ".install_manifest.json.tmp";
/// Spack writes it after the manifest. Its check passes over every path of this name, and then complains of those
/// that are listed.
pub(crate) const TIMES_FILE: &str = "install_times.json";

/// The manifest of a prefix could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the install manifest: {}: {source}", path.display())]
pub struct ManifestError {
    /// The file at fault.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// One path of the manifest; the field names are Spack's.
#[derive(Serialize)]
struct Entry {
    mode: u32,
    owner: u32,
    group: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// What is known of a path of a prefix.
#[derive(Clone, Debug)]
pub struct KnownPath<'k> {
    /// Relative to the prefix; empty for the prefix itself.
    pub path: &'k Path,
    /// As `st_mode`, with the bits of the file type.
    pub mode: u32,
    /// User id.
    pub owner: u32,
    /// Group id.
    pub group: u32,
    /// What it is.
    pub kind: KnownKind<'k>,
}

/// What a path of a prefix is.
#[derive(Clone, Debug)]
pub enum KnownKind<'k> {
    /// A regular file, under any of its names.
    File {
        /// SHA-1 of the contents.
        sha1: [u8; 20],
        /// Bytes in it.
        size: u64,
        /// Time of the last modification: seconds since 1970, and nanoseconds.
        modified: (i64, u32),
    },
    /// A symbolic link to this target.
    Symlink(&'k OsStr),
    /// Anything else.
    Other,
}

/// Writes the manifest of the tree at `files_at`, of which all is known, into its `.spack` directory. The tree may still
/// lie where it was staged: the paths written are those below `final_prefix`, and the spec file is listed under its final
/// name whatever it is called now. Modes, owners and contents must not change afterwards.
///
/// `known` is everything in the tree in the order of the paths, the prefix first. Nothing of it is looked at.
pub fn write_known_install_manifest<'k>(
    files_at: &Path,
    final_prefix: &Path,
    known: impl IntoIterator<Item = KnownPath<'k>>,
) -> Result<(), ManifestError> {
    let mut manifest = Manifest::new(final_prefix);
    for known in known {
        if is_listed(known.path) {
            manifest.add(&known);
        }
    }
    manifest.write(files_at)
}

/// As [`write_known_install_manifest`], for a tree of which nothing is known: walks it and reads every file once. A spec
/// file that waits under its staged name is listed under its final one.
pub fn write_install_manifest(files_at: &Path, final_prefix: &Path) -> Result<(), ManifestError> {
    let failed = |path: &Path, source| ManifestError { path: path.into(), source };
    let mut paths = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(relative) = directories.pop() {
        let directory = files_at.join(&relative);
        for entry in std::fs::read_dir(&directory).map_err(|e| failed(&directory, e))? {
            let entry = entry.map_err(|e| failed(&directory, e))?;
            let path = relative.join(entry.file_name());
            if entry.file_type().map_err(|e| failed(&entry.path(), e))?.is_dir() {
                directories.push(path.clone());
            }
            paths.push(path);
        }
        paths.push(relative);
    }
    paths.retain(|path| is_listed(path));
    paths.sort_unstable();
    paths.dedup();

    let mut manifest = Manifest::new(final_prefix);
    let mut buffer = vec![0; 128 * 1024];
    for relative in &paths {
        let at = files_at.join(relative);
        let failed = |source| failed(&at, source);
        let status = at.symlink_metadata().map_err(failed)?;
        let target = if status.is_symlink() { Some(std::fs::read_link(&at).map_err(failed)?) } else { None };
        let kind = match &target {
            Some(target) => KnownKind::Symlink(target.as_os_str()),
            None if status.is_file() => KnownKind::File {
                sha1: sha1(&at, &mut buffer).map_err(failed)?,
                size: status.len(),
                modified: (status.mtime(), status.mtime_nsec() as u32),
            },
            None => KnownKind::Other,
        };
        let (mode, owner, group) = (status.mode(), status.uid(), status.gid());
        manifest.add(&KnownPath { path: relative, mode, owner, group, kind });
    }
    manifest.write(files_at)
}

/// Whether the manifest tells of this path.
fn is_listed(path: &Path) -> bool {
    let own = [MANIFEST_FILE, TEMPORARY_FILE].map(|name| Path::new(METADATA_DIRECTORY).join(name));
    !own.iter().any(|own| path == own) && path.file_name() != Some(OsStr::new(TIMES_FILE))
}

/// A manifest in the making.
struct Manifest<'p> {
    final_prefix: &'p Path,
    staged_spec: PathBuf,
    json: String,
}

impl<'p> Manifest<'p> {
    fn new(final_prefix: &'p Path) -> Self {
        let staged_spec = Path::new(METADATA_DIRECTORY).join(STAGED_SPEC_FILE);
        Self { final_prefix, staged_spec, json: "{".to_owned() }
    }

    fn add(&mut self, known: &KnownPath<'_>) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        let path = self.final_path(known.path);
        push_python_string(&mut self.json, path.as_os_str());
        self.json.push(':');
        let mut entry = Entry {
            mode: known.mode,
            owner: known.owner,
            group: known.group,
            hash: None,
            time: None,
            size: None,
        };
        if let KnownKind::File { sha1, size, modified } = &known.kind {
            entry.hash = Some(BASE32.encode(sha1));
            entry.time = Some(python_time(modified.0, modified.1));
            entry.size = Some(*size);
        }
        // Numbers and ASCII cannot fail to be written.
        self.json.push_str(&serde_json::to_string(&entry).unwrap_or_default());
        if let KnownKind::Symlink(target) = &known.kind {
            // Not serde's business: targets need not be UTF-8.
            self.json.pop();
            self.json.push_str(",\"dest\":");
            push_python_string(&mut self.json, target);
            self.json.push('}');
        }
    }

    fn final_path(&self, relative: &Path) -> PathBuf {
        if relative.as_os_str().is_empty() {
            self.final_prefix.into() // joining would leave a slash at its end
        } else if relative == self.staged_spec {
            self.final_prefix.join(METADATA_DIRECTORY).join(SPEC_FILE)
        } else {
            self.final_prefix.join(relative)
        }
    }

    fn write(mut self, files_at: &Path) -> Result<(), ManifestError> {
        self.json.push('}');
        let metadata = files_at.join(METADATA_DIRECTORY);
        let path = metadata.join(MANIFEST_FILE);
        let temporary = metadata.join(TEMPORARY_FILE);
        Replacement { temporary: &temporary, mode: None, durability: Durability::Cached }
            .write(&path, self.json.as_bytes())
            .map_err(|source| ManifestError { path, source })
    }
}

pub(crate) fn sha1_base32(path: &Path, buffer: &mut [u8]) -> io::Result<String> {
    Ok(BASE32.encode(&sha1(path, buffer)?))
}

fn sha1(path: &Path, buffer: &mut [u8]) -> io::Result<[u8; 20]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha1::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `os.stat(…).st_mtime`.
pub(crate) fn python_mtime(status: &Metadata) -> f64 {
    python_time(status.mtime(), status.mtime_nsec() as u32)
}

/// CPython rounds twice, once per operation (`fill_time` in its `posixmodule.c`).
fn python_time(seconds: i64, nanoseconds: u32) -> f64 {
    seconds as f64 + 1e-9 * f64::from(nanoseconds)
}

/// Appends `text` as Python's `json.dumps` writes a file name: ASCII alone, and bytes that are not UTF-8 as the lone
/// surrogates of its `surrogateescape` (which no Rust string can hold).
fn push_python_string(json: &mut String, text: &OsStr) {
    json.push('"');
    for chunk in text.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => json.push_str("\\\""),
                '\\' => json.push_str("\\\\"),
                ' '..='~' => json.push(character),
                _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_escape(json, *unit)),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_escape(json, 0xdc00 + u16::from(*byte)));
    }
    json.push('"');
}

fn push_escape(json: &mut String, unit: u16) {
    // Writing to a string cannot fail.
    let _ = write!(json, "\\u{unit:04x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Python makes of the JSON again: UTF-16 units to code points, lone low surrogates to the bytes they hide.
    fn file_name_of(json: &str) -> Vec<u8> {
        let value = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        let mut units = Vec::new();
        let mut rest = value.chars();
        while let Some(character) = rest.next() {
            match (character, rest.clone().next()) {
                ('\\', Some('u')) => {
                    let digits: String = rest.by_ref().skip(1).take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap());
                }
                ('\\', Some(escaped)) => {
                    rest.next();
                    units.push(escaped as u16);
                }
                (plain, _) => units.push(plain as u16),
            }
        }
        let mut bytes = Vec::new();
        for decoded in char::decode_utf16(units) {
            match decoded {
                Ok(character) => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
                Err(lone) => bytes.push((lone.unpaired_surrogate() - 0xdc00) as u8),
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn any_file_name_survives(name in prop::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,20}") {
            for name in [&name[..], text.as_bytes()] {
                let mut json = String::new();
                push_python_string(&mut json, OsStr::from_bytes(name));
                prop_assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert_eq!(file_name_of(&json), name);
            }
        }
    }
}
