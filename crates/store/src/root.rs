//! Where a store is: its root, padded or not, and what lies at fixed places in it.
//!
//! Spack can pad the root of an install tree (`config:install_tree:padded_length`) with components
//! `__spack_path_placeholder__`, so that binaries built there have room for any other root. The database and the
//! prefixes lie under the padded root; sbang lies under the unpadded one, since a shebang line must be short.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// One component of padding (`SPACK_PATH_PADDING_CHARS` in Spack's `util/path.py`).
const PLACEHOLDER: &str = "__spack_path_placeholder__";
/// What Spack ends a padding with that would else end in `/`.
const EXTRA: &str = "_";
/// A lone last component is taken for padding from this length on: nobody calls a directory `__spack_`.
const TELLING_LENGTH: usize = "__spack_".len();
/// Name of the database directory below the root.
pub(crate) const DATABASE_DIRECTORY: &str = ".spack-db";

/// Longest path of sbang, in bytes: what the oldest kernels in use allow a shebang line (Spack's
/// `system_shebang_limit` on Linux, which it applies to the path alone).
pub const LONGEST_SBANG_PATH: usize = 127;
/// Longest unpadded root, in bytes, under which sbang works.
pub const LONGEST_SBANG_ROOT: usize = LONGEST_SBANG_PATH - "/bin/sbang".len();

/// Why there is no store at a directory.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Nothing there that Spack or strata made.
    #[error("no Spack database at {}: give the root of an install tree", dir.display())]
    NoDatabase {
        /// Where one was expected.
        dir: PathBuf,
    },
    /// It cannot be said whether there is a store: the directory may not be looked into.
    #[error("cannot look into {}: {source}", dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Several padded roots below one directory, and nothing says which is meant.
    #[error("several Spack databases below {}: {}", dir.display(), list(found))]
    Ambiguous {
        /// The directory given.
        dir: PathBuf,
        /// The padded roots below it.
        found: Vec<PathBuf>,
    },
    /// A relative directory, and the working directory is gone.
    #[error("cannot make {} absolute: {source}", dir.display())]
    NotAbsolute {
        /// The directory given.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The root is too long for scripts behind sbang.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is too long for a shebang line: the root may have at most {longest_root} bytes, {} has {}",
    path.display(), root.display(), root.as_os_str().len()
)]
pub struct SbangTooLong {
    /// Where sbang would lie.
    pub path: PathBuf,
    /// The unpadded root.
    pub root: PathBuf,
    /// Length in bytes of the longest unpadded root that works.
    pub longest_root: usize,
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The root of an install tree. Both paths are absolute and have no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRoot {
    root: PathBuf,
    unpadded: PathBuf,
}

impl StoreRoot {
    /// The store at `dir` that has a database: `dir` is what `config:install_tree:root` names, padded underneath or
    /// not, or a padded root itself.
    ///
    /// # Errors
    /// [`RootError::NoDatabase`] if there is none, [`RootError::Ambiguous`] if there are several paddings,
    /// [`RootError::Unreadable`] if that cannot be said.
    pub fn open(dir: &Path) -> Result<Self, RootError> {
        let dir = absolute(dir)?;
        Self::find(&dir)?.ok_or(RootError::NoDatabase { dir })
    }

    /// The store at `dir`, or where a new one would be. Nothing is written.
    ///
    /// With `padded_length` the root is `dir` padded to that many characters, exactly as Spack pads it (`dir` as it
    /// is where it is too long already); without, an existing database at or below `dir` is found as by
    /// [`StoreRoot::open`], and else the root is the innermost of the padding directories that are there already, or
    /// `dir` if there are none.
    pub fn open_or_new(dir: &Path, padded_length: Option<usize>) -> Result<Self, RootError> {
        let dir = absolute(dir)?;
        if let Some(length) = padded_length {
            let unpadded = without_padding(&dir);
            return Ok(Self { root: padded(&unpadded, length), unpadded });
        }
        Ok(Self::find(&dir)?
            .unwrap_or_else(|| Self { unpadded: without_padding(&dir), root: innermost_padding(dir) }))
    }

    fn find(dir: &Path) -> Result<Option<Self>, RootError> {
        if has_database(dir)? {
            return Ok(Some(Self { root: dir.into(), unpadded: without_padding(dir) }));
        }
        let mut found = Vec::new();
        let mut level = Some(dir.to_path_buf());
        while let Some(at) = level.take() {
            for name in padding_below(&at) {
                let below = at.join(&name);
                if has_database(&below)? {
                    found.push(below.clone());
                }
                if name.as_bytes() == PLACEHOLDER.as_bytes() {
                    level = Some(below);
                }
            }
        }
        match found.len() {
            0 => Ok(None),
            1 => Ok(found.pop().map(|root| Self { root, unpadded: without_padding(dir) })),
            _ => Err(RootError::Ambiguous { dir: dir.into(), found }),
        }
    }

