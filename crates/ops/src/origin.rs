//! Which layer an installed package came from, kept beside the store's database, so that pushing the package to another cache
//! takes that layer and packs nothing.
//!
//! `<root>/.spack-db/strata-origin/HASH.json` has the layer, where it was found, and the prefixes that its files name. It is
//! written once the package is in its place and recorded, and holds for as long as nothing in the prefix is younger than
//! that ([`Installation`]). Not in the prefix: what is there is what was in the layer. Spack passes over the directory. A file
//! without a package, or with another one, does no harm: it does not hold for it.

use crate::error::Error;
use crate::image::assemble::LayerInfo;
use crate::installation::Installation;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use strata_layer::BuildInfo;
use strata_oci::{Descriptor, Digest};
use strata_spec::DagHash;
use strata_store::StoreRoot;

const DIRECTORY: &str = "strata-origin";
/// The shape of the files. Others are passed over.
const SCHEMA: u32 = 1;
/// Milliseconds to wait for the clock of a file system to go on, at most: its tick is ten at most where it is local.
const ATTEMPTS: usize = 50;

/// Where a package came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The URL of the cache.
    pub(crate) cache: String,
    /// The layer.
    media_type: String,
    digest: Digest,
    size: u64,
    diff_id: Digest,
    /// The prefixes that the files of the layer name: the package's own and those of what it needs, by hash.
    pub(crate) prefixes: Vec<(DagHash, String)>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    schema: u32,
    installation: Installation,
    #[serde(flatten)]
    origin: Origin,
}

impl Origin {
    /// That of a package whose layer was unpacked; none if the layer does not say where the package was.
    pub(crate) fn of(
        hash: &DagHash,
        cache: &str,
        layer: &Descriptor,
        diff_id: Digest,
        info: &BuildInfo,
    ) -> Option<Self> {
        let known = info.hash_to_prefix.iter();
        let prefixes: Vec<(DagHash, String)> =
            known.filter_map(|(hash, prefix)| Some((DagHash::parse(hash).ok()?, prefix.clone()))).collect();
        prefixes.iter().any(|(known, _)| known == hash).then(|| Self {
            cache: cache.to_owned(),
            media_type: layer.media_type.clone(),
            digest: layer.digest,
            size: layer.size,
            diff_id,
            prefixes,
        })
    }

    /// The layer.
    pub(crate) fn layer(&self) -> LayerInfo {
        LayerInfo::of(&self.descriptor(), self.diff_id)
    }

    /// Its descriptor.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.size)
    }

    /// Where the layer expects a package to be.
    pub(crate) fn prefix_of(&self, hash: &DagHash) -> Option<&str> {
        self.prefixes.iter().find(|(known, _)| known == hash).map(|(_, prefix)| prefix.as_str())
    }
}

fn file(root: &StoreRoot, hash: &DagHash) -> PathBuf {
    root.database_directory().join(DIRECTORY).join(format!("{hash}.json"))
}

/// Keeps where the package that is at `prefix` now came from. Its prefix is locked, so that nobody else writes this one.
pub(crate) fn keep(root: &StoreRoot, hash: &DagHash, prefix: &Path, origin: Origin) -> Result<(), Error> {
    let installation = Installation::at(prefix).map_err(|error| Error::io(prefix, error))?;
    let path = file(root, hash);
    let kept = Kept { schema: SCHEMA, installation, origin };
    let bytes = serde_json::to_vec(&kept).map_err(|error| Error::io(&path, error.into()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
    // In whole or not at all.
    let temporary = path.with_extension("json.new");
    write_after(&temporary, &bytes, &kept.installation).map_err(|error| Error::io(&temporary, error))?;
    fs::rename(&temporary, &path).map_err(|error| Error::io(&path, error))
}

/// Writes a note, again until the clock that files are stamped by has gone on since the installation: what is edited after
/// that can be told from what was installed. Recording packages mostly takes longer than a tick of it.
pub(crate) fn write_after(path: &Path, bytes: &[u8], installation: &Installation) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        fs::write(path, bytes)?;
        if installation.is_before(&fs::metadata(path)?) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    fs::remove_file(path)?;
    Err(io::Error::other("its file system stamps files too coarsely to tell what is changed later"))
}

/// Where the package that is at `prefix` came from, if that is known and it was not changed since.
pub(crate) fn of_unchanged(root: &StoreRoot, hash: &DagHash, prefix: &Path) -> Option<Origin> {
    let mut file = File::open(file(root, hash)).ok()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    let kept = serde_json::from_slice(&text).ok().filter(|kept: &Kept| kept.schema == SCHEMA)?;
    kept.installation.is_unchanged(prefix).then_some(kept.origin)
}

/// Forgets a package that is removed. That it cannot be done is no reason to fail: see above.
pub(crate) fn forget(root: &StoreRoot, hash: &DagHash) {
    let path = file(root, hash);
    if fs::remove_file(&path).is_ok()
        && let Some(directory) = path.parent()
    {
        // Fails where something else is in it.
        let _ = fs::remove_dir(directory);
    }
}
