//! What the configs of packages said when they were installed from a cache, kept beside the store's database.
//!
//! `<root>/.spack-db/strata-environment/HASH.json` has the `Env` of the config as it was, for the prefixes of whoever
//! built the package; where that says no more than prefixes do anyway, only that it says nothing. Not in the prefix: what
//! is there is what was in the layer. Spack passes over the directory. A file without a package does no harm: what a hash
//! names does not change.

use crate::error::Error;
use crate::run_environment::Cached;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use strata_spec::DagHash;
use strata_store::StoreRoot;

const DIRECTORY: &str = "strata-environment";
/// The shape of the files. Others are passed over.
const SCHEMA: u32 = 1;

#[derive(Deserialize, Serialize)]
struct Kept {
    schema: u32,
    env: Vec<String>,
    has_base: bool,
    #[serde(default)]
    unclear: Vec<String>,
}

fn file(root: &StoreRoot, hash: &DagHash) -> PathBuf {
    root.database_directory().join(DIRECTORY).join(format!("{hash}.json"))
}

/// Keeps what the config of a package says, before the package is recorded.
pub(crate) fn keep(root: &StoreRoot, hash: &DagHash, said: &Cached) -> Result<(), Error> {
    let kept = Kept {
        schema: SCHEMA,
        env: said.env.clone(),
        has_base: said.has_base,
        unclear: said.unclear.clone(),
    };
    let path = file(root, hash);
    let bytes = serde_json::to_vec(&kept).map_err(|error| Error::io(&path, error.into()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
    // In whole or not at all; the prefix is locked, so that nobody else writes this one.
    let temporary = path.with_extension("json.new");
    std::fs::write(&temporary, bytes).map_err(|error| Error::io(&temporary, error))?;
    std::fs::rename(&temporary, &path).map_err(|error| Error::io(&path, error))
}

/// Forgets a package that is removed. That it cannot be done is no reason to fail: see above.
pub(crate) fn forget(root: &StoreRoot, hash: &DagHash) {
    let path = file(root, hash);
    if std::fs::remove_file(&path).is_ok()
        && let Some(directory) = path.parent()
    {
        // Fails where something else is in it.
        let _ = std::fs::remove_dir(directory);
    }
}

/// What is kept of some packages, each in its own store. What cannot be understood is as if it were not there.
pub(crate) fn read<'r>(
    root_of: impl Fn(&DagHash) -> &'r StoreRoot,
    hashes: &[DagHash],
) -> Result<HashMap<DagHash, Cached>, Error> {
    let mut all = HashMap::new();
    for hash in hashes {
        let path = file(root_of(hash), hash);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            text => text.map_err(|error| Error::io(&path, error))?,
        };
        let kept = serde_json::from_slice(&text).ok().filter(|kept: &Kept| kept.schema == SCHEMA);
        let said = kept.map(|Kept { env, has_base, unclear, .. }| Cached { env, has_base, unclear });
        all.extend(said.map(|said| (hash.clone(), said)));
    }
    Ok(all)
}
