//! Environments that have names: directories below one root, `config:environments_root`, in Spack's layout.
//!
//! Rules as in Spack's `environment/environment.py` (`valid_env_name`, `exists`, `is_env_dir`, `all_environment_names`): a name
//! may have parts (`group/mine`), and an environment that is tracked is a symbolic link below the root.

mod create;
mod error;
mod removal;
mod template;

pub use create::{Created, NewEnvironment, Origin, ViewChoice, create};
pub use error::ManagedError;
pub use removal::{Failed, Removed, remove, rename};

use super::{members, read_lockfile};
use crate::error::Error;
use serde::Serialize;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use strata_spec::DagHash;

/// What says what an environment wants.
pub const MANIFEST: &str = "spack.yaml";
/// What says what that became.
pub const LOCKFILE: &str = "spack.lock";

/// How many directories deep names are looked for: links can lead in circles.
const DEEPEST: usize = 16;

/// The directory that environments with names are below. It need not exist.
#[derive(Clone, Debug)]
pub struct Environments {
    root: PathBuf,
}

/// An environment that has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
}

/// Whether an environment can be called that: letters, digits, `_`, `-` and `/`, the first one a letter, a digit or `_`.
pub fn is_valid_name(name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = name.chars();
    rest.next().is_some_and(is_word) && rest.all(|c| is_word(c) || c == '-' || c == '/')
}

/// Whether a directory is an environment: it has a manifest. One that has only a lockfile will do for what needs no more.
///
/// # Errors
/// If it cannot be looked at.
pub fn is_environment(directory: &Path) -> Result<bool, ManagedError> {
    Ok(exists(&directory.join(MANIFEST))? || exists(&directory.join(LOCKFILE))?)
}

/// Whether there is something at `path`; that it cannot be told is an error, and not a no.
fn exists(path: &Path) -> Result<bool, ManagedError> {
    match path.metadata() {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(source) => Err(ManagedError::io(path, source)),
    }
}

impl Environments {
    /// Those below `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory that they are below.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of an environment of that name, which need not exist.
    ///
    /// # Errors
    /// [`ManagedError::Name`].
    pub fn directory(&self, name: &str) -> Result<PathBuf, ManagedError> {
        match is_valid_name(name) {
            true => Ok(self.root.join(name.trim_end_matches('/'))),
            false => Err(ManagedError::Name { name: name.to_owned() }),
        }
    }

    /// The directory of the environment of that name, if there is one.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>, ManagedError> {
        if !is_valid_name(name) {
            return Ok(None);
        }
        let directory = self.directory(name)?;
        match directory.metadata() {
            Ok(status) => Ok(status.is_dir().then_some(directory)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(ManagedError::io(&directory, source)),
        }
    }

    /// What is meant by a name or a directory; a name comes first, as in Spack.
    ///
    /// # Errors
    /// [`ManagedError::NoSuch`] and [`ManagedError::NotOne`], or that something cannot be looked at.
    pub fn named_or_at(&self, named: &Path) -> Result<PathBuf, ManagedError> {
        if let Some(directory) = named.to_str().map(|name| self.find(name)).transpose()?.flatten() {
            return of_directory(&directory);
        }
        match named.metadata() {
            Ok(status) if status.is_dir() => of_directory(named),
            Err(source) if source.kind() == ErrorKind::PermissionDenied => {
                Err(ManagedError::io(named, source))
            }
            _ => Err(ManagedError::NoSuch {
                name: named.display().to_string(),
                root: self.root.clone(),
                is_name: named.to_str().is_some_and(is_valid_name),
            }),
        }
    }

    /// What an environment is called: by its name if it has one, else by its directory (`environment_name` in Spack).
    pub fn name_of(&self, directory: &Path) -> String {
        let by_path = || directory.display().to_string();
        let Some(last) = directory.file_name().and_then(|name| name.to_str()) else { return by_path() };
        let Ok(real) = directory.canonicalize() else { return by_path() };
        if self.root.join(last).canonicalize().is_ok_and(|named| named == real) {
            return last.to_owned();
        }
        // Of names with parts, too; Spack shows the path of those.
        let root = self.root.canonicalize().ok();
        let below = root.and_then(|root| real.strip_prefix(root).ok().map(Path::to_owned));
        let name = below.and_then(|below| below.to_str().map(str::to_owned));
        name.filter(|name| is_valid_name(name)).unwrap_or_else(by_path)
    }

