//! The commands below which no program can go.

use super::super::Outcome;
use super::store::Store;
use super::surroundings::Surroundings;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_oci::{ManifestRef, RepositoryUrl, Transport, image_manifest, open};

/// Reading all files and compressing them, on all cores.
pub(super) fn pack(around: &Surroundings, prefixes: &[&Path]) -> Command {
    let mut command = around.floor(&["pack"]);
    command.args(prefixes);
    command
}

/// Inflating the layers on all cores, and copying the files from where they lie already.
pub(super) fn install(around: &Surroundings, layers: &[PathBuf], trees: &[&Path]) -> Outcome<Command> {
    const BOTH: &str = r#"
        count=$1 to=$2 program=$3; shift 3
        "$program" bench-floor inflate "${@:1:count}" >/dev/null && cp -a "${@:count + 1}" "$to"
    "#;
    let mut command = Command::new("bash");
    command.args(["-c", BOTH, "floor", &layers.len().to_string()]);
    command.arg(around.directory("floor")?).arg(&around.this).args(layers).args(trees);
    Ok(command)
}

/// Unpacking the layers into one tree, relocating nothing.
pub(super) fn tar(around: &Surroundings, layers: &[PathBuf]) -> Outcome<Command> {
    const EACH: &str =
        r#"set -e -o pipefail; to=$1; shift; for layer; do pigz -dc "$layer" | tar -xf - -C "$to"; done"#;
    let mut command = Command::new("bash");
    command.args(["-c", EACH, "tar"]).arg(around.directory("tar")?).args(layers);
    Ok(command)
}

/// The layers of a store's packages as files, in the order of the packages.
pub(super) fn layers(around: &Surroundings, store: &Store) -> Outcome<Vec<PathBuf>> {
    let layout = around.fresh("layout");
    let url = RepositoryUrl::from_directory(&layout)?;
    around.prepare(around.strata_push(&around.fresh("cache"), store, &url.to_string()))?;
    let repository = open(&url, &Transport::default(), None)?;
    let tags = repository.tags()?;
    let layer = |hash: &str| -> Outcome<PathBuf> {
        let tag = tags.iter().find(|tag| tag.ends_with(&format!("-{hash}.spack")));
        let tag = tag.ok_or_else(|| format!("no tag of {hash}"))?;
        let (_, manifest) =
            image_manifest(&*repository, &ManifestRef::Tag(tag.parse()?))?.ok_or("no manifest")?;
        let layer = manifest.layers.last().ok_or("no layer")?;
        Ok(layout.join("blobs/sha256").join(layer.digest.hex()))
    };
    store.packages.iter().map(|package| layer(&package.hash)).collect()
}
