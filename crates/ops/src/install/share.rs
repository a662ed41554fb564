//! Which files of a staged package it may have in common with other packages.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;
use strata_layer::unpack::Notes;
use strata_store::stage::METADATA_DIRECTORY;
use strata_store::{FileCache, file_cache::StagedFile};

/// Puts what is kept of the store's files in the place of equal files of the package staged at `root`. The notes stay true.
///
/// Not of files that relocation, permissions or the times of byte-code changed, nor of those that have several names; not
/// below `.spack`, which tells of this package alone; not of Python sources, whose time a `.pyc` that is made later has in it.
pub(super) fn share(files: &FileCache, root: &Path, notes: &mut Notes) {
    let spare = root.with_extension("shared");
    let mut taken = HashSet::new();
    notes.replace_files(|path, owned, file| {
        let may_be = file.as_unpacked
            && file.size > 0
            && !path.starts_with(METADATA_DIRECTORY)
            && path.extension() != Some(OsStr::new("py"));
        // Two files of a package must not become two names of one: it would be packed as another layer.
        if !may_be || files.is_linking() && !taken.insert((file.sha1, file.size, owned.mode)) {
            return None;
        }
        let staged = StagedFile {
            path: &root.join(path),
            sha1: file.sha1,
            size: file.size,
            mode: owned.mode,
            owner: owned.owner,
            group: owned.group,
        };
        files.share(&staged, &spare)
    });
}
