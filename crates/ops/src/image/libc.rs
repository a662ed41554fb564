//! The C library that programs of an image are loaded with, found in its layers: what the dynamic loader leads to, through
//! links that may be in other layers than what they point at.
//!
//! Layers are read from the topmost one down, until the loader leads somewhere: what is above hides what is below.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::host::libc::glibc;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::ops::ControlFlow;
use strata_layer::contents::{EntryKind, for_each_entry};
use strata_oci::{Descriptor, Repository};
use strata_spec::host::Libc;

/// A C library is smaller than this; no more is read of a file that is named like one.
const LARGEST: u64 = 64 << 20;
/// Links beyond this many are not followed from one to the next.
const MOST_LINKS: usize = 40;
/// More names than any image has; what is beyond is left out.
const MOST_NAMES: usize = 4 << 20;

/// The C library of the image whose layers these are; none if there is none.
pub(crate) fn of_layers(
    repository: &dyn Repository,
    layers: &[Descriptor],
    architecture: &str,
) -> Result<Option<Libc>, Error> {
    let mut tree = Tree::new(architecture);
    for layer in layers.iter().rev() {
        let place = || format!("{} {}", repository.url(), layer.digest);
        let read = tree.add(repository.blob(layer)?);
        read.map_err(|error| Error::from(strata_oci::Error::from_read(error, place())))?;
        if let Some(libc) = tree.of_loader() {
            return Ok(Some(libc));
        }
    }
    Ok(tree.of_library())
}

/// What an entry of the image is, as far as it matters.
#[derive(Debug)]
enum Entry {
    /// A file that is named like a C library or its loader: which it is, if it says so.
    Library(Option<Libc>),
    /// A link, and where it points.
    Link(Vec<u8>),
    /// Another name of an entry of the same layer.
    Same(Vec<u8>),
}

/// The part of an image's files that leads to its C library.
struct Tree {
    architecture: String,
    entries: HashMap<Vec<u8>, Entry>,
    /// What layers that were read hide of those below: names, with all that is in them.
    removed: HashSet<Vec<u8>>,
    /// Directories of which nothing is seen that layers below have in them.
    opaque: HashSet<Vec<u8>>,
}

