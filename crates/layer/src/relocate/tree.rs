//! A whole package: the files its layer lists, its links, and long first lines of scripts.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha1::{Digest, Sha1};

use super::beneath::{Tree, is_beneath};
use super::file::{FileEdit, LARGE, relocate_binary_file, relocate_text_file};
use super::large::WINDOW;
use super::prefix_map::PrefixMap;
use super::{Platform, RelocateError, has_long_shebang, shebang};
use crate::build_info::BuildInfo;
use crate::unpack::{Note, Noted, Notes};

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
    let tree = open(root, destination, platform)?;
    let mut relocated = relocate_listed(&tree, info, destination.map, None)?;
    relocated.shebangs = shebang::filter_shebangs(&tree, destination.sbang)?;
    Ok(relocated)
}

/// As [`relocate_tree`], for files of which it was noted what they are when they were unpacked: only those that have to be
/// changed, or may have to, are opened, and the notes stay true.
///
/// # Errors
/// As for [`relocate_tree`].
pub fn relocate_noted(
    root: &Path,
    info: &BuildInfo,
    destination: &Destination<'_>,
    platform: Platform,
    notes: &mut Notes,
) -> Result<Relocated, RelocateError> {
    let tree = open(root, destination, platform)?;
    let mut relocated = relocate_listed(&tree, info, destination.map, Some(notes))?;
    relocated.shebangs = shebang::filter_noted_shebangs(&tree, destination.sbang, notes)?;
    Ok(relocated)
}

fn open(root: &Path, destination: &Destination<'_>, platform: Platform) -> Result<Tree, RelocateError> {
    if platform == Platform::MachO {
        return Err(RelocateError::MachO { path: root.to_owned() });
    }
    shebang::check_sbang(destination.sbang)?;
    Tree::open(root).map_err(|source| io_error("open", root, source))
}

