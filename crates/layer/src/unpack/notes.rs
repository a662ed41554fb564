//! What is known of a package's files since they were written, so that none is read again to find it out.
//!
//! Relocation keeps the notes true: see [`Notes::rewritten`].

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use super::names::{Names, What};

/// Bytes of the header of Python byte-code.
pub(crate) const BYTECODE_HEADER: usize = 16;

/// Everything in a package's prefix, the prefix first, in the order of the paths.
#[derive(Clone, Debug)]
pub struct Notes {
    notes: Vec<Note>,
}

/// What is known of one path.
#[derive(Clone, Debug)]
pub struct Note {
    /// Relative to the prefix; empty for the prefix itself.
    pub path: PathBuf,
    /// Mode and owner; for a name of a file that has several, those of [`Noted::HardLink`]'s file count.
    pub owned: Owned,
    /// What it is.
    pub noted: Noted,
}

/// What a path is.
#[derive(Clone, Debug)]
pub enum Noted {
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(OsString),
    /// A regular file.
    File(FileNote),
    /// Another name of the regular file with this number in the notes.
    HardLink(usize),
}

/// Whose something is, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// As `st_mode`, with the bits of the file type.
    pub mode: u32,
    /// User id.
    pub owner: u32,
    /// Group id.
    pub group: u32,
}

impl Owned {
    pub(crate) fn from_stat(stat: &Stat) -> Self {
        Owned { mode: stat.st_mode, owner: stat.st_uid, group: stat.st_gid }
    }
}

/// What is known of a regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNote {
    /// SHA-1 of the contents.
    pub sha1: [u8; 20],
    /// Bytes in it.
    pub size: u64,
    /// Time of the last modification: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// Whether contents, time, mode and owner are those that it was unpacked with.
    pub as_unpacked: bool,
    /// Whether it has other names.
    pub(crate) shared: bool,
    /// Whether its first line is a `#!` line that some kernels would cut.
    pub(crate) long_shebang: bool,
    /// The first bytes of a file in a `__pycache__`.
    pub(crate) bytecode: Option<Box<[u8; BYTECODE_HEADER]>>,
}

impl FileNote {
    pub(crate) fn new(stat: &Stat, sha1: [u8; 20], long_shebang: bool) -> Self {
        FileNote {
            sha1,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
            as_unpacked: true,
            shared: false,
            long_shebang,
            bytecode: None,
        }
    }
}

/// What is known of a file that was just written.
pub(super) struct Written {
    pub(super) owned: Owned,
    pub(super) file: FileNote,
    pub(super) bytecode: Option<[u8; BYTECODE_HEADER]>,
}

/// What the system makes of all that is no file.
#[derive(Clone, Copy)]
pub(super) struct OwnedByKind {
    pub(super) prefix: Owned,
    pub(super) directory: Owned,
    pub(super) symlink: Owned,
}

