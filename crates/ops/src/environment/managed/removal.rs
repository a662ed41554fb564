//! Removing and renaming environments. What is installed for them stays.

use super::create::rename_new;
use super::{Environments, LOCKFILE, ManagedError, Named};
use serde::Serialize;
use std::path::{Path, PathBuf};
use strata_spec::lockfile::Lockfile;

/// An environment that was removed.
#[derive(Clone, Debug, Serialize)]
pub struct Removed {
    /// Its name.
    pub name: String,
    /// Where it was.
    pub directory: PathBuf,
    /// Where it still is, if it was only tracked: a link to elsewhere.
    pub still_at: Option<PathBuf>,
}

/// The environments that were not removed, and why.
pub type Failed = Vec<(String, ManagedError)>;

/// Removes environments by their names; each that cannot be is among the failures, and the others are removed all the same.
///
/// The active one is refused unless `force`, as is one that an environment includes which stays. `includes` tells which
/// directories the manifest of an environment includes.
///
/// # Errors
/// If it cannot be found out which there are.
pub fn remove(
    environments: &Environments,
    names: &[String],
    active: Option<&Path>,
    force: bool,
    includes: &dyn Fn(&Path) -> Vec<PathBuf>,
) -> Result<(Vec<Removed>, Failed), ManagedError> {
    let all = environments.all()?;
    let stays: Vec<&Named> = all.iter().filter(|named| !names.contains(&named.name)).collect();
    let included: Vec<(&Named, Vec<PathBuf>)> =
        stays.into_iter().map(|named| (named, included_by(&named.directory, includes))).collect();
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        let one = || {
            let directory = environments.find(name)?.ok_or_else(|| ManagedError::NoSuch {
                name: name.clone(),
                root: environments.root().to_owned(),
                is_name: true,
            })?;
            let is_here = |other: &Path| same(other, &directory);
            if !force {
                if active.is_some_and(is_here) {
                    return Err(ManagedError::Active { name: name.clone(), what: "removed" });
                }
                let by = included.iter().filter(|(_, directories)| directories.iter().any(|d| is_here(d)));
                let by: Vec<String> = by.map(|(named, _)| named.name.clone()).collect();
                if !by.is_empty() {
                    return Err(ManagedError::Included { name: name.clone(), by });
                }
            }
            remove_one(environments, name, &directory)
        };
        match one() {
            Ok(done) => removed.push(done),
            Err(error) => failed.push((name.clone(), error)),
        }
    }
    Ok((removed, failed))
}

/// The directories that an environment includes, by its manifest and by its lockfile.
fn included_by(directory: &Path, includes: &dyn Fn(&Path) -> Vec<PathBuf>) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(directory.join(LOCKFILE)).ok();
    let lockfile = text.and_then(|text| Lockfile::parse(&text).ok());
    let locked = lockfile.into_iter().flat_map(|lockfile| lockfile.included.into_keys().map(PathBuf::from));
    includes(directory).into_iter().chain(locked).collect()
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// In one step it is no environment any more, and then it is deleted.
fn remove_one(environments: &Environments, name: &str, directory: &Path) -> Result<Removed, ManagedError> {
    let io = |source| ManagedError::io(directory, source);
    let mut removed = Removed { name: name.to_owned(), directory: directory.to_owned(), still_at: None };
    if directory.is_symlink() {
        removed.still_at = directory.canonicalize().ok();
        std::fs::remove_file(directory).map_err(io)?;
    } else {
        let aside = tempfile::Builder::new()
            .prefix(".strata-env-")
            .tempdir_in(environments.root())
            .map_err(|source| ManagedError::io(environments.root(), source))?;
        rename_new(directory, &aside.path().join("removed"))?;
        aside.close().map_err(io)?;
    }
    for parent in directory.ancestors().skip(1).take_while(|parent| *parent != environments.root()) {
        // Fails where something else is in it.
        if std::fs::remove_dir(parent).is_err() {
            break;
        }
    }
    Ok(removed)
}

/// Renames the environment at `from` to be at `to`. What is there is refused, or with `force` removed.
///
/// # Errors
/// [`ManagedError::Active`] for either of them, [`ManagedError::Exists`], or that the disk refuses.
pub fn rename(from: &Named, to: &Named, active: Option<&Path>, force: bool) -> Result<(), ManagedError> {
    for one in [from, to] {
        if active.is_some_and(|active| same(active, &one.directory)) {
            return Err(ManagedError::Active { name: one.name.clone(), what: "renamed" });
        }
    }
    let parent = to.directory.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |source| ManagedError::io(parent, source);
    std::fs::create_dir_all(parent).map_err(io)?;
    if !force || to.directory.symlink_metadata().is_err() {
        return rename_new(&from.directory, &to.directory);
    }
    let aside = tempfile::Builder::new().prefix(".strata-env-").tempdir_in(parent).map_err(io)?;
    let replaced = aside.path().join("replaced");
    rename_new(&to.directory, &replaced)?;
    if let Err(error) = rename_new(&from.directory, &to.directory) {
        rename_new(&replaced, &to.directory)?;
        return Err(error);
    }
    aside.close().map_err(io)
}
