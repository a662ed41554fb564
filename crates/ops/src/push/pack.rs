//! One prefix → one spooled layer.

use super::scratch::Scratch;
use crate::error::Error;
use crate::image::assemble::LayerInfo;
use std::path::Path;
use strata_layer::BuildInfo;
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::pack::{PackError, PackRequest, pack};
use strata_oci::Digest;
use strata_spec::dag::referenced;
use strata_spec::{Database, Node};
use strata_store::StoreRoot;
use tempfile::NamedTempFile;

/// A packed layer that waits for its upload.
pub(super) struct Spooled {
    pub(super) layer: LayerInfo,
    pub(super) file: NamedTempFile,
}

/// What `.spack/binary_distribution` says before the files have been looked at.
///
/// `spackprefix` is where Spack itself lies. Nothing reads it any more; Spack's own default puts its store in
/// `opt/spack` below itself, so that is what is taken off the store's root, if it is there.
fn build_info(database: &Database, root: &StoreRoot, node: &Node, prefix: &Path) -> Result<BuildInfo, Error> {
    let mut hash_to_prefix = Vec::new();
    for dependency in referenced(database, node)? {
        if let Some(path) = database.records.get(&dependency.hash).and_then(|r| r.path.as_ref()) {
            hash_to_prefix.push((dependency.hash.to_string(), path.clone()));
        }
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let unpadded = root.unpadded();
    let spack = unpadded.to_str().and_then(|p| p.strip_suffix("/opt/spack")).map(str::to_owned);
    Ok(BuildInfo {
        sbang_install_path: Some(text(&unpadded.join("bin/sbang"))),
        buildpath: text(root.root()),
        spackprefix: spack.unwrap_or_else(|| text(unpadded)),
        relative_prefix: relative(prefix, root.root()),
        hardlinks_deduped: true,
        hash_to_prefix,
        ..BuildInfo::default()
    })
}

/// `path` relative to `root`, through `..` if it lies elsewhere (Python's `os.path.relpath`).
fn relative(path: &Path, root: &Path) -> String {
    let mut up = String::new();
    for ancestor in root.ancestors() {
        if let Ok(rest) = path.strip_prefix(ancestor) {
            return up + &rest.to_string_lossy();
        }
        up.push_str("../");
    }
    path.to_string_lossy().into_owned()
}

/// Packs the prefix of `node` into a file in `scratch`.
pub(super) fn spool(
    database: &Database,
    root: &StoreRoot,
    node: &Node,
    prefix: &Path,
    pool: &CompressorPool,
    scratch: &Scratch,
) -> Result<Spooled, Error> {
    let build_info = build_info(database, root, node, prefix)?;
    let mut prefixes: Vec<Vec<u8>> =
        build_info.hash_to_prefix.iter().map(|(_, path)| path.clone().into_bytes()).collect();
    prefixes.extend(build_info.sbang_install_path.clone().map(String::into_bytes));
    prefixes.push(build_info.buildpath.clone().into_bytes());

    let file = NamedTempFile::new_in(scratch.path()).map_err(|error| scratch.refused(error))?;
    let packed = pack(PackRequest { prefix, build_info, prefixes }, pool, file.as_file());
    let packed = packed.map_err(|error| match error {
        // It is not the prefix that is at fault, but the disk that the layer is written to.
        PackError::Output { source, .. } => scratch.refused(source),
        other => Error::Pack(other),
    })?;
    let layer = LayerInfo {
        digest: Digest::from_sha256(packed.digest),
        diff_id: Digest::from_sha256(packed.diff_id),
        size: packed.size,
        compression: pool.method().compression(),
    };
    Ok(Spooled { layer, file })
}