impl Tree {
    fn new(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            entries: HashMap::new(),
            removed: HashSet::new(),
            opaque: HashSet::new(),
        }
    }

    /// Takes what the next layer below adds.
    fn add(&mut self, layer: impl Read) -> io::Result<()> {
        let (mut removed, mut opaque, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for_each_entry(layer, |name: &[u8], kind, content| -> io::Result<ControlFlow<()>> {
            let name = name.strip_suffix(b"/").unwrap_or(name);
            let (directory, base) = split(name);
            if base == b".wh..wh..opq" {
                opaque.push(directory.to_vec());
            } else if let Some(hidden) = base.strip_prefix(b".wh.") {
                removed.push(join(directory, hidden));
            } else if self.hides(name) || found.len() + self.entries.len() > MOST_NAMES {
                return Ok(ControlFlow::Continue(()));
            } else {
                match kind {
                    EntryKind::Symlink(target) => found.push((name.to_vec(), Entry::Link(target.clone()))),
                    EntryKind::HardLink(target) if is_library(base) => {
                        found.push((name.to_vec(), Entry::Same(target.clone())));
                    }
                    EntryKind::File { .. } if is_library(base) => {
                        let mut bytes = Vec::new();
                        content.take(LARGEST).read_to_end(&mut bytes)?;
                        found.push((name.to_vec(), Entry::Library(self.library(&bytes))));
                    }
                    _ => {}
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.entries.extend(found);
        self.removed.extend(removed);
        self.opaque.extend(opaque);
        Ok(())
    }

    /// Whether layers above have something else under that name, or nothing.
    fn hides(&self, name: &[u8]) -> bool {
        if self.removed.contains(name) || self.entries.contains_key(name) {
            return true;
        }
        let mut directory = split(name).0;
        loop {
            let is_hidden = self.removed.contains(directory) || self.opaque.contains(directory);
            if is_hidden || self.entries.contains_key(directory) {
                return true;
            }
            if directory.is_empty() {
                return false;
            }
            directory = split(directory).0;
        }
    }

    /// Which C library a file is, unless it is for another machine.
    fn library(&self, content: &[u8]) -> Option<Libc> {
        if machine(content).is_some_and(|machine| machine != self.architecture) {
            return None;
        }
        glibc(content).or_else(|| musl(content))
    }

    /// The C library that a loader leads to, where loaders are.
    fn of_loader(&self) -> Option<Libc> {
        let mut loaders = self.in_system_directories(|base| {
            (base.starts_with(b"ld-linux") || base.starts_with(b"ld64.so.") || base.starts_with(b"ld-musl-"))
                && contains(base, b".so.")
        });
        // Where both are, the one of glibc is what most of the image is loaded with.
        loaders.sort_by_key(|path| (contains(path, b"musl"), path.len(), path.clone()));
        loaders.into_iter().find_map(|loader| {
            let real = self.follow(&loader)?;
            let beside = join(split(&real).0, b"libc.so.6");
            self.known(&real).or_else(|| self.known(&self.follow(&beside)?))
        })
    }

    /// The C library in a directory of libraries, where there is no loader.
    fn of_library(&self) -> Option<Libc> {
        let mut paths =
            self.in_system_directories(|base| base == b"libc.so.6" || base.starts_with(b"libc.musl-"));
        paths.sort();
        paths.into_iter().find_map(|path| self.known(&self.follow(&path)?))
    }

    fn in_system_directories(&self, is_meant: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let paths = self.entries.keys().filter(|path| {
            let (directory, base) = split(path);
            is_meant(base) && is_system(directory)
        });
        paths.cloned().collect()
    }

    fn known(&self, path: &[u8]) -> Option<Libc> {
        match self.entries.get(path)? {
            Entry::Library(libc) => libc.clone(),
            Entry::Link(_) | Entry::Same(_) => None,
        }
    }

    /// The path that `path` leads to, all links followed; none if they lead in a circle.
    fn follow(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut links = 0;
        let mut done: Vec<u8> = Vec::new();
        let mut rest: Vec<Vec<u8>> = components(path).rev().map(<[u8]>::to_vec).collect();
        while let Some(component) = rest.pop() {
            if component == b".." {
                done.truncate(split(&done).0.len());
                continue;
            }
            let next = join(&done, &component);
            match self.entries.get(&next) {
                Some(Entry::Link(target)) => {
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    rest.extend(components(target).rev().map(<[u8]>::to_vec));
                }
                Some(Entry::Same(target)) => {
                    done.clear();
                    rest.extend(components(target).rev().map(<[u8]>::to_vec));
                }
                _ => {
                    done = next;
                    continue;
                }
            }
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
        }
        Some(done)
    }
}

/// Whether a file of that name may be a C library or its loader: `libc.so.6`, `libc-2.28.so`, `ld-2.28.so`,
/// `ld-linux-x86-64.so.2`, `ld-musl-x86_64.so.1`, `libc.so`.
fn is_library(base: &[u8]) -> bool {
    let begins = [b"libc.so".as_slice(), b"libc-", b"libc.musl-", b"ld-", b"ld64.so.", b"ld.so"];
    begins.iter().any(|begin| base.starts_with(begin)) && contains(base, b".so")
}

/// Whether the loader looks for libraries in that directory without being told to: `lib`, `usr/lib64`,
/// `lib/x86_64-linux-gnu`.
fn is_system(directory: &[u8]) -> bool {
    let directory = directory.strip_prefix(b"usr/").unwrap_or(directory);
    match directory.strip_prefix(b"lib/") {
        Some(triplet) => !triplet.contains(&b'/') && contains(triplet, b"-linux-"),
        None => matches!(directory, b"lib" | b"lib64"),
    }
}

/// The architecture that an ELF file is for, if it is one that is known.
fn machine(content: &[u8]) -> Option<&'static str> {
    let header = content.get(..20).filter(|header| header.starts_with(b"\x7fELF"))?;
    let bytes = [header[18], header[19]];
    let big = header[5] == 2;
    let number = if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    Some(match (number, header[4], big) {
        (3, ..) => "386",
        (20 | 21, 1, _) => "ppc",
        (21, 2, false) => "ppc64le",
        (21, 2, true) => "ppc64",
        (22, ..) => "s390x",
        (40, ..) => "arm",
        (62, 2, _) => "amd64",
        // What x32 programs are loaded with.
        (62, ..) => "x32",
        (183, ..) => "arm64",
        (243, 2, _) => "riscv64",
        (258, 2, _) => "loong64",
        _ => return None,
    })
}

/// musl, in the loader that is the library itself. Its version is a string of its own, which says nothing of what it is:
/// told only if there is one string of the kind.
fn musl(content: &[u8]) -> Option<Libc> {
    memchr::memmem::find(content, b"musl libc (")?;
    let mut versions: Vec<&str> = content
        .split(|byte| *byte == 0)
        .filter(|text| (5..=24).contains(&text.len()))
        .filter_map(|text| std::str::from_utf8(text).ok())
        .filter(|text| is_musl_version(text))
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let version = match versions.as_slice() {
        // As a whole: so does Spack write what it was built against.
        [version] => (*version).to_owned(),
        _ => String::new(),
    };
    Some(Libc { name: "musl".to_owned(), version })
}

/// `1.2.3`, or `1.2.3-git-5-gabcdef` of what is no release, which Alpine calls `1.2.3_git20230717`.
fn is_musl_version(text: &str) -> bool {
    let (number, rest) = text.split_once(['-', '_']).unwrap_or((text, "git"));
    let mut parts = number.split('.');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let begins = matches!(parts.next(), Some("0" | "1"));
    begins
        && is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_none()
        && rest.starts_with("git")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Directory and last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty() && *component != b".")
}
