//! What an ELF file needs of others, and whether another is of its kind.

use super::layout::Layout;
use super::parse::{DT_NEEDED, Elf};

/// What decides whether two files can be loaded into one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// ET_DYN: a shared library, or an executable that can be loaded anywhere.
    is_library: bool,
    machine: u16,
    class_and_order: [u8; 2],
}

impl Kind {
    /// Whether a file of this kind can be a library of one of the other kind.
    pub(crate) fn is_library_for(self, other: Self) -> bool {
        self.is_library && (self.machine, self.class_and_order) == (other.machine, other.class_and_order)
    }
}

/// What a file needs.
#[derive(Debug)]
pub(crate) struct Needs {
    /// The libraries, by name or path.
    pub(crate) libraries: Vec<Vec<u8>>,
    /// Where they are looked for, with colons between; empty if nothing is said.
    pub(crate) rpath: Vec<u8>,
}

/// The kind of the file that begins with `bytes`, of which 64 are enough; none for what is neither executable nor library.
pub(crate) fn kind(bytes: &[u8]) -> Option<Kind> {
    let layout = Layout::of(bytes)?;
    let file_type = layout.u16(bytes, 16)?;
    let is_library = match file_type {
        2 => false,
        3 => true,
        _ => return None,
    };
    let class_and_order = [*bytes.get(4)?, *bytes.get(5)?];
    Some(Kind { is_library, machine: layout.u16(bytes, 18)?, class_and_order })
}

/// What the file needs; none if it is no ELF file or needs nothing.
pub(crate) fn needs(bytes: &[u8]) -> Option<Needs> {
    let elf = Elf::parse(bytes)?;
    let strings = elf.strings.as_ref()?;
    let table = bytes.get(strings.range.clone())?;
    let needed = elf.dynamic.iter().filter(|entry| entry.tag == DT_NEEDED);
    let libraries = needed.map(|entry| {
        let name = table.get(usize::try_from(entry.value).ok()?..)?;
        Some(name[..memchr::memchr(0, name)?].to_vec())
    });
    let libraries: Vec<Vec<u8>> = libraries.collect::<Option<_>>()?;
    let rpath = elf.rpath.as_ref().map(|rpath| bytes[rpath.range.clone()].to_vec()).unwrap_or_default();
    (!libraries.is_empty()).then_some(Needs { libraries, rpath })
}
