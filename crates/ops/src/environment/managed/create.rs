//! Making an environment: from nothing, from a manifest, from a lockfile or from another environment.
//!
//! All of it is made beside its place and then put there, the manifest last: whatever fails, and whenever, there is an environment
//! or there is none.

use super::{LOCKFILE, MANIFEST, ManagedError, exists, template};
use crate::error::Error;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use strata_config::{Manifest, ViewSetting};
use strata_spec::lockfile::Lockfile;
use tempfile::TempDir;

/// What is written while an environment works, and is not part of what it is.
const GENERATED: &str = ".spack-env";

/// What an environment is to be.
#[derive(Clone, Debug)]
pub struct NewEnvironment {
    /// Its directory, which may exist.
    pub directory: PathBuf,
    /// What it is made from.
    pub origin: Origin,
    /// What is said of its view.
    pub view: ViewChoice,
    /// `concretizer:unify` of a manifest that is written from nothing.
    pub unify: bool,
    /// Directories of environments whose packages are included.
    pub include_concrete: Vec<PathBuf>,
}

/// What an environment is made from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Nothing: nothing is wanted yet.
    Nothing,
    /// A manifest, and files that it includes from below its directory, relative to that.
    Manifest(PathBuf, Vec<PathBuf>),
    /// A lockfile: its roots are wanted.
    Lockfile(PathBuf),
    /// All of another environment but for what was generated.
    Environment(PathBuf),
}

/// What is said of the view of a new environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ViewChoice {
    /// Nothing: what its manifest says, or one in the usual place.
    #[default]
    Unsaid,
    /// It has none.
    Without,
    /// It is at this path.
    At(PathBuf),
}

/// An environment that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Created {
    /// Its directory.
    pub directory: PathBuf,
    /// Whether it is concrete.
    pub concrete: bool,
}

impl Origin {
    /// What a path is: Spack goes by the end of its name, too.
    ///
    /// # Errors
    /// [`ManagedError::NoOrigin`] and [`ManagedError::NotOne`].
    pub fn of(path: &Path) -> Result<Self, ManagedError> {
        if !exists(path)? {
            return Err(ManagedError::NoOrigin { path: path.to_owned() });
        }
        if path.is_dir() {
            let manifest = exists(&path.join(MANIFEST))?;
            let not_one = || ManagedError::NotOne { directory: path.to_owned() };
            return manifest.then(|| Self::Environment(path.to_owned())).ok_or_else(not_one);
        }
        let is_lock = path.extension().is_some_and(|end| end == "lock" || end == "json");
        Ok(if is_lock {
            Self::Lockfile(path.to_owned())
        } else {
            Self::Manifest(path.to_owned(), Vec::new())
        })
    }
}

/// Makes the environment.
///
/// # Errors
/// If there is one already, or what it is made from cannot be used: then nothing is left of it.
pub fn create(new: &NewEnvironment) -> Result<Created, Error> {
    let directory = &new.directory;
    for name in [MANIFEST, LOCKFILE] {
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(ManagedError::Exists { path }.into());
        }
    }
    if let (Origin::Manifest(path, _) | Origin::Environment(path), [_, ..]) =
        (&new.origin, &*new.include_concrete)
    {
        return Err(ManagedError::IncludesAlready { path: path.clone() }.into());
    }
    for included in &new.include_concrete {
        read_lockfile(included)?;
    }
    let files = files(new)?;
    let is_there = match directory.metadata() {
        Ok(status) if status.is_dir() => true,
        Ok(_) => return Err(ManagedError::NotADirectory { path: directory.clone() }.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(source) => return Err(ManagedError::io(directory, source).into()),
    };
    let beside = if is_there { directory.as_path() } else { parent(directory) };
    let io = |source| ManagedError::io(beside, source);
    std::fs::create_dir_all(beside).map_err(io)?;
    let staged = tempfile::Builder::new()
        .prefix(".strata-env-")
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(beside)
        .map_err(io)?;
    for file in &files {
        file.write(staged.path())?;
    }
    say_view(staged.path(), new)?;
    Manifest::read(staged.path())?;
    if is_there {
        move_into(&staged, &files, directory)?
    } else {
        become_directory(staged, directory)?
    }
    Ok(Created { directory: directory.clone(), concrete: exists(&directory.join(LOCKFILE))? })
}

