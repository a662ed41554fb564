//! What the prefixes of several packages come to when they are put into one directory.
//!
//! The rules are those of `SourceMergeVisitor` and `visit_directory_tree` in Spack's `link_tree.py` and `filesystem.py`:
//! - Directories are real ones. A link to a directory counts as one if it leads further down and is at most two levels below
//!   the prefix, so that `lib64 -> lib` of one package and `lib64` of another go together; else it is shown as a file.
//! - Of files that several packages have, the first one's counts. It is no conflict if both are the same file; then that
//!   which is no link counts.
//! - A file where another package has a directory cannot be, unless it is a link to that very directory.

use super::ViewError;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Where a prefix keeps what Spack knows of the package.
const METADATA: &str = ".spack";

/// How far below its prefix a link to a directory may be to count as one: the prefix's own entries have depth 0.
const DEEPEST_LINKED_DIRECTORY: usize = 1;

/// Two things that want to be at one place of a view.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Conflict {
    /// The place, relative to the view.
    pub path: PathBuf,
    /// What came first, absolute; relative to the view if it is a directory that a projection names.
    pub first: PathBuf,
    /// What came then.
    pub second: PathBuf,
}

/// `bin/x: /prefix/of/a/bin/x and /prefix/of/b/bin/x`
impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} and {}", self.path.display(), self.first.display(), self.second.display())
    }
}

/// A file of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedFile {
    /// Where it is, relative to the view.
    pub path: PathBuf,
    /// Whose file it is, absolute.
    pub source: PathBuf,
    /// The package, as the number it was given.
    pub package: usize,
    /// Whether it is in the package's own directory of metadata.
    pub is_metadata: bool,
}

/// A view, as it is to be.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// Its directories, relative to it, parents first.
    pub directories: Vec<PathBuf>,
    /// Its files, by path.
    pub files: Vec<MergedFile>,
    /// Files that are not shown because an earlier package has one of that name.
    pub conflicts: Vec<Conflict>,
}

/// What is at a path of the view.
#[derive(Debug)]
struct Place {
    is_file: bool,
    /// Absolute, or relative for a directory of a projection.
    source: PathBuf,
    package: usize,
    is_metadata: bool,
}

/// Puts prefixes together, one after the other.
#[derive(Debug, Default)]
pub struct Merger {
    places: BTreeMap<PathBuf, Place>,
    conflicts: Vec<Conflict>,
    fatal: Vec<Conflict>,
}

/// A walk through one directory tree.
#[derive(Clone, Copy)]
struct Walk<'a> {
    /// Where it begins, absolute.
    root: &'a Path,
    /// Where that goes, relative to the view.
    projection: &'a Path,
    package: usize,
    is_metadata: bool,
}

impl Merger {
    /// Adds the files of `package`, all but its metadata, below `projection`, a path relative to the view without `.` and
    /// `..`.
    pub fn add(&mut self, package: usize, prefix: &Path, projection: &Path) -> Result<(), ViewError> {
        self.walk(Walk { root: prefix, projection, package, is_metadata: false })
    }

    /// Adds the metadata of `package` at `.spack/NAME` below `projection`. Comes after all files.
    pub fn add_metadata(
        &mut self,
        package: usize,
        name: &str,
        prefix: &Path,
        projection: &Path,
    ) -> Result<(), ViewError> {
        let projection = projection.join(METADATA).join(name);
        self.walk(Walk { root: &prefix.join(METADATA), projection: &projection, package, is_metadata: true })
    }

    /// What came of it. `root` is the view, for messages.
    ///
    /// # Errors
    /// [`ViewError::Blocked`].
    pub fn finish(self, root: &Path) -> Result<Merged, ViewError> {
        if !self.fatal.is_empty() {
            return Err(ViewError::Blocked { root: root.to_owned(), conflicts: self.fatal });
        }
        let mut merged = Merged { conflicts: self.conflicts, ..Merged::default() };
        for (path, place) in self.places {
            if place.is_file {
                let Place { source, package, is_metadata, .. } = place;
                merged.files.push(MergedFile { path, source, package, is_metadata });
            } else {
                merged.directories.push(path);
            }
        }
        // A path sorts by its components, so parents come before what is in them.
        Ok(merged)
    }

