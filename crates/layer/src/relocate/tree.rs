//! A whole package: the files its layer lists, its links, and long first lines of scripts.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::beneath::{Tree, is_beneath};
use super::binary::relocate_binary;
use super::prefix_map::PrefixMap;
use super::text::replace_text;
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
    let texts = listed(&info.relocate_textfiles)?;
    let binaries = listed(&info.relocate_binaries)?;
    let mut relocated = Relocated::default();
    if !map.is_empty() {
        let mut seen = HashSet::new();
        let mut content = Vec::new();
        for path in links {
            relocated.links_changed += u64::from(relocate_link(&tree, map, path)?);
        }
        for path in texts {
            let Some(file) = read(&tree, path, &mut seen, &mut content)? else { continue };
            if let Some(replaced) = replace_text(map, &content) {
                write_text(&file, &content, &replaced).map_err(|source| io_error("write", path, source))?;
                relocated.files_changed += 1;
            }
        }
        for path in binaries {
            let Some(file) = read(&tree, path, &mut seen, &mut content)? else { continue };
            let edit = relocate_binary(map, &mut content)
                .map_err(|source| RelocateError::Binary { path: path.to_owned(), source })?;
            for range in &edit.changed {
                file.write_all_at(&content[range.clone()], range.start as u64)
                    .map_err(|source| io_error("write", path, source))?;
            }
            relocated.files_changed += u64::from(!edit.changed.is_empty());
            relocated.elf_grown += u64::from(edit.grown);
        }
    }
    relocated.shebangs = shebang::filter_shebangs(&tree, destination.sbang)?;
    Ok(relocated)
}

/// The listed paths as far as they are to be relocated. A bad one is an error before anything is written.
fn listed(paths: &[OsString]) -> Result<Vec<&Path>, RelocateError> {
    let mut listed = Vec::with_capacity(paths.len());
    for path in paths.iter().map(Path::new) {
        if !is_beneath(path) {
            return Err(RelocateError::UnsafePath { path: path.to_owned() });
        }
        if !path.starts_with(".spack") {
            listed.push(path);
        }
    }
    Ok(listed)
}

/// Opens a listed file and reads it into `content`; `None` if its inode came before.
fn read(
    tree: &Tree,
    path: &Path,
    seen: &mut HashSet<(u64, u64)>,
    content: &mut Vec<u8>,
) -> Result<Option<File>, RelocateError> {
    let mut file = tree.file(path).map_err(|source| open_error(path, source))?;
    let metadata = file.metadata().map_err(|source| io_error("read", path, source))?;
    if !metadata.is_file() {
        return Err(RelocateError::WrongType { path: path.to_owned(), expected: "regular file" });
    }
    if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(None);
    }
    content.clear();
    file.read_to_end(content).map_err(|source| io_error("read", path, source))?;
    Ok(Some(file))
}

/// Writes `new` over `old`, from the first byte that differs.
fn write_text(file: &File, old: &[u8], new: &[u8]) -> io::Result<()> {
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    file.write_all_at(&new[same..], same as u64)?;
    if new.len() < old.len() {
        file.set_len(new.len() as u64)?;
    }
    Ok(())
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
