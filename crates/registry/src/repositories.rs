//! [`Repositories`]: which layout serves which name.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use strata_oci::{Error, LayoutRepository, RepositoryUrl};

use crate::failure::{Code, Failure};
use crate::name::{self, Name};

/// How many layouts are kept open beyond those in use. Each that was written to holds a file open.
const KEPT_OPEN: usize = 128;

/// The layouts of a registry by name.
pub(crate) struct Repositories {
    directory: PathBuf,
    /// The name of the one repository, if the directory itself is a layout.
    only: Option<Name>,
    /// One handle per layout, so that all requests share its index and the replacements of it.
    open: Mutex<HashMap<Name, Arc<LayoutRepository>>>,
}

impl Repositories {
    /// Those of `directory`, which is absolute.
    pub(crate) fn new(directory: &Path) -> Self {
        let only = is_layout(directory)
            .then(|| Name::of_directory(&directory.file_name().unwrap_or_default().to_string_lossy()));
        Self { directory: directory.to_path_buf(), only, open: Mutex::default() }
    }

    pub(crate) fn only(&self) -> Option<&Name> {
        self.only.as_ref()
    }

    /// The repository's layout.
    ///
    /// # Errors
    /// `NAME_UNKNOWN` if there is none.
    pub(crate) fn existing(&self, name: &Name) -> Result<Arc<LayoutRepository>, Failure> {
        let directory = self.directory_of(name)?;
        if !is_layout(&directory) {
            self.lock().remove(name);
            return Err(Failure::new(Code::NameUnknown, format!("there is no repository {name}")));
        }
        self.handle(name, &directory)
    }

    /// The repository's layout, which is made by the first write if there is none.
    ///
    /// # Errors
    /// `NAME_INVALID` if something else is in its place; those of the disk.
    pub(crate) fn existing_or_new(&self, name: &Name) -> Result<Arc<LayoutRepository>, Failure> {
        let directory = self.directory_of(name)?;
        if !is_layout(&directory) && holds_only_repositories(&directory) {
            // With it, the directory counts as one in which a layout is being made.
            let ours = directory.join(".strata");
            fs::create_dir_all(&ours).map_err(|error| Failure::of_file("create", &error))?;
        }
        self.handle(name, &directory)
    }

    /// The names of all repositories, sorted. Links to directories are not followed.
    pub(crate) fn names(&self) -> Vec<String> {
        if let Some(only) = &self.only {
            return vec![only.to_string()];
        }
        let mut names = Vec::new();
        collect(&self.directory, "", &mut names);
        names.sort_unstable();
        names
    }

    /// The directories of all repositories.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        match self.only {
            Some(_) => vec![self.directory.clone()],
            None => self.names().iter().map(|name| self.directory.join(name)).collect(),
        }
    }

    fn directory_of(&self, name: &Name) -> Result<PathBuf, Failure> {
        match &self.only {
            None => Ok(self.directory.join(name.as_str())),
            Some(only) if only == name => Ok(self.directory.clone()),
            Some(only) => Err(Failure::new(
                Code::NameUnknown,
                format!("there is no repository {name}; this registry serves one image layout, as {only}"),
            )),
        }
    }

    fn handle(&self, name: &Name, directory: &Path) -> Result<Arc<LayoutRepository>, Failure> {
        let mut open = self.lock();
        if let Some(layout) = open.get(name) {
            return Ok(Arc::clone(layout));
        }
        if open.len() >= KEPT_OPEN {
            open.retain(|_, layout| Arc::strong_count(layout) > 1);
        }
        let url = RepositoryUrl::from_directory(directory).map_err(Error::from)?;
        let layout = Arc::new(LayoutRepository::open_or_create(&url)?);
        open.insert(name.clone(), Arc::clone(&layout));
        Ok(layout)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Arc<LayoutRepository>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_layout(directory: &Path) -> bool {
    LayoutRepository::is_layout(directory).unwrap_or(false)
}

/// The directories below `directory` that could be part of a repository's name, with their names.
fn components(directory: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let usable = name::is_usable_component(&name) && entry.file_type().ok()?.is_dir();
        usable.then(|| (name, entry.path()))
    })
}

fn collect(directory: &Path, prefix: &str, names: &mut Vec<String>) {
    for (name, path) in components(directory) {
        let name = format!("{prefix}{name}");
        collect(&path, &format!("{name}/"), names);
        if is_layout(&path) {
            names.push(name);
        }
    }
}

/// Whether a directory is there only because of repositories below it: `a` because of `a/b`. Anything else in it is
/// somebody's, and no layout is made around it.
fn holds_only_repositories(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    let below: Vec<PathBuf> = components(directory).map(|(_, path)| path).collect();
    entries.count() == below.len()
        && below.iter().all(|path| is_layout(path) || holds_only_repositories(path))
}