    /// All that there are, by name. Directories whose names begin with a dot, or are no names, are passed over.
    ///
    /// # Errors
    /// If the root cannot be read. What is below it and cannot be read is nobody's environment here.
    pub fn all(&self) -> Result<Vec<Named>, ManagedError> {
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            other => other.map_err(|source| ManagedError::io(&self.root, source))?,
        };
        let mut above = HashSet::from([self.root.canonicalize().unwrap_or_else(|_| self.root.clone())]);
        for entry in entries {
            let entry = entry.map_err(|source| ManagedError::io(&self.root, source))?;
            self.look_into(&entry.path(), &mut above, DEEPEST, &mut found);
        }
        found.sort();
        Ok(found)
    }

    /// What each of them consists of, but for the one in `except`; those that are not concrete need nothing.
    ///
    /// # Errors
    /// If a lockfile cannot be read: it is then not known what is needed.
    pub fn needs(&self, except: Option<&Path>) -> Result<Vec<(Named, HashSet<DagHash>)>, Error> {
        let except = except.and_then(|directory| directory.canonicalize().ok());
        let mut needs = Vec::new();
        for named in self.all()? {
            if except.is_some() && named.directory.canonicalize().ok() == except {
                continue;
            }
            if let Some(lockfile) = read_lockfile(&named.directory)? {
                let hashes = members(&lockfile)?.into_iter().map(|node| node.hash.clone()).collect();
                needs.push((named, hashes));
            }
        }
        Ok(needs)
    }

    /// Takes the environment at `directory` and those below it; links are followed, but not to where we come from.
    fn look_into(
        &self,
        directory: &Path,
        above: &mut HashSet<PathBuf>,
        depth: usize,
        found: &mut Vec<Named>,
    ) {
        let is_hidden = directory.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden || depth == 0 || !directory.is_dir() {
            return;
        }
        let Ok(real) = directory.canonicalize() else { return };
        if !above.insert(real.clone()) {
            return;
        }
        let name = directory.strip_prefix(&self.root).ok().and_then(Path::to_str);
        if let Some(name) = name.filter(|name| is_valid_name(name) && directory.join(MANIFEST).exists()) {
            found.push(Named { name: name.to_owned(), directory: directory.to_owned() });
        }
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            self.look_into(&entry.path(), above, depth - 1, found);
        }
        above.remove(&real);
    }
}

/// A directory that is said to be an environment.
///
/// # Errors
/// [`ManagedError::NotOne`], or that it cannot be looked at.
pub fn of_directory(directory: &Path) -> Result<PathBuf, ManagedError> {
    match is_environment(directory)? {
        true => Ok(directory.to_owned()),
        false => Err(ManagedError::NotOne { directory: directory.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Environments, is_valid_name};

    #[test]
    fn names_are_those_that_spack_takes() {
        for name in ["a", "_a", "1", "my-env", "group/mine", "größe", "a//b", "a/"] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in ["", "-a", "/a", ".", "..", "./a", "a.b", "a b", "../a", "a/../b", "a\n"] {
            assert!(!is_valid_name(name), "{name}");
        }
    }

    #[test]
    fn links_that_lead_in_circles_end() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("group/mine/.hidden")).unwrap();
        for manifest in ["group/mine/spack.yaml", "group/mine/.hidden/spack.yaml", "spack.yaml"] {
            std::fs::write(root.path().join(manifest), "spack: {}\n").unwrap();
        }
        std::os::unix::fs::symlink(root.path(), root.path().join("group/mine/up")).unwrap();
        std::os::unix::fs::symlink(root.path().join("group/mine"), root.path().join("tracked")).unwrap();
        let environments = Environments::new(root.path().to_owned());
        let names: Vec<String> = environments.all().unwrap().into_iter().map(|named| named.name).collect();
        assert_eq!(names, ["group/mine", "tracked"]);
        assert_eq!(environments.name_of(&root.path().join("group/mine")), "group/mine");
        assert_eq!(environments.name_of(&root.path().join("tracked")), "tracked");
    }
}
