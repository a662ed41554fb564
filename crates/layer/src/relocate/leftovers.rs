//! What still names an old prefix after relocation, by kind of file.
//!
//! Spack lists only ELF, Mach-O and text files for relocation. Static archives, Python bytecode and compiled
//! terminfo keep the paths of the machine they were made on, which is mostly harmless and sometimes explains why
//! something does not work. Counting reads every file, so it is a step of its own.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, MatchKind};

use super::RelocateError;
use super::prefix_map::PrefixMap;

/// A kind of file that may still name an old prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftoverKind {
    /// `ar` archives: object files, whose strings nobody relocates.
    StaticArchive,
    /// `.pyc`: marshalled strings with their lengths, which plain replacement would break.
    PythonBytecode,
    /// Compiled terminfo.
    Terminfo,
    /// ELF files of any type.
    Elf,
    /// No NUL byte in it.
    Text,
    /// Everything else.
    Other,
}

/// Files that name an old prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// For each kind the files, relative to the prefix and sorted, and how often each names an old prefix.
    pub by_kind: BTreeMap<LeftoverKind, Vec<(PathBuf, usize)>>,
}

impl Leftovers {
    /// The number of files.
    pub fn files(&self) -> usize {
        self.by_kind.values().map(Vec::len).sum()
    }
}

impl fmt::Display for LeftoverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftoverKind::StaticArchive => "static archive",
            LeftoverKind::PythonBytecode => "Python bytecode",
            LeftoverKind::Terminfo => "terminfo",
            LeftoverKind::Elf => "ELF",
            LeftoverKind::Text => "text",
            LeftoverKind::Other => "other",
        })
    }
}

/// Counts the old prefixes of `map` in all regular files below `root` but those in its `.spack`.
///
/// An old prefix within one of the new ones (`/opt/spack` in `/home/me/opt/spack`) does not count. A file with
/// several names is listed under the first in order.
///
/// # Errors
/// If a file or directory cannot be read.
pub fn leftovers(root: &Path, map: &PrefixMap) -> Result<Leftovers, RelocateError> {
    let mut leftovers = Leftovers::default();
    let pairs = map.pairs();
    let patterns = pairs.iter().map(|pair| &pair.old).chain(pairs.iter().map(|pair| &pair.new));
    // Longest: a new prefix that begins with an old one hides it.
    let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
    let Ok(finder) = finder else { return Ok(leftovers) };
    let mut seen = HashSet::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let failed = |source: io::Error| io_error(&directory, source);
        for entry in std::fs::read_dir(root.join(&directory)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = directory.join(entry.file_name());
            let kind = entry.file_type().map_err(|source| io_error(&path, source))?;
            if kind.is_dir() && path != Path::new(".spack") {
                directories.push(path);
            } else if kind.is_file() {
                let metadata = entry.metadata().map_err(|source| io_error(&path, source))?;
                if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) {
                    continue;
                }
                let bytes = std::fs::read(root.join(&path)).map_err(|source| io_error(&path, source))?;
                let count =
                    finder.find_iter(&bytes).filter(|found| found.pattern().as_usize() < pairs.len()).count();
                if count > 0 {
                    leftovers.by_kind.entry(kind_of(&path, &bytes)).or_default().push((path, count));
                }
            }
        }
    }
    leftovers.by_kind.values_mut().for_each(|files| files.sort());
    Ok(leftovers)
}

fn io_error(path: &Path, source: io::Error) -> RelocateError {
    RelocateError::Io { action: "read", path: path.to_owned(), source }
}

fn kind_of(path: &Path, bytes: &[u8]) -> LeftoverKind {
    if bytes.starts_with(b"\x7fELF") {
        LeftoverKind::Elf
    } else if bytes.starts_with(b"!<arch>\n") {
        LeftoverKind::StaticArchive
    } else if path.extension().is_some_and(|extension| extension == "pyc") {
        LeftoverKind::PythonBytecode
    } else if bytes.starts_with(&[0x1a, 0x01]) || bytes.starts_with(&[0x1e, 0x02]) {
        // term(5): octal 0432, and 01036 for 32-bit numbers.
        LeftoverKind::Terminfo
    } else if memchr::memchr(0, bytes).is_none() {
        LeftoverKind::Text
    } else {
        LeftoverKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_counted_by_kind() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("lib/a.a", b"!<arch>\n /old/x\0/old/y");
        write("lib/b.pyc", b"\x6f\x0d\x0d\x0a\0\0\0\0/old/x");
        write("share/terminfo/x", b"\x1a\x01/old/x");
        write("bin/c", b"\x7fELF /old/x");
        write("etc/d", b"/home/old/x /old2");
        write("etc/e", b"/home/old/x");
        write("f", b"\0/old");
        write(".spack/spec.json", b"/old");
        write("deep/.spack/g", b"/old");
        std::fs::hard_link(directory.path().join("f"), directory.path().join("f2")).unwrap();
        let map = PrefixMap::new([("/old", "/home/old")]).unwrap();
        let leftovers = leftovers(directory.path(), &map).unwrap();
        let found: Vec<(String, usize)> = leftovers
            .by_kind
            .iter()
            .flat_map(|(kind, files)| files.iter().map(move |(path, count)| (kind, path, count)))
            .map(|(kind, path, &count)| {
                (format!("{kind}: {}", path.display().to_string().replace("f2", "f")), count)
            })
            .collect();
        let expected = [
            ("static archive: lib/a.a", 2),
            ("Python bytecode: lib/b.pyc", 1),
            ("terminfo: share/terminfo/x", 1),
            ("ELF: bin/c", 1),
            ("text: deep/.spack/g", 1),
            ("text: etc/d", 1),
            ("other: f", 1),
        ];
        assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(leftovers.files(), 7);
    }
}
