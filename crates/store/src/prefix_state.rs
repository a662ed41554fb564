//! Whether a package can be installed at a prefix, and what to do about what is there.
//!
//! A package appears in two steps, which a kill can part: its tree is renamed into place, then the database records
//! it. So there can be a prefix, complete and unrecorded, that the next run must finish. The rule:
//!
//! *The installer holds the prefix's write lock and has read the database under it. A prefix that no record claims,
//! whose spec file (under its own name or its staged one) names the very hash to be installed, and which came from a
//! build cache (`.spack/binary_distribution`, the last entry of every layer), is what an interrupted install from a
//! cache left. It is set aside and the package installed afresh, since nothing says that its relocation was complete
//! and the cache has it all. An empty directory counts as nothing. Anything else is somebody's, and is refused.*
//!
//! Without the lock the rule would be wrong: Spack installs in place, so its running install looks the same.

use crate::stage::{METADATA_DIRECTORY, SPEC_FILE, STAGED_SPEC_FILE};
use serde::Deserialize;
use std::io;
use std::path::Path;
use strata_spec::{DagHash, Database};

/// What is at a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixState {
    /// Nothing: install. (A record may still say it is installed, if somebody removed the directory.)
    Absent,
    /// The package, recorded as installed here: nothing to do.
    Installed,
    /// Left by an interrupted install, or an empty directory: [set aside](crate::stage::StageArea::set_aside) and install.
    Unfinished,
    /// Something that is not ours to remove: refuse.
    Foreign,
}

/// The state of `prefix` as the place of the package `hash`. For the rule see the [module](self).
///
/// # Errors
/// Only if the prefix cannot be looked at.
pub fn prefix_state(database: &Database, prefix: &Path, hash: &DagHash) -> io::Result<PrefixState> {
    let status = match prefix.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PrefixState::Absent),
        other => other?,
    };
    if !status.is_dir() {
        return Ok(PrefixState::Foreign);
    }
    let mut claims = database.records.iter().filter(|(_, record)| {
        record.installed && record.path.as_deref().is_some_and(|path| Path::new(path) == prefix)
    });
    if let Some((owner, _)) = claims.next() {
        return Ok(if owner == hash { PrefixState::Installed } else { PrefixState::Foreign });
    }
    if std::fs::read_dir(prefix)?.next().is_none() {
        return Ok(PrefixState::Unfinished);
    }
    let metadata = prefix.join(METADATA_DIRECTORY);
    let is_the_package = [SPEC_FILE, STAGED_SPEC_FILE]
        .iter()
        .any(|name| spec_file_hash(&metadata.join(name)).as_deref() == Some(hash.as_str()));
    let from_a_cache = metadata.join("binary_distribution").is_file();
    Ok(if is_the_package && from_a_cache { PrefixState::Unfinished } else { PrefixState::Foreign })
}

/// The hash of the root of a spec file: `{"spec": {"nodes": [{"hash": …}, …]}}`. None if it is no such file.
fn spec_file_hash(path: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct File {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        nodes: Vec<Root>,
    }
    #[derive(Deserialize)]
    struct Root {
        hash: String,
    }
    let file: File = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    file.spec.nodes.into_iter().next().map(|root| root.hash)
}