impl Notes {
    /// Of what lies below `prefix`, a directory of `names`; `written` says what became of a file.
    pub(super) fn of(
        names: &Names,
        prefix: u32,
        owned: OwnedByKind,
        mut written: impl FnMut(u32) -> Option<(Owned, FileNote)>,
    ) -> Self {
        let mut notes = Vec::new();
        let mut numbers = vec![usize::MAX; names.len()];
        let mut links = Vec::new();
        let mut waiting = vec![(prefix, PathBuf::new())];
        while let Some((node, path)) = waiting.pop() {
            numbers[node as usize] = notes.len();
            let (owned, noted) = match names.what(node) {
                What::Directory(children) => {
                    let mut children: Vec<_> = children.iter().collect();
                    children.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
                    waiting.extend(
                        children
                            .into_iter()
                            .map(|(base, child)| (*child, path.join(OsStr::from_bytes(base)))),
                    );
                    (if node == prefix { owned.prefix } else { owned.directory }, Noted::Directory)
                }
                What::Symlink(target) => {
                    (owned.symlink, Noted::Symlink(OsStr::from_bytes(target).to_owned()))
                }
                What::File => match written(node) {
                    Some((owned, file)) => (owned, Noted::File(file)),
                    None => continue,
                },
                What::HardLink(first) => {
                    links.push((notes.len(), *first));
                    (owned.directory, Noted::HardLink(usize::MAX))
                }
            };
            notes.push(Note { path, owned, noted });
        }
        let mut notes = Notes { notes };
        for (link, first) in links {
            let first = numbers[first as usize];
            let owned = notes.notes.get_mut(first).map(|note| {
                if let Noted::File(file) = &mut note.noted {
                    file.shared = true;
                }
                note.owned
            });
            notes.notes[link].noted = Noted::HardLink(first);
            notes.notes[link].owned = owned.unwrap_or(notes.notes[link].owned);
        }
        notes
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Note> {
        self.notes.iter()
    }

    /// What is known of the regular file that `note` is a name of, if it is one.
    pub fn file<'n>(&'n self, note: &'n Note) -> Option<&'n FileNote> {
        match &note.noted {
            Noted::File(file) => Some(file),
            Noted::HardLink(first) => match &self.notes.get(*first)?.noted {
                Noted::File(file) => Some(file),
                _ => None,
            },
            _ => None,
        }
    }

    /// The note of `path` and its number.
    pub(crate) fn find(&self, path: &Path) -> Option<(usize, &Note)> {
        let number = self.notes.binary_search_by(|note| note.path.as_path().cmp(path)).ok()?;
        Some((number, &self.notes[number]))
    }

    /// The number of the regular file that `path` is a name of, and what is known of it.
    pub(crate) fn find_file(&self, path: &Path) -> Option<(usize, &FileNote)> {
        let (number, note) = self.find(path)?;
        let number = if let Noted::HardLink(first) = note.noted { first } else { number };
        Some((number, self.file(note)?))
    }

    /// The executable files whose first line is long, with their numbers.
    pub(crate) fn long_shebangs(&self) -> Vec<(usize, PathBuf)> {
        let is_one = |note: &Note| {
            note.owned.mode & 0o111 != 0 && matches!(&note.noted, Noted::File(file) if file.long_shebang)
        };
        let notes = self.notes.iter().enumerate().filter(|(_, note)| is_one(note));
        notes.map(|(number, note)| (number, note.path.clone())).collect()
    }

    /// The file with this number has other contents now, of which `stat` tells size and time.
    pub(crate) fn rewritten(&mut self, number: usize, stat: &Stat, sha1: [u8; 20], long_shebang: bool) {
        if let Noted::File(note) = &mut self.notes[number].noted {
            let (shared, bytecode) = (note.shared, note.bytecode.take());
            *note =
                FileNote { as_unpacked: false, shared, bytecode, ..FileNote::new(stat, sha1, long_shebang) };
        }
    }

    /// The file with this number has been given another time.
    pub(crate) fn dated(&mut self, number: usize, modified: (i64, u32)) {
        if let Noted::File(note) = &mut self.notes[number].noted {
            (note.modified, note.as_unpacked) = (modified, false);
        }
    }

    /// Calls `replace` with each regular file that has one name: it may put another file with the same contents, mode and
    /// owner in its place, and says when that was modified last.
    pub fn replace_files(&mut self, mut replace: impl FnMut(&Path, Owned, &FileNote) -> Option<(i64, u32)>) {
        for Note { path, owned, noted } in &mut self.notes {
            if let Noted::File(file) = noted
                && !file.shared
                && let Some(modified) = replace(path, *owned, file)
            {
                file.modified = modified;
            }
        }
    }

    /// The symbolic link with this number leads to `target` now.
    pub(crate) fn led_to(&mut self, number: usize, target: &[u8]) {
        self.notes[number].noted = Noted::Symlink(OsStr::from_bytes(target).to_owned());
    }

    /// Asks for the modes and owners of everything anew, after they were set. `place` says where a path lies.
    ///
    /// # Errors
    /// What could not be looked at, and why.
    pub fn look_at_owners(&mut self, place: impl Fn(&Path) -> PathBuf) -> Result<(), (PathBuf, io::Error)> {
        for note in &mut self.notes {
            let place = place(&note.path);
            match rustix::fs::lstat(&place) {
                Ok(stat) => {
                    let owned = Owned::from_stat(&stat);
                    if let Noted::File(file) = &mut note.noted {
                        file.as_unpacked &= owned == note.owned;
                    }
                    note.owned = owned;
                }
                Err(errno) => return Err((place, errno.into())),
            }
        }
        Ok(())
    }
}
