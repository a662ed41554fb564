//! Telling an image layout from other directories, and making one.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::Deserialize;

use super::sync_directory;
use crate::{Error, ImageIndex};

/// The file that makes a directory an image layout.
const MARKER: &str = "oci-layout";
/// What is in it. The version is that of the layout, which no revision of the specification has changed.
const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists the tags.
pub(super) const INDEX: &str = "index.json";
/// The directory of our own beside what the specification has.
pub(super) const OURS: &str = ".strata";

/// What is in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It does not exist.
    Absent,
    /// It is empty, or someone was killed while making a layout there.
    Empty,
    /// An image layout.
    Layout,
}

#[derive(Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// Looks what is in `directory`.
///
/// # Errors
/// [`Error::NotALayout`] if it is something that must not become a layout, or a layout of an unknown version.
pub(super) fn examine(directory: &Path) -> Result<State, Error> {
    let not_a_layout = |reason: String| Error::NotALayout { directory: directory.to_path_buf(), reason };
    match fs::read(directory.join(MARKER)) {
        Ok(bytes) => {
            let marker: Marker = serde_json::from_slice(&bytes)
                .map_err(|error| not_a_layout(format!("its {MARKER} is malformed: {error}")))?;
            if marker.version.split('.').next() != Some("1") {
                return Err(not_a_layout(format!("layout version {:?} is not known", marker.version)));
            }
            if !directory.join(INDEX).is_file() {
                return Err(not_a_layout(format!("it has no {INDEX}")));
            }
            return Ok(State::Layout);
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(not_a_layout("it is not a directory".to_string()));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Error::io("read", &directory.join(MARKER))(error));
        }
        Err(_) => {}
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Absent),
        Err(error) => return Err(Error::io("read", directory)(error)),
    };
    let mut ours = false;
    let mut foreign = None;
    for entry in entries {
        let name = entry.map_err(Error::io("read", directory))?.file_name();
        if name == OURS {
            ours = true;
        } else {
            foreign.get_or_insert(name);
        }
    }
    match foreign {
        // The marker is written last: without it, what lies beside our own directory was not finished.
        Some(name) if !ours => {
            Err(not_a_layout(format!("it holds {:?}, but no {MARKER}", name.to_string_lossy())))
        }
        _ => Ok(State::Empty),
    }
}

/// As [`examine`], where nothing but a layout will do.
pub(super) fn require(directory: &Path) -> Result<(), Error> {
    let reason = match examine(directory)? {
        State::Layout => return Ok(()),
        State::Absent => "the directory does not exist",
        State::Empty => "the directory is empty",
    };
    Err(Error::NoSuchCache { directory: directory.to_path_buf(), reason })
}

/// Makes a directory and those above it, so that what is durable in it is not lost with its name.
pub(super) fn make(directory: &Path) -> Result<(), Error> {
    let Some(parent) = directory.parent().filter(|_| !directory.is_dir()) else { return Ok(()) };
    make(parent)?;
    match fs::create_dir(directory) {
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => {}
        made => made.map_err(Error::io("create", directory))?,
    }
    match sync_directory(parent) {
        // One may be allowed to add to a directory, and not to read it.
        Err(Error::Io { cause, .. }) if cause.kind() == ErrorKind::PermissionDenied => Ok(()),
        synchronized => synchronized,
    }
}

/// Makes `directory`, which holds our own directory and is locked there, a layout.
pub(super) fn create(directory: &Path) -> Result<(), Error> {
    let blobs = directory.join("blobs/sha256");
    make(&blobs)?;
    // There may be one from before somebody lost the marker, or was killed before writing it.
    if !directory.join(INDEX).is_file() {
        let index = ImageIndex::default().to_bytes();
        let index = index.map_err(Error::document(directory.display().to_string()))?;
        write_whole(directory, INDEX, &index)?;
    }
    write_whole(directory, MARKER, MARKER_CONTENT)
}

fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let unfinished = directory.join(OURS).join(name);
    fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(Error::io("write", &unfinished))?;
    fs::rename(&unfinished, directory.join(name)).map_err(Error::io("rename", &unfinished))?;
    sync_directory(directory)
}
