//! A whole package: the files its layer lists, its links, and long first lines of scripts.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::beneath::{Tree, is_beneath};
use super::file::{relocate_binary_file, relocate_text_file};
use super::prefix_map::PrefixMap;
use super::{Platform, RelocateError, shebang};
use crate::build_info::BuildInfo;

/// Where a package is going to be.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// Old prefixes to the *final* ones, wherever the files lie at the moment.
    pub map: &'a PrefixMap,
    /// Absolute path of `bin/sbang` here, at most 127 bytes.
    pub sbang: &'a [u8],
}

/// What [`relocate_tree`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relocated {
    /// Text and binary files in which a prefix was replaced; a file with several names counts once.
    pub files_changed: u64,
    /// Symbolic links that point elsewhere now.
    pub links_changed: u64,
    /// Scripts that got a line for sbang.
    pub shebangs: u64,
    /// ELF files, among those changed, that became longer.
    pub elf_grown: u64,
}

/// Relocates the package whose files lie in `root` (in a place of their own: nobody else may change them
/// meanwhile) as its layer's `info` says.
///
/// Only listed files are touched, except that the first line of every executable is looked at. Inodes, and so hard
/// links, stay; each inode is relocated once however often it is listed. A file in which no old prefix occurs is not
/// written. Listed files under `.spack/` are left alone.
///
/// # Errors
/// A listed path that is missing, of the wrong type, reached through a link or outside the tree; a string that has
/// no room; any failure to read or write. The tree is then relocated in part and must be thrown away.
pub fn relocate_tree(
    root: &Path,
    info: &BuildInfo,
    destination: &Destination<'_>,
    platform: Platform,
) -> Result<Relocated, RelocateError> {
    if platform == Platform::MachO {
        return Err(RelocateError::MachO { path: root.to_owned() });
    }
    shebang::check_sbang(destination.sbang)?;
    let map = destination.map;
    let tree = Tree::open(root).map_err(|source| io_error("open", root, source))?;
    let links = listed(&info.relocate_links)?;
    let texts = without_metadata(listed(&info.relocate_textfiles)?);
    let binaries = without_metadata(listed(&info.relocate_binaries)?);
    let mut relocated = Relocated::default();
    if !map.is_empty() {
        let mut seen = HashSet::new();
        let mut content = Vec::new();
        for path in links {
            relocated.links_changed += u64::from(relocate_link(&tree, map, path)?);
        }
        for path in texts {
            let Some((file, size)) = open(&tree, path, &mut seen)? else { continue };
            let edit = relocate_text_file(map, &file, size, &mut content).map_err(|error| error.of(path))?;
            relocated.files_changed += u64::from(edit.changed);
        }
        for path in binaries {
            let Some((file, size)) = open(&tree, path, &mut seen)? else { continue };
            let edit =
                relocate_binary_file(map, &file, size, &mut content).map_err(|error| error.of(path))?;
            relocated.files_changed += u64::from(edit.changed);
            relocated.elf_grown += u64::from(edit.grown);
        }
    }
    relocated.shebangs = shebang::filter_shebangs(&tree, destination.sbang)?;
    Ok(relocated)
}

/// Files under `.spack/` are left alone. (Links there are not: Spack lists and changes them.)
fn without_metadata(mut paths: Vec<&Path>) -> Vec<&Path> {
    paths.retain(|path| !path.starts_with(".spack"));
    paths
}

/// The listed paths. A bad one is an error before anything is written.
fn listed(paths: &[OsString]) -> Result<Vec<&Path>, RelocateError> {
    let mut listed = Vec::with_capacity(paths.len());
    for path in paths.iter().map(Path::new) {
        if !is_beneath(path) {
            return Err(RelocateError::UnsafePath { path: path.to_owned() });
        }
        listed.push(path);
    }
    Ok(listed)
}

/// Opens a listed file and answers its size too; `None` if its inode came before.
fn open(
    tree: &Tree,
    path: &Path,
    seen: &mut HashSet<(u64, u64)>,
) -> Result<Option<(File, u64)>, RelocateError> {
    let file = tree.file(path).map_err(|source| open_error(path, source))?;
    let metadata = file.metadata().map_err(|source| io_error("read", path, source))?;
    if !metadata.is_file() {
        return Err(RelocateError::WrongType { path: path.to_owned(), expected: "regular file" });
    }
    // Not only files of several names: a list may name one twice.
    Ok(seen.insert((metadata.dev(), metadata.ino())).then_some((file, metadata.len())))
}

fn relocate_link(tree: &Tree, map: &PrefixMap, path: &Path) -> Result<bool, RelocateError> {
    let (directory, name) = tree.parent(path).map_err(|source| open_error(path, source))?;
    let target = match rustix::fs::readlinkat(&directory, name, Vec::new()) {
        Ok(target) => target,
        Err(rustix::io::Errno::INVAL) => {
            return Err(RelocateError::WrongType { path: path.to_owned(), expected: "symbolic link" });
        }
        Err(errno) => return Err(open_error(path, errno.into())),
    };
    // Prefixes are absolute, so a relative target never matches.
    let Some(target) = map.replace_start(target.as_bytes()) else { return Ok(false) };
    rustix::fs::unlinkat(&directory, name, rustix::fs::AtFlags::empty())
        .and_then(|()| rustix::fs::symlinkat(target, &directory, name))
        .map_err(|errno| io_error("replace link", path, errno.into()))?;
    Ok(true)
}

fn open_error(path: &Path, source: io::Error) -> RelocateError {
    use rustix::io::Errno;
    match Errno::from_io_error(&source) {
        Some(Errno::NOENT) => RelocateError::Missing { path: path.to_owned() },
        Some(Errno::LOOP | Errno::XDEV | Errno::NOTDIR) => {
            RelocateError::UnsafePath { path: path.to_owned() }
        }
        Some(Errno::ISDIR) => {
            RelocateError::WrongType { path: path.to_owned(), expected: "regular file or symbolic link" }
        }
        _ => io_error("open", path, source),
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> RelocateError {
    RelocateError::Io { action, path: path.to_owned(), source }
}