    fn walk(&mut self, walk: Walk<'_>) -> Result<(), ViewError> {
        let mut path = PathBuf::new();
        for component in walk.projection.components() {
            let Component::Normal(part) = component else { continue };
            path.push(part);
            match self.places.entry(path.clone()) {
                Entry::Occupied(taken) if taken.get().is_file => {
                    let conflict = Conflict {
                        path: path.clone(),
                        first: taken.get().source.clone(),
                        second: path.clone(),
                    };
                    self.fatal.push(conflict);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => {
                    free.insert(walk.place(false, path.clone()));
                }
            }
        }
        self.directory(walk, Path::new(""), 0)
    }

    /// Everything in the directory `below` the root of the walk.
    fn directory(&mut self, walk: Walk<'_>, below: &Path, depth: usize) -> Result<(), ViewError> {
        let directory = walk.root.join(below);
        let failed = |error| ViewError::io("read", &directory)(error);
        let entries = std::fs::read_dir(&directory).map_err(failed)?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            if !walk.is_metadata && name == OsStr::new(METADATA) {
                continue;
            }
            let source = directory.join(&name);
            let below = below.join(&name);
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                let leads_to_directory = std::fs::metadata(&source).is_ok_and(|file| file.is_dir());
                let is_directory = leads_to_directory
                    && depth <= DEEPEST_LINKED_DIRECTORY
                    && leads_down(&directory, &source);
                if !is_directory {
                    self.file(walk, &below, source, true);
                } else if self.enters(walk, &below, source) {
                    self.directory(walk, &below, depth + 1)?;
                }
            } else if kind.is_dir() {
                if self.enters(walk, &below, source) {
                    self.directory(walk, &below, depth + 1)?;
                }
            } else {
                self.file(walk, &below, source, false);
            }
        }
        Ok(())
    }

    /// Takes note of a directory; whether what is in it is to be looked at.
    fn enters(&mut self, walk: Walk<'_>, below: &Path, source: PathBuf) -> bool {
        match self.places.entry(walk.projection.join(below)) {
            Entry::Vacant(free) => {
                free.insert(walk.place(false, source));
            }
            Entry::Occupied(mut taken) if taken.get().is_file => {
                if !is_same_file(&taken.get().source, &source) {
                    let path = taken.key().clone();
                    self.fatal.push(Conflict { path, first: taken.get().source.clone(), second: source });
                    return false;
                }
                // A link to this directory, which gives way.
                taken.insert(walk.place(false, source));
            }
            Entry::Occupied(_) => {}
        }
        true
    }

    /// Takes note of a file, or of a link.
    fn file(&mut self, walk: Walk<'_>, below: &Path, source: PathBuf, is_link: bool) {
        match self.places.entry(walk.projection.join(below)) {
            Entry::Vacant(free) => {
                free.insert(walk.place(true, source));
            }
            Entry::Occupied(mut taken) => {
                let is_same = is_same_file(&taken.get().source, &source);
                let conflict = |taken: &Path, first: &Path| Conflict {
                    path: taken.to_owned(),
                    first: first.to_owned(),
                    second: source.clone(),
                };
                if !taken.get().is_file {
                    if !is_link || !is_same {
                        self.fatal.push(conflict(taken.key(), &taken.get().source));
                    }
                } else if !is_same {
                    let conflicts = if walk.is_metadata { &mut self.fatal } else { &mut self.conflicts };
                    conflicts.push(conflict(taken.key(), &taken.get().source));
                } else if !is_link {
                    // Of one file and a link to it, the file: a copy of the link would lead out of the view.
                    taken.insert(walk.place(true, source));
                }
            }
        }
    }
}

impl Walk<'_> {
    fn place(self, is_file: bool, source: PathBuf) -> Place {
        Place { is_file, source, package: self.package, is_metadata: self.is_metadata }
    }
}

/// Whether a link to a directory leads to what is below the directory it is in. As Spack has it: by the text of the paths.
fn leads_down(directory: &Path, link: &Path) -> bool {
    let (Ok(parent), Ok(child)) = (directory.canonicalize(), link.canonicalize()) else { return false };
    child.as_os_str().as_bytes().starts_with(parent.as_os_str().as_bytes())
}

/// Whether both are the same file in the end.
fn is_same_file(first: &Path, second: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    first.is_absolute() && matches!((identity(first), identity(second)), (Some(a), Some(b)) if a == b)
}