fn parent(directory: &Path) -> &Path {
    directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file, link or directory of a new environment.
struct NewFile {
    /// Where, relative to its directory.
    name: PathBuf,
    content: Content,
}

enum Content {
    Text(String),
    CopyOf(PathBuf),
    Link(PathBuf),
    Directory,
}

impl NewFile {
    fn text(name: &str, text: String) -> Self {
        Self { name: name.into(), content: Content::Text(text) }
    }

    fn copy(name: &Path, from: PathBuf) -> Self {
        Self { name: name.to_owned(), content: Content::CopyOf(from) }
    }

    fn write(&self, below: &Path) -> Result<(), ManagedError> {
        let path = below.join(&self.name);
        std::fs::create_dir_all(parent(&path)).map_err(|source| ManagedError::io(&path, source))?;
        let (about, done) = match &self.content {
            Content::Text(text) => (&path, std::fs::write(&path, text)),
            Content::CopyOf(from) => (from, std::fs::copy(from, &path).map(drop)),
            Content::Link(target) => (&path, std::os::unix::fs::symlink(target, &path)),
            Content::Directory => (&path, std::fs::create_dir_all(&path)),
        };
        done.map_err(|source| ManagedError::io(about, source))
    }
}

/// The files of the environment, the manifest last.
fn files(new: &NewEnvironment) -> Result<Vec<NewFile>, Error> {
    let template = |specs: &[String]| {
        NewFile::text(MANIFEST, template::manifest(specs, &new.view, new.unify, &new.include_concrete))
    };
    match &new.origin {
        Origin::Nothing => Ok(vec![template(&[])]),
        Origin::Lockfile(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| ManagedError::io(path, source))?;
            let lockfile = Lockfile::parse(&text)
                .map_err(|source| ManagedError::Lockfile { path: path.clone(), source })?;
            let specs: Vec<String> = lockfile.roots.into_iter().map(|root| root.requested).collect();
            Ok(vec![NewFile::text(LOCKFILE, text), template(&specs)])
        }
        Origin::Manifest(path, included) => {
            let text = std::fs::read_to_string(path).map_err(|source| ManagedError::io(path, source))?;
            let copies = included.iter().map(|name| NewFile::copy(name, parent(path).join(name)));
            Ok(copies.chain([NewFile::text(MANIFEST, text)]).collect())
        }
        Origin::Environment(directory) => {
            let mut files = Vec::new();
            list(directory, Path::new(""), &mut files)?;
            files.sort_by_key(|file| file.name == Path::new(MANIFEST));
            Ok(files)
        }
    }
}

/// What is in a directory, but for what was generated.
fn list(root: &Path, below: &Path, files: &mut Vec<NewFile>) -> Result<(), ManagedError> {
    let directory = root.join(below);
    let io = |source| ManagedError::io(&directory, source);
    for entry in std::fs::read_dir(&directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = below.join(entry.file_name());
        let kind = entry.file_type().map_err(io)?;
        if name == Path::new(GENERATED) {
            continue;
        }
        if kind.is_dir() {
            files.push(NewFile { name: name.clone(), content: Content::Directory });
            list(root, &name, files)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).map_err(io)?;
            files.push(NewFile { name, content: Content::Link(target) });
        } else if kind.is_file() {
            files.push(NewFile::copy(&name, entry.path()));
        }
    }
    Ok(())
}

/// Writes what was said of the view into a manifest that came from somewhere else.
fn say_view(staged: &Path, new: &NewEnvironment) -> Result<(), Error> {
    let setting = match &new.view {
        _ if matches!(new.origin, Origin::Nothing | Origin::Lockfile(_)) => return Ok(()),
        ViewChoice::Unsaid => return Ok(()),
        ViewChoice::Without => ViewSetting::None,
        ViewChoice::At(path) => ViewSetting::Path(path.display().to_string()),
    };
    Ok(Manifest::read(staged)?.set_view(&setting)?)
}

/// The lockfile of an environment that is to be included.
fn read_lockfile(directory: &Path) -> Result<Lockfile, ManagedError> {
    let path = directory.join(LOCKFILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ManagedError::NotConcrete { directory: directory.to_owned() });
        }
        other => other.map_err(|source| ManagedError::io(&path, source))?,
    };
    Lockfile::parse(&text).map_err(|source| ManagedError::Lockfile { path, source })
}

/// Gives the staged directory its name, which nobody may have taken meanwhile.
fn become_directory(staged: TempDir, directory: &Path) -> Result<(), ManagedError> {
    rename_new(staged.path(), directory)?;
    // It is not there any more under the name that would be removed.
    drop(staged.keep());
    Ok(())
}

/// Moves staged files into a directory that is there; if one cannot be, takes back the others.
fn move_into(staged: &TempDir, files: &[NewFile], directory: &Path) -> Result<(), ManagedError> {
    let mut moved: Vec<PathBuf> = Vec::new();
    let mut tops: Vec<&Path> = Vec::new();
    for file in files {
        let Some(Component::Normal(top)) = file.name.components().next() else { continue };
        if !tops.contains(&Path::new(top)) {
            tops.push(Path::new(top));
        }
    }
    for top in tops {
        let to = directory.join(top);
        match rename_new(&staged.path().join(top), &to) {
            Ok(()) => moved.push(to),
            Err(error) => {
                for path in moved {
                    // What cannot be taken back is no environment: the manifest comes last.
                    let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Renames `from` to `to`, which must not exist.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), ManagedError> {
    let exists = || ManagedError::Exists { path: to.to_owned() };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(exists()),
        // NFS, for one, has no such rename.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.symlink_metadata().is_ok() => Err(exists()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            std::fs::rename(from, to).map_err(|source| ManagedError::io(to, source))
        }
        Err(error) => Err(ManagedError::io(to, error.into())),
    }
}
