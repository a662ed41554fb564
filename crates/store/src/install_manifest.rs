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

/// Writes the manifest of the tree at `files_at` into its `.spack` directory. The tree may still lie where it was
/// staged: the paths written are those below `final_prefix`, and a spec file that waits under its staged name is
/// listed under its final one. Modes, owners and contents must not change afterwards.
///
/// Reads every file of the tree once.
pub fn write_install_manifest(files_at: &Path, final_prefix: &Path) -> Result<(), ManifestError> {
    let failed = |path: &Path, source| ManifestError { path: path.into(), source };
    let metadata = files_at.join(METADATA_DIRECTORY);
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
    let manifest = Path::new(METADATA_DIRECTORY).join(MANIFEST_FILE);
    paths.retain(|path| path != &manifest && path.file_name() != Some(OsStr::new(TIMES_FILE)));
    paths.sort_unstable();
    paths.dedup();

    let mut json = String::from("{");
    let mut buffer = vec![0; 128 * 1024];
    for relative in &paths {
        let at = files_at.join(relative);
        let entry = entry(&at, &mut buffer).map_err(|source| failed(&at, source))?;
        if json.len() > 1 {
            json.push(',');
        }
        push_python_string(&mut json, final_path(final_prefix, relative).as_os_str());
        json.push(':');
        json.push_str(&entry);
    }
    json.push('}');

    let path = metadata.join(MANIFEST_FILE);
    let temporary = metadata.join(".install_manifest.json.tmp");
    Replacement { temporary: &temporary, mode: None, durability: Durability::Cached }
        .write(&path, json.as_bytes())
        .map_err(|source| failed(&path, source))
}

fn final_path(prefix: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() {
        prefix.into() // joining would leave a slash at its end
    } else if relative == Path::new(METADATA_DIRECTORY).join(STAGED_SPEC_FILE) {
        prefix.join(METADATA_DIRECTORY).join(SPEC_FILE)
    } else {
        prefix.join(relative)
    }
}

fn entry(path: &Path, buffer: &mut [u8]) -> io::Result<String> {
    let status = path.symlink_metadata()?;
    let is_file = status.is_file();
    let entry = Entry {
        mode: status.mode(),
        owner: status.uid(),
        group: status.gid(),
        hash: if is_file { Some(sha1_base32(path, buffer)?) } else { None },
        time: is_file.then(|| python_mtime(&status)),
        size: is_file.then_some(status.len()),
    };
    let mut json = serde_json::to_string(&entry)?;
    if status.is_symlink() {
        // Not serde's business: targets need not be UTF-8.
        json.pop();
        json.push_str(",\"dest\":");
        push_python_string(&mut json, std::fs::read_link(path)?.as_os_str());
        json.push('}');
    }
    Ok(json)
}

pub(crate) fn sha1_base32(path: &Path, buffer: &mut [u8]) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha1::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(BASE32.encode(&hasher.finalize())),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `os.stat(…).st_mtime`: CPython rounds twice, once per operation (`fill_time` in its `posixmodule.c`).
pub(crate) fn python_mtime(status: &Metadata) -> f64 {
    status.mtime() as f64 + 1e-9 * status.mtime_nsec() as f64
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
