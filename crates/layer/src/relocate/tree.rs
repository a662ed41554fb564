//! A whole package: the files its layer lists, its links, and long first lines of scripts.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::beneath::{Tree, is_beneath};
use super::binary::relocate_binary;
use super::prefix_map::PrefixMap;
use super::text::replace_text_within;
use super::{Platform, RelocateError, shebang};
use crate::build_info::BuildInfo;

/// The most bytes that a text may be longer after relocation than before. Real ones grow by some thousand.
const MAX_TEXT_GROWTH: usize = 256 << 20;

/// Files larger than this, in bytes, are read into memory only if an old prefix occurs in them.
const LARGE: u64 = 16 << 20;

/// How much of a large file is searched at a time, in bytes.
const PIECE: usize = 1 << 20;

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
            let Some(file) = read(&tree, map, path, &mut seen, &mut content)? else { continue };
            let replaced = replace_text_within(map, &content, MAX_TEXT_GROWTH)
                .map_err(|_| RelocateError::TextGrows { path: path.to_owned(), limit: MAX_TEXT_GROWTH })?;
            if let Some(replaced) = replaced {
                write_text(&file, &content, &replaced).map_err(|source| io_error("write", path, source))?;
                relocated.files_changed += 1;
            }
        }
        for path in binaries {
            let Some(file) = read(&tree, map, path, &mut seen, &mut content)? else { continue };
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

/// Opens a listed file and reads it into `content`; `None` if its inode came before, or if it is large and there is
/// nothing to replace.
fn read(
    tree: &Tree,
    map: &PrefixMap,
    path: &Path,
    seen: &mut HashSet<(u64, u64)>,
    content: &mut Vec<u8>,
) -> Result<Option<File>, RelocateError> {
    let mut file = tree.file(path).map_err(|source| open_error(path, source))?;
    let metadata = file.metadata().map_err(|source| io_error("read", path, source))?;
    if !metadata.is_file() {
        return Err(RelocateError::WrongType { path: path.to_owned(), expected: "regular file" });
    }
    // Not only files of several names: a list may name one twice.
    if !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(None);
    }
    let failed = |source| io_error("read", path, source);
    if metadata.len() > LARGE {
        if !occurs_in(map, &mut file, content).map_err(failed)? {
            return Ok(None);
        }
        file.rewind().map_err(failed)?;
    }
    content.clear();
    file.read_to_end(content).map_err(failed)?;
    Ok(Some(file))
}

/// Whether an old prefix occurs in what `reader` has left, looked for piece by piece in `buffer`.
fn occurs_in(map: &PrefixMap, reader: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    // A prefix may begin at the end of one piece and end in the next.
    let keep = map.longest().saturating_sub(1);
    buffer.resize(keep + PIECE, 0);
    let mut kept = 0;
    loop {
        let end = match reader.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(false),
            Ok(length) => kept + length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if map.occurs_in(&buffer[..end]) {
            return Ok(true);
        }
        let from = end.saturating_sub(keep);
        buffer.copy_within(from..end, 0);
        kept = end - from;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_found_wherever_pieces_end() {
        let map = PrefixMap::new([("/old/store/pkg", "/n"), ("/elsewhere", "/m")]).unwrap();
        let size = 2 * PIECE + 40;
        for start in (PIECE - 20..PIECE + 20).chain([0, size - 14]) {
            let mut bytes = vec![b'x'; size];
            bytes[start..start + 14].copy_from_slice(b"/old/store/pkg");
            assert!(occurs_in(&map, &mut &bytes[..], &mut Vec::new()).unwrap(), "{start}");
            bytes[start + 13] = b'q';
            assert!(!occurs_in(&map, &mut &bytes[..], &mut Vec::new()).unwrap(), "{start}");
        }
        assert!(!occurs_in(&map, &mut io::empty(), &mut Vec::new()).unwrap());
    }
}