    /// The root that prefixes and the database lie under, padding included.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root without its padding.
    pub fn unpadded(&self) -> &Path {
        &self.unpadded
    }

    /// `.spack-db` of this store.
    pub fn database_directory(&self) -> PathBuf {
        self.root.join(DATABASE_DIRECTORY)
    }

    /// Where sbang lies: `bin/sbang` under the unpadded root.
    pub fn sbang_path(&self) -> Result<PathBuf, SbangTooLong> {
        let path = self.unpadded.join("bin/sbang");
        if path.as_os_str().len() > LONGEST_SBANG_PATH {
            return Err(SbangTooLong { path, root: self.unpadded.clone(), longest_root: LONGEST_SBANG_ROOT });
        }
        Ok(path)
    }
}

/// Whether there is a database directory in `root`.
pub(crate) fn has_database(root: &Path) -> Result<bool, RootError> {
    match root.join(DATABASE_DIRECTORY).metadata() {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(RootError::Unreadable { dir: root.into(), source })
        }
        Err(_) => Ok(false),
    }
}

/// Absolute, with `.` and `..` resolved in the text as Python's `normpath` does, which Spack applies to the root.
fn absolute(dir: &Path) -> Result<PathBuf, RootError> {
    let absolute =
        std::path::absolute(dir).map_err(|source| RootError::NotAbsolute { dir: dir.into(), source })?;
    let mut normal = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    Ok(normal)
}

/// Names in `dir` that can be a component of padding.
fn padding_below(dir: &Path) -> Vec<std::ffi::OsString> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.flatten().map(|e| e.file_name()).filter(|n| is_last_padding(n, 2)).collect();
    names.sort();
    names
}

/// The directory in `dir` that is nothing but padding all the way down; `dir` if there is none, or more than one.
fn innermost_padding(dir: PathBuf) -> PathBuf {
    let mut innermost = dir;
    while let [name] = &padding_below(&innermost)[..] {
        innermost.push(name);
    }
    innermost
}

/// `dir` without the components that pad it.
fn without_padding(dir: &Path) -> PathBuf {
    let is_full = |path: &Path| path.file_name() == Some(OsStr::new(PLACEHOLDER));
    let mut rest = dir;
    if let (Some(name), Some(parent)) = (dir.file_name(), dir.parent()) {
        let least = if is_full(parent) { 1 } else { TELLING_LENGTH };
        if is_last_padding(name, least) {
            rest = parent;
        }
    }
    while is_full(rest) {
        match rest.parent() {
            Some(parent) => rest = parent,
            None => break,
        }
    }
    rest.into()
}

/// Whether `name` can be the last component of padding: the placeholder, its first `least` or more characters, or
/// the placeholder and one character more.
fn is_last_padding(name: &OsStr, least: usize) -> bool {
    let name = name.as_bytes();
    name.len() >= least
        && (PLACEHOLDER.as_bytes().starts_with(name)
            || name.strip_suffix(EXTRA.as_bytes()) == Some(PLACEHOLDER.as_bytes()))
}

