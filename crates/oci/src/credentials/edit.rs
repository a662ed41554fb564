//! Changing a credential file and nothing in it that is not ours: other keys, their order and the indentation stay.
//!
//! The file is replaced as a whole, so that nobody ever reads half of it, and is readable by its owner alone if it is
//! new. Neither Docker nor podman takes a lock, so between reading and replacing there is next to no time; that we
//! do keeps two of our own apart.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Serializer, Value};
use zeroize::Zeroizing;

use super::CredentialError;
use super::auth_file::{malformed, read_text};

/// As Docker indents.
const INDENTATION: &str = "\t";

/// How many symbolic links are followed to a file, as Linux does it.
const LINKS: usize = 40;

/// Has `change` change the JSON object that a file holds, and writes it if that differs. The file and its directory
/// are made if there are none.
pub(super) fn edit<T>(
    path: &Path,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<T, CredentialError>,
) -> Result<T, CredentialError> {
    let written = CredentialError::io(path, "written");
    let target = followed(path).map_err(&written)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let _lock = lock(directory);
    let text = read_text(path)?.unwrap_or_default();
    let before: Map<String, Value> = match text.as_str() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|error| malformed(path, &error))?,
    };
    let mut after = before.clone();
    let outcome = change(&mut after)?;
    if after != before {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(&written)?;
        replace(&target, directory, &printed(&after, &text).map_err(&written)?).map_err(&written)?;
    }
    Ok(outcome)
}

/// The object as JSON, in the manner of the text that it replaces.
fn printed(object: &Map<String, Value>, text: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let second_line = text.split_once('\n').map_or("", |(_, rest)| rest);
    let end = second_line.find(|c| c != ' ' && c != '\t').unwrap_or(0);
    let indentation = if end == 0 { INDENTATION } else { &second_line[..end] };
    let mut bytes = Zeroizing::new(Vec::new());
    let formatter = PrettyFormatter::with_indent(indentation.as_bytes());
    object.serialize(&mut Serializer::with_formatter(&mut *bytes, formatter))?;
    if text.is_empty() || text.ends_with('\n') {
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// The file itself, where `path` is a link to it: `config.json` often is one into a directory under version control.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            // A relative target is relative to the link's directory, and an absolute one replaces all of it.
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// A lock on the directory, where that is possible: a lock file would stay behind. Held until dropped.
fn lock(directory: &Path) -> Option<File> {
    let directory = File::open(directory).ok()?;
    directory.lock().ok()?;
    Some(directory)
}

fn replace(target: &Path, directory: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".credentials-").tempfile_in(directory)?;
    if let Ok(existing) = fs::metadata(target) {
        file.as_file().set_permissions(Permissions::from_mode(existing.permissions().mode() & 0o777))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn set(path: &Path, key: &str, value: &str) -> Result<(), CredentialError> {
        edit(path, |object| {
            object.insert(key.to_string(), value.into());
            Ok(())
        })
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/config.json");
        set(&path, "k", "v").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n\t\"k\": \"v\"\n}\n");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&directory.path().join("a")), 0o700);
        assert_eq!(mode(&directory.path().join("a/b")), 0o700);
    }

    #[test]
    fn what_is_not_ours_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        for (before, after) in [
            (
                "{\n  \"z\": 1,\n  \"a\": [1.50]\n}",
                "{\n  \"z\": 1,\n  \"a\": [\n    1.5\n  ],\n  \"k\": \"v\"\n}",
            ),
            ("{\n\t\"z\": {}\n}\n", "{\n\t\"z\": {},\n\t\"k\": \"v\"\n}\n"),
            ("{\n    \"k\": \"u\"\n}\n", "{\n    \"k\": \"v\"\n}\n"),
            ("{}", "{\n\t\"k\": \"v\"\n}"),
            (" \n", "{\n\t\"k\": \"v\"\n}\n"),
        ] {
            fs::write(&path, before).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
            set(&path, "k", "v").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
            assert_eq!(mode(&path), 0o640, "permissions are kept");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn links_are_followed_even_to_what_is_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let (link, target) =
            (directory.path().join("config.json"), directory.path().join("dotfiles/docker.json"));
        symlink("dotfiles/docker.json", &link).unwrap();
        for value in ["v", "w"] {
            set(&link, "k", value).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert!(fs::read_to_string(&target).unwrap().contains(value));
        }
        let circle = directory.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert!(set(&circle, "k", "v").unwrap_err().to_string().contains("symbolic links"));
    }

    #[test]
    fn a_file_that_does_not_change_is_not_written_and_a_malformed_one_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        edit(&path, |_| Ok(())).unwrap();
        assert!(!path.exists());
        fs::write(&path, "{ \"k\":\"v\" }").unwrap();
        set(&path, "k", "v").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{ \"k\":\"v\" }");
        for text in ["{\"k\":", "[\"hunter2\"]"] {
            fs::write(&path, text).unwrap();
            let error = set(&path, "k", "v").unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()) && !error.contains("hunter2"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::thread::scope(|scope| {
            for index in 0..8 {
                let path = &path;
                scope.spawn(move || set(path, &index.to_string(), "v").unwrap());
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Map<String, Value>>(&text).unwrap().len(), 8);
    }
}
