//! What still names an old prefix after relocation, by kind of file.
//!
//! Spack lists only ELF, Mach-O and text files for relocation. Static archives, Python bytecode and compiled
//! terminfo keep the paths of the machine they were made on, which is mostly harmless and sometimes explains why
//! something does not work. Counting reads every file, so it is a step of its own.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::RelocateError;
use super::large::{WINDOW, Window};
use super::prefix_map::PrefixMap;
use crate::prefix_finder::PrefixFinder;

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
    let Ok(search) = Search::new(map) else { return Ok(leftovers) };
    let mut buffer = Vec::new();
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
                let looked_at = File::open(root.join(&path))
                    .and_then(|file| search.look_at(&path, file, WINDOW, &mut buffer))
                    .map_err(|source| io_error(&path, source))?;
                if let (kind, count @ 1..) = looked_at {
                    leftovers.by_kind.entry(kind).or_default().push((path, count));
                }
            }
        }
    }
    leftovers.by_kind.values_mut().for_each(|files| files.sort());
    Ok(leftovers)
}

/// Looks for the old prefixes, and for the new ones that hide them.
struct Search {
    finder: PrefixFinder,
    /// For each prefix of the finder, whether it is an old one.
    is_old: Vec<bool>,
}

impl Search {
    fn new(map: &PrefixMap) -> Result<Search, aho_corasick::BuildError> {
        let old = map.pairs().iter().map(|pair| (&pair.old[..], true));
        let new = map.pairs().iter().map(|pair| (&pair.new[..], false));
        let mut prefixes: Vec<(&[u8], bool)> = old.chain(new).collect();
        // The longest first: a new prefix that begins with an old one hides it.
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let finder = PrefixFinder::new(prefixes.iter().map(|&(prefix, _)| prefix))?;
        Ok(Search { finder, is_old: prefixes.iter().map(|&(_, is_old)| is_old).collect() })
    }

    /// The kind of a file, and how often it names an old prefix.
    fn look_at(
        &self,
        path: &Path,
        content: impl io::Read,
        window: usize,
        buffer: &mut Vec<u8>,
    ) -> io::Result<(LeftoverKind, usize)> {
        let sight = self.finder.longest();
        let mut window = Window::new(content, window.max(2 * sight).max(16), buffer)?;
        let mut kind = kind_of(path, window.bytes());
        let mut count = 0;
        loop {
            let decided = window.decided(sight);
            let bytes = &*window.bytes();
            let mut from = 0;
            while let Some(found) = self.finder.find(bytes, from).filter(|found| found.start < decided) {
                count += usize::from(self.is_old[found.place]);
                from = found.end;
            }
            if kind == LeftoverKind::Text && memchr::memchr(0, bytes).is_some() {
                kind = LeftoverKind::Other;
            }
            if window.is_last() {
                return Ok((kind, count));
            }
            window.advance(from.max(decided))?;
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> RelocateError {
    RelocateError::Io { action: "read", path: path.to_owned(), source }
}

/// The kind of a file by its name and first bytes; text if nothing speaks against it.
fn kind_of(path: &Path, start: &[u8]) -> LeftoverKind {
    if start.starts_with(b"\x7fELF") {
        LeftoverKind::Elf
    } else if start.starts_with(b"!<arch>\n") {
        LeftoverKind::StaticArchive
    } else if path.extension().is_some_and(|extension| extension == "pyc") {
        LeftoverKind::PythonBytecode
    } else if start.starts_with(&[0x1a, 0x01]) || start.starts_with(&[0x1e, 0x02]) {
        // term(5): octal 0432, and 01036 for 32-bit numbers.
        LeftoverKind::Terminfo
    } else {
        LeftoverKind::Text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn the_size_of_the_window_does_not_matter(
            pairs in prop::collection::vec(("/[ab/]{0,4}", "(/[ab/]{0,4}|/ab/a)"), 1..4),
            text in "([/ab]|/a|/a/b|\0){0,80}",
            size in 1usize..24,
        ) {
            let map = PrefixMap::new(pairs).unwrap();
            let search = Search::new(&map).unwrap();
            let mut buffer = Vec::new();
            let mut look_at = |size| search.look_at(Path::new("x"), text.as_bytes(), size, &mut buffer).unwrap();
            prop_assert_eq!(look_at(size), look_at(1000));
        }
    }
}