/// Relocates what `info` lists.
fn relocate_listed(
    tree: &Tree,
    info: &BuildInfo,
    map: &PrefixMap,
    mut notes: Option<&mut Notes>,
) -> Result<Relocated, RelocateError> {
    let links = listed(&info.relocate_links)?;
    let texts = without_metadata(listed(&info.relocate_textfiles)?);
    let binaries = without_metadata(listed(&info.relocate_binaries)?);
    let mut relocated = Relocated::default();
    if !map.is_empty() {
        let mut seen = HashSet::new();
        let mut content = Vec::new();
        for path in links {
            relocated.links_changed += u64::from(relocate_link(tree, map, path, notes.as_deref_mut())?);
        }
        for path in texts {
            let Some(listed) = open_listed(tree, path, notes.as_deref(), &mut seen)? else { continue };
            let edit = relocate_text_file(map, &listed.file, listed.size, &mut content)
                .map_err(|error| error.of(path))?;
            listed
                .note(edit, &mut content, notes.as_deref_mut())
                .map_err(|source| io_error("read", path, source))?;
            relocated.files_changed += u64::from(edit.changed);
        }
        for path in binaries {
            let Some(listed) = open_listed(tree, path, notes.as_deref(), &mut seen)? else { continue };
            let edit = relocate_binary_file(map, &listed.file, listed.size, &mut content)
                .map_err(|error| error.of(path))?;
            listed
                .note(edit, &mut content, notes.as_deref_mut())
                .map_err(|source| io_error("read", path, source))?;
            relocated.files_changed += u64::from(edit.changed);
            relocated.elf_grown += u64::from(edit.grown);
        }
    }
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

/// A file that is listed, opened for reading and writing.
struct Listed {
    file: File,
    /// In bytes, before relocation.
    size: u64,
    /// Its number in the notes.
    number: Option<usize>,
}

impl Listed {
    /// Notes what became of it. `content` is what it has now, or room to work in if it is large.
    fn note(&self, edit: FileEdit, content: &mut Vec<u8>, notes: Option<&mut Notes>) -> io::Result<()> {
        let (Some(notes), Some(number), true) = (notes, self.number, edit.changed) else { return Ok(()) };
        let stat = rustix::fs::fstat(&self.file)?;
        let (sha1, long_shebang) = match self.size > LARGE {
            true => self.read_again(content)?,
            false => (Sha1::digest(&*content).into(), has_long_shebang(content)),
        };
        notes.rewritten(number, &stat, sha1, long_shebang);
        Ok(())
    }

    /// The SHA-1 of a large file, and whether its first line is long.
    fn read_again(&self, buffer: &mut Vec<u8>) -> io::Result<([u8; 20], bool)> {
        let mut file = &self.file;
        file.rewind()?;
        buffer.resize(WINDOW, 0);
        let (mut hasher, mut long_shebang) = (Sha1::new(), None);
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok((hasher.finalize().into(), long_shebang.unwrap_or(false))),
                Ok(length) => {
                    // The kernel gives a regular file's bytes as long as there are any: the first line is among them.
                    long_shebang.get_or_insert_with(|| has_long_shebang(&buffer[..length]));
                    hasher.update(&buffer[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What tells one file from another, whatever its names.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Noted(usize),
    Inode(u64, u64),
}

/// Opens a listed file; `None` if its inode came before.
fn open_listed(
    tree: &Tree,
    path: &Path,
    notes: Option<&Notes>,
    seen: &mut HashSet<Identity>,
) -> Result<Option<Listed>, RelocateError> {
    let noted = notes.and_then(|notes| notes.find_file(path)).map(|(number, note)| (number, note.size));
    if noted.is_some_and(|(number, _)| seen.contains(&Identity::Noted(number))) {
        return Ok(None);
    }
    let file = tree.file(path).map_err(|source| open_error(path, source))?;
    let (identity, size) = match noted {
        Some((number, size)) => (Identity::Noted(number), size),
        None => {
            let metadata = file.metadata().map_err(|source| io_error("read", path, source))?;
            if !metadata.is_file() {
                return Err(RelocateError::WrongType { path: path.to_owned(), expected: "regular file" });
            }
            (Identity::Inode(metadata.dev(), metadata.ino()), metadata.len())
        }
    };
    // Not only files of several names: a list may name one twice.
    let number = noted.map(|(number, _)| number);
    Ok(seen.insert(identity).then_some(Listed { file, size, number }))
}

fn relocate_link(
    tree: &Tree,
    map: &PrefixMap,
    path: &Path,
    notes: Option<&mut Notes>,
) -> Result<bool, RelocateError> {
    // Prefixes are absolute, so a relative target never matches.
    let noted = notes.as_deref().and_then(|notes| match notes.find(path) {
        Some((number, Note { noted: Noted::Symlink(target), .. })) => {
            Some((number, map.replace_start(target.as_bytes())))
        }
        _ => None,
    });
    if matches!(noted, Some((_, None))) {
        return Ok(false);
    }
    let (directory, name) = tree.parent(path).map_err(|source| open_error(path, source))?;
    let (number, target) = match noted {
        Some((number, target)) => (Some(number), target),
        None => match rustix::fs::readlinkat(&directory, name, Vec::new()) {
            Ok(target) => (None, map.replace_start(target.as_bytes())),
            Err(rustix::io::Errno::INVAL) => {
                return Err(RelocateError::WrongType { path: path.to_owned(), expected: "symbolic link" });
            }
            Err(errno) => return Err(open_error(path, errno.into())),
        },
    };
    let Some(target) = target else { return Ok(false) };
    rustix::fs::unlinkat(&directory, name, rustix::fs::AtFlags::empty())
        .and_then(|()| rustix::fs::symlinkat(&target, &directory, name))
        .map_err(|errno| io_error("replace link", path, errno.into()))?;
    if let (Some(notes), Some(number)) = (notes, number) {
        notes.led_to(number, &target);
    }
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