/// `path` padded to `length` characters (`add_padding` in Spack's `util/path.py`): unchanged where it has as many
/// already, or one less, which no component can fill.
fn padded(path: &Path, length: usize) -> PathBuf {
    let characters = path.to_str().map_or(path.as_os_str().len(), |text| text.chars().count());
    let Some(padding) = length.checked_sub(characters + 1).filter(|padding| *padding > 0) else {
        return path.into();
    };
    let (whole, rest) = (padding / (PLACEHOLDER.len() + 1), padding % (PLACEHOLDER.len() + 1));
    let mut components = vec![PLACEHOLDER.to_owned(); whole];
    match (rest, components.last_mut()) {
        (0, Some(last)) => last.push_str(EXTRA),
        _ => components.push(PLACEHOLDER[..rest].to_owned()),
    }
    path.join(components.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }

    #[test]
    fn padding_is_spacks() {
        // What Spack's add_padding gives.
        let p = PLACEHOLDER;
        for (path, length, expected) in [
            ("/opt/spack/opt/spack", 128, format!("/opt/spack/opt/spack/{p}/{p}/{p}/{p}")),
            ("/srv/padded", 128, format!("/srv/padded/{p}/{p}/{p}/{p}/__spack_")),
            ("/srv/padded", 39, format!("/srv/padded/{p}_")),
            ("/srv/padded", 38, format!("/srv/padded/{p}")),
            ("/srv/padded", 66, format!("/srv/padded/{p}/{p}_")),
            ("/srv/padded", 13, "/srv/padded/_".to_owned()),
            ("/srv/padded", 12, "/srv/padded".to_owned()),
            ("/srv/padded", 11, "/srv/padded".to_owned()),
            ("/srv/padded", 0, "/srv/padded".to_owned()),
        ] {
            assert_eq!(text(&padded(Path::new(path), length)), expected, "{path} to {length}");
        }
    }

    #[test]
    fn padding_comes_off_again() {
        for length in 0..300 {
            // One to seven characters of the placeholder alone could be anybody's directory.
            if !(13..20).contains(&length) {
                let root = padded(Path::new("/srv/padded"), length);
                assert_eq!(text(&without_padding(&root)), "/srv/padded", "{length}");
            }
        }
        assert_eq!(text(&without_padding(Path::new("/srv/_"))), "/srv/_");
    }

    proptest::proptest! {
        #[test]
        fn a_padded_root_has_the_length_asked_for(name in "[a-z]{1,80}", length in 0usize..4096) {
            let path = PathBuf::from(format!("/{name}"));
            let characters = name.len() + 1;
            let expected = if length < characters + 2 { characters } else { length };
            let root = padded(&path, length);
            proptest::prop_assert_eq!(root.as_os_str().len(), expected);
            proptest::prop_assert!(root.components().skip(2).all(|c| is_last_padding(c.as_os_str(), 1)));
        }
    }

    #[test]
    fn a_database_is_found_under_every_padding_and_from_within_it() {
        for length in [0, 60, 66, 67, 90, 128, 200] {
            let dir = tempfile::tempdir().unwrap();
            let new = StoreRoot::open_or_new(dir.path(), Some(length)).unwrap();
            assert!(matches!(StoreRoot::open(dir.path()), Err(RootError::NoDatabase { .. })));
            std::fs::create_dir_all(new.database_directory()).unwrap();
            for given in [dir.path(), new.root()] {
                assert_eq!(StoreRoot::open(given).unwrap(), new, "{length}");
                assert_eq!(StoreRoot::open_or_new(given, None).unwrap(), new, "{length}");
                assert_eq!(StoreRoot::open_or_new(given, Some(length)).unwrap(), new, "{length}");
            }
        }
    }

    #[test]
    fn padding_that_waits_for_a_database_is_used() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(StoreRoot::open_or_new(dir.path(), None).unwrap().root(), dir.path());
        let padded = StoreRoot::open_or_new(dir.path(), Some(128)).unwrap();
        std::fs::create_dir_all(padded.root()).unwrap();
        assert_eq!(StoreRoot::open_or_new(dir.path(), None).unwrap(), padded);
        // Two paddings: which one was meant is not to be guessed.
        let other = StoreRoot::open_or_new(dir.path(), Some(dir.path().as_os_str().len() + 12)).unwrap();
        std::fs::create_dir_all(other.root()).unwrap();
        assert_eq!(StoreRoot::open_or_new(dir.path(), None).unwrap().root(), dir.path());
    }

    #[test]
    fn the_database_at_the_directory_itself_wins_and_two_paddings_are_ambiguous() {
        let dir = tempfile::tempdir().unwrap();
        for length in [128, 200] {
            let root = StoreRoot::open_or_new(dir.path(), Some(length)).unwrap();
            std::fs::create_dir_all(root.database_directory()).unwrap();
        }
        let error = StoreRoot::open(dir.path()).unwrap_err();
        assert!(matches!(&error, RootError::Ambiguous { found, .. } if found.len() == 2), "{error}");
        std::fs::create_dir_all(dir.path().join(DATABASE_DIRECTORY)).unwrap();
        assert_eq!(StoreRoot::open(dir.path()).unwrap().root(), dir.path());
    }

    #[test]
    fn relative_and_untidy_directories_become_absolute() {
        let root = StoreRoot::open_or_new(Path::new("some/./store/x/../"), None).unwrap();
        assert_eq!(root.root(), std::env::current_dir().unwrap().join("some/store"));
        assert_eq!(root.unpadded(), root.root());
    }

    #[test]
    fn sbang_fits_up_to_117_bytes_of_root() {
        let root =
            |length: usize| StoreRoot::open_or_new(Path::new(&format!("/{}", "r".repeat(length - 1))), None);
        assert_eq!(root(117).unwrap().sbang_path().unwrap().as_os_str().len(), 127);
        let error = root(118).unwrap().sbang_path().unwrap_err();
        assert_eq!(error.longest_root, 117);
        assert!(error.to_string().contains("at most 117 bytes"), "{error}");
    }
}
