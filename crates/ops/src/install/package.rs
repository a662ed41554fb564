//! One package: fetched, extracted into a staging directory and relocated there, ready to appear.

use super::downloads::Downloads;
use super::execute::Context;
use super::plan::PlannedInstall;
use super::share;
use crate::error::Error;
use crate::origin::Origin;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use strata_layer::BuildInfo;
use strata_layer::relocate::{
    Destination, Leftovers, Platform, PrefixMap, Relocated, keep_bytecode_valid, leftovers, relocate_noted,
};
use strata_layer::unpack::{Limits, Note, Noted, Notes, Owned, UnpackOptions, Unpacked, unpack_noted};
use strata_oci::Digest;
use strata_spec::DagHash;
use strata_store::prefix_state::{PrefixState, prefix_state};
use strata_store::stage::{METADATA_DIRECTORY, SPEC_FILE, STAGED_SPEC_FILE, StagedPrefix, finish_name};
use strata_store::{KnownKind, KnownPath, LockGuard, StageArea, Store, write_known_install_manifest};

/// Where everything is here: what relocation maps old prefixes to.
#[derive(Debug)]
pub(super) struct Here {
    pub(super) root: PathBuf,
    pub(super) sbang: PathBuf,
    /// The prefix of each package of the runtime closure, installed already or not.
    pub(super) prefixes: HashMap<DagHash, PathBuf>,
}

impl Here {
    /// The replacements for the files of a layer.
    pub(super) fn prefix_map(&self, package: &str, info: &BuildInfo) -> Result<PrefixMap, Error> {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let prefix_of = |hash: &str| self.prefixes.get(hash).map(|path| bytes(path));
        PrefixMap::for_layer(info, &bytes(&self.sbang), prefix_of, &bytes(&self.root))
            .map_err(|source| Error::Prefixes { package: package.to_owned(), source })
    }
}

/// A package that only has to be renamed into place and recorded. It keeps its prefix locked.
pub(super) struct Staged {
    pub(super) stage: StagedPrefix,
    pub(super) unpacked: Unpacked,
    pub(super) relocated: Relocated,
    pub(super) leftovers: Leftovers,
    pub(super) origin: Option<Origin>,
    pub(super) lock: LockGuard,
}

/// Opens the layer and unpacks it into `destination`.
fn fetch(
    planned: &PlannedInstall,
    downloads: &Downloads<'_>,
    destination: &Path,
    threads: usize,
) -> Result<(Unpacked, Notes), Error> {
    let options = UnpackOptions { limits: Limits::for_layer(planned.place.layer.size), threads };
    let (unpacked, notes) = unpack_noted(downloads.take(planned)?, destination, &options)
        .map_err(|source| Error::Unpack { package: planned.label(), source })?;
    match planned.place.diff_id {
        Some(expected) if expected != Digest::from_sha256(unpacked.diff_id) => Err(Error::DiffId {
            package: planned.label(),
            place: downloads.mirror(planned).repository.url().to_string(),
            expected,
            found: Digest::from_sha256(unpacked.diff_id),
        }),
        _ => Ok((unpacked, notes)),
    }
}

/// Stages one package. The caller holds its lock and has seen that it is not installed.
pub(super) fn stage(
    planned: &PlannedInstall,
    context: &Context<'_>,
    lock: LockGuard,
) -> Result<Staged, Error> {
    let Context { downloads, here, options, area, .. } = *context;
    let label = planned.label();
    let stage = area.stage(&planned.hash)?;
    let root = stage.path();
    let (unpacked, mut notes) = fetch(planned, downloads, root, options.jobs)?;
    let metadata = root.join(METADATA_DIRECTORY);
    let spec_file = metadata.join(SPEC_FILE);
    // `spack reindex` takes every directory with a spec file for a package: this one is not one yet.
    std::fs::rename(&spec_file, metadata.join(STAGED_SPEC_FILE)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NoSpecFile { package: label.clone() },
        _ => Error::io(&spec_file, error),
    })?;
    let map = here.prefix_map(&label, &unpacked.build_info)?;
    let relocate_error = |source| Error::Relocate { package: label.clone(), source };
    let destination = Destination { map: &map, sbang: here.sbang.as_os_str().as_bytes() };
    let relocated = relocate_noted(root, &unpacked.build_info, &destination, Platform::Elf, &mut notes)
        .map_err(relocate_error)?;
    let leftovers = if options.count_leftovers {
        leftovers(root, &map).map_err(relocate_error)?
    } else {
        Leftovers::default()
    };
    keep_bytecode_valid(root, &unpacked.build_info, &mut notes).map_err(relocate_error)?;
    if let Some(access) = &planned.access {
        access.apply(root)?;
        let staged = |path: &Path| match path.strip_prefix(METADATA_DIRECTORY) {
            Ok(file) if file == Path::new(SPEC_FILE) => metadata.join(STAGED_SPEC_FILE),
            _ => root.join(path),
        };
        notes.look_at_owners(staged).map_err(|(path, error)| Error::io(&path, error))?;
    }
    if let Some(files) = context.files {
        share::share(files, root, &mut notes);
    }
    // The manifest has the modes in it, but for its own.
    // What the layer had under the staged name of the spec file is gone since that was renamed.
    let staged_spec = Path::new(METADATA_DIRECTORY).join(STAGED_SPEC_FILE);
    let listed = notes.iter().filter(|note| note.path != staged_spec).map(|note| known(&notes, note));
    write_known_install_manifest(root, &planned.prefix, listed)?;
    if let Some(access) = &planned.access {
        access.apply(&metadata.join("install_manifest.json"))?;
    }
    crate::load::keep(context.store.root(), &planned.hash, &planned.place.environment)?;
    let cache = downloads.mirror(planned).repository.url().to_string();
    let diff_id = Digest::from_sha256(unpacked.diff_id);
    let origin = Origin::of(&planned.hash, &cache, &planned.place.layer, diff_id, &unpacked.build_info);
    Ok(Staged { stage, unpacked, relocated, leftovers, origin, lock })
}

/// What the install manifest says of a path.
fn known<'n>(notes: &'n Notes, note: &'n Note) -> KnownPath<'n> {
    let kind = match (&note.noted, notes.file(note)) {
        (_, Some(file)) => KnownKind::File { sha1: file.sha1, size: file.size, modified: file.modified },
        (Noted::Symlink(target), None) => KnownKind::Symlink(target),
        _ => KnownKind::Other,
    };
    let Owned { mode, owner, group } = note.owned;
    KnownPath { path: &note.path, mode, owner, group, kind }
}

/// Sees to it that nothing is at the prefix, or what is to be replaced. False if the package is installed there: somebody else was faster.
pub(super) fn clear_the_way(
    store: &Store,
    area: &StageArea,
    planned: &PlannedInstall,
) -> Result<bool, Error> {
    if planned.prefix.symlink_metadata().is_err() {
        return Ok(true);
    }
    let database = store.read()?;
    let state = prefix_state(&database, &planned.prefix, &planned.hash);
    match state.map_err(|e| Error::io(&planned.prefix, e))? {
        PrefixState::Absent => Ok(true),
        PrefixState::Installed if planned.replaces => Ok(true),
        PrefixState::Installed => {
            finish_name(&planned.prefix).map_err(|error| Error::io(&planned.prefix, error))?;
            Ok(false)
        }
        PrefixState::Unfinished => {
            drop(area.set_aside(&planned.prefix)?);
            Ok(true)
        }
        PrefixState::Foreign => {
            Err(Error::ForeignPrefix { package: planned.label(), prefix: planned.prefix.clone() })
        }
    }
}
