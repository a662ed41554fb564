//! Copies of files in a view, which name the view where the originals name the prefixes of packages.
//!
//! As `view_copy` in Spack's `filesystem_view.py` has it: links by their beginning, programs and libraries within their C
//! strings, all else as text. What is neither program nor text, byte-code of Python or static libraries, is copied as it is:
//! there a path cannot change its length, and Spack's copies of those are broken.

use super::Packages;
use crate::error::Error;
use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown};
use std::path::Path;
use strata_layer::relocate::{PrefixMap, RelocateError, replace_c_strings, replace_text};
use strata_spec::Node;
use strata_store::view::symbolic_link;

/// What becomes what in the files of one package.
pub(super) struct Relocation {
    label: String,
    prefixes: PrefixMap,
    /// For texts, with the root of the store as the last.
    prefixes_and_root: PrefixMap,
}

impl Relocation {
    /// Of the files of `node` in the view whose files are going to be at `tree`.
    pub(super) fn new(node: &Node, packages: &Packages<'_>, tree: &Path) -> Result<Self, Error> {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let mut pairs = Vec::new();
        for below in packages.everything_below(node).into_iter().filter(|node| !node.is_external()) {
            let Some(prefix) = packages.prefix(below) else { continue };
            let to = super::below(tree, &packages.projection(below)?);
            pairs.push((bytes(&prefix), bytes(&to)));
        }
        let root = (bytes(packages.store_root()), bytes(tree));
        let invalid = |source| Error::Prefixes { package: node.label(), source };
        Ok(Self {
            label: node.label(),
            prefixes: PrefixMap::new(pairs.clone()).map_err(invalid)?,
            prefixes_and_root: PrefixMap::new(pairs.into_iter().chain([root])).map_err(invalid)?,
        })
    }

    /// What a file is to have in it; none if it stays as it is.
    fn applied(&self, source: &Path, content: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if is_program(content) {
            let mut changed = content.to_vec();
            let is_changed =
                replace_c_strings(&self.prefixes, &mut changed).map_err(|error| Error::Relocate {
                    package: self.label.clone(),
                    source: RelocateError::Binary { path: source.to_owned(), source: error.into() },
                })?;
            return Ok(is_changed.then_some(changed));
        }
        if memchr::memchr(0, content).is_some() {
            return Ok(None);
        }
        Ok(replace_text(&self.prefixes_and_root, content))
    }
}

/// Copies a file or a link, with its permissions, times and, as far as that is allowed, its owner. Nothing may be at `to`.
///
/// # Errors
/// If the disk refuses, or a path in a program has no room for that of the view.
pub(super) fn copy(source: &Path, to: &Path, relocation: Option<&Relocation>) -> Result<(), Error> {
    let found = fs::symlink_metadata(source).map_err(|error| Error::io(source, error))?;
    let owner = (Some(found.uid()), Some(found.gid()));
    if found.is_symlink() {
        let target = fs::read_link(source).map_err(|error| Error::io(source, error))?;
        let replaced = relocation.and_then(|r| r.prefixes.replace_start(target.as_os_str().as_bytes()));
        symbolic_link(&replaced.map_or(target, |bytes| OsString::from_vec(bytes).into()), to)?;
        let _ = lchown(to, owner.0, owner.1);
        return Ok(());
    }
    let content = fs::read(source).map_err(|error| Error::io(source, error))?;
    let changed = relocation.map(|r| r.applied(source, &content)).transpose()?.flatten();
    write(to, changed.as_deref().unwrap_or(&content), &found)?;
    let _ = chown(to, owner.0, owner.1);
    Ok(())
}

/// Copies a file with `new` in the place of `old`.
///
/// # Errors
/// If the disk refuses.
pub(super) fn copy_with(source: &Path, to: &Path, old: &Path, new: &Path) -> Result<(), Error> {
    let found = fs::metadata(source).map_err(|error| Error::io(source, error))?;
    let content = fs::read(source).map_err(|error| Error::io(source, error))?;
    let (old, new) = (old.as_os_str().as_bytes(), new.as_os_str().as_bytes());
    let mut changed = Vec::with_capacity(content.len());
    let mut done = 0;
    for at in memchr::memmem::find_iter(&content, old) {
        changed.extend_from_slice(&content[done..at]);
        changed.extend_from_slice(new);
        done = at + old.len();
    }
    changed.extend_from_slice(&content[done..]);
    write(to, &changed, &found)
}

/// Writes a file that is like `found` but for its content.
fn write(to: &Path, content: &[u8], found: &fs::Metadata) -> Result<(), Error> {
    let failed = |error| Error::io(to, error);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.set_permissions(fs::Permissions::from_mode(found.mode() & 0o7777)).map_err(failed)?;
    if let Ok(modified) = found.modified() {
        // Byte-code that was made of a source expects its time.
        file.set_times(FileTimes::new().set_modified(modified)).map_err(failed)?;
    }
    Ok(())
}

/// Whether the file is a program or a library: ELF, or Mach-O of one or several architectures.
fn is_program(content: &[u8]) -> bool {
    let magic = |bytes: &[u8]| content.starts_with(bytes);
    let architectures = |big: bool| {
        let bytes: Option<[u8; 4]> = content.get(4..8).and_then(|bytes| bytes.try_into().ok());
        bytes.is_some_and(
            |bytes| if big { u32::from_be_bytes(bytes) < 10 } else { u32::from_le_bytes(bytes) < 10 },
        )
    };
    magic(b"\x7fELF")
        || magic(b"\xcf\xfa\xed\xfe")
        || magic(b"\xfe\xed\xfa\xcf")
        || magic(b"\xce\xfa\xed\xfe")
        || magic(b"\xfe\xed\xfa\xce")
        || (magic(b"\xca\xfe\xba\xbe") && architectures(true))
        || (magic(b"\xbe\xba\xfe\xca") && architectures(false))
}
