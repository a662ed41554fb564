//! Putting a staged tree in the place of a prefix that is there, so that at any moment one of the two is there.
//!
//! Where the system can swap two directories, that is one step, and the old tree is then in the staging area. Where it cannot
//! (NFS), the old one is moved there first, beside a note of where it belongs: if the process is killed before the new one is in
//! place, [`clean_stale`](super::clean_stale) brings the old one back rather than delete it.

use super::{METADATA_DIRECTORY, SPEC_FILE, STAGED_SPEC_FILE, StageError, StagedPrefix, failed, rename_new};
use crate::flush::ChangedDirectories;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What the name of a note ends with; before that it is called as the tree it is about.
const NOTE: &str = ".belongs-to";

/// A prefix that has a new tree. The old one is deleted when this is dropped, or put back by [`restore`](Self::restore).
#[derive(Debug)]
pub struct Replaced {
    /// The old tree, at its place in the staging area.
    old: StagedPrefix,
    prefix: PathBuf,
}

impl StagedPrefix {
    /// Makes the tree the prefix `prefix` in place of what is there, and adds to `changed` what has to be flushed for that to
    /// last. The caller holds the prefix's write lock.
    ///
    /// # Errors
    /// If it cannot be done: then what was there is there.
    pub fn replace(self, prefix: &Path, changed: &mut ChangedDirectories) -> Result<Replaced, StageError> {
        let old = match renameat_with(CWD, &self.path, CWD, prefix, RenameFlags::EXCHANGE) {
            Ok(()) => self,
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.replace_in_two_steps(prefix)?,
            Err(Errno::XDEV) => {
                return Err(StageError::OtherFileSystem { prefix: prefix.into(), stage: self.path.clone() });
            }
            Err(error) => return Err(failed("replace", prefix)(error.into())),
        };
        let replaced = Replaced { old, prefix: prefix.into() };
        let named = rename_spec(prefix, STAGED_SPEC_FILE, SPEC_FILE);
        if let Err(error) = named {
            replaced.restore()?;
            return Err(failed("rename the spec file in", prefix)(error));
        }
        // `spack reindex` is not to take it for a package. Where that fails it is deleted soon.
        let _ = rename_spec(&replaced.old.path, SPEC_FILE, STAGED_SPEC_FILE);
        changed.add(&prefix.join(METADATA_DIRECTORY));
        prefix.parent().into_iter().for_each(|parent| changed.add(parent));
        Ok(replaced)
    }

    fn replace_in_two_steps(self, prefix: &Path) -> Result<Self, StageError> {
        let path = self.path.with_file_name(format!("replaced.{}", uuid::Uuid::new_v4().simple()));
        let old = Self { path, _run: std::sync::Arc::clone(&self._run) };
        let note = note(&old.path);
        std::fs::write(&note, prefix.as_os_str().as_bytes()).map_err(failed("write", &note))?;
        std::fs::rename(prefix, &old.path).map_err(failed("set aside", prefix))?;
        if let Err(error) = rename_new(&self.path, prefix) {
            std::fs::rename(&old.path, prefix).map_err(failed("put back", prefix))?;
            return Err(error);
        }
        // From here on the old tree is not to come back, whatever becomes of the new one.
        std::fs::remove_file(&note).map_err(failed("remove", &note))?;
        Ok(old)
    }
}

impl Replaced {
    /// Puts the old tree back; the new one is deleted.
    ///
    /// # Errors
    /// If it cannot be done: then the new tree is there.
    pub fn restore(self) -> Result<(), StageError> {
        let put_back = failed("put back", &self.prefix);
        let _ = rename_spec(&self.old.path, STAGED_SPEC_FILE, SPEC_FILE);
        match renameat_with(CWD, &self.old.path, CWD, &self.prefix, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                let aside = self.old.path.with_extension("new");
                std::fs::rename(&self.prefix, &aside)
                    .and_then(|()| std::fs::rename(&self.old.path, &self.prefix))
                    .map_err(put_back)?;
                let _ = std::fs::remove_dir_all(&aside);
                Ok(())
            }
            Err(error) => Err(put_back(error.into())),
        }
    }
}

/// Whether `prefix` was put in the place of another tree by a process that was killed before it had told everybody: all of it is
/// there, but for the name of its spec file.
pub fn lacks_name(prefix: &Path) -> bool {
    let metadata = prefix.join(METADATA_DIRECTORY);
    metadata.join(STAGED_SPEC_FILE).is_file() && metadata.join(SPEC_FILE).symlink_metadata().is_err()
}

/// Gives the spec file of such a prefix its name. The caller holds the prefix's write lock.
///
/// # Errors
/// If the disk refuses.
pub fn finish_name(prefix: &Path) -> io::Result<()> {
    if lacks_name(prefix) { rename_spec(prefix, STAGED_SPEC_FILE, SPEC_FILE) } else { Ok(()) }
}

pub(super) fn rename_spec(prefix: &Path, from: &str, to: &str) -> io::Result<()> {
    let metadata = prefix.join(METADATA_DIRECTORY);
    match std::fs::rename(metadata.join(from), metadata.join(to)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn note(tree: &Path) -> PathBuf {
    let mut name: OsString = tree.as_os_str().to_owned();
    name.push(NOTE);
    name.into()
}

/// Brings back those trees in a dead process's part of the staging area that are missing where they belong.
pub(super) fn bring_back(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let note = entry.path();
        let tree = note.as_os_str().as_bytes().strip_suffix(NOTE.as_bytes());
        let Some(tree) = tree.map(|path| PathBuf::from(OsStr::from_bytes(path))) else { continue };
        let Ok(prefix) = std::fs::read(&note) else { continue };
        let prefix = PathBuf::from(OsString::from_vec(prefix));
        // Fails where something is there: then the new tree was in place, or somebody installed it since.
        if tree.is_dir() && rename_new(&tree, &prefix).is_ok() {
            let _ = rename_spec(&prefix, STAGED_SPEC_FILE, SPEC_FILE);
        }
        let _ = std::fs::remove_file(&note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::StageArea;
    use crate::{LockSettings, Store, StoreRoot, clean_stale};
    use strata_spec::DagHash;

    struct Place {
        store: Store,
        area: StageArea,
        prefix: PathBuf,
        _scratch: tempfile::TempDir,
    }

    fn tree(at: &Path, content: &str, spec: &str) {
        std::fs::create_dir_all(at.join(METADATA_DIRECTORY)).unwrap();
        std::fs::write(at.join("file"), content).unwrap();
        std::fs::write(at.join(METADATA_DIRECTORY).join(spec), "{}").unwrap();
    }

    fn place() -> Place {
        let scratch = tempfile::tempdir().unwrap();
        let root = StoreRoot::open_or_new(scratch.path(), None).unwrap();
        let prefix = root.root().join("linux/package");
        let store = Store::create(root, LockSettings::default()).unwrap();
        tree(&prefix, "old", SPEC_FILE);
        Place { area: StageArea::open(&store).unwrap(), store, prefix, _scratch: scratch }
    }

    fn staged(place: &Place) -> StagedPrefix {
        let hash = DagHash::parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let staged = place.area.stage(&hash).unwrap();
        tree(staged.path(), "new", STAGED_SPEC_FILE);
        staged
    }

    fn content(place: &Place) -> String {
        assert!(place.prefix.join(METADATA_DIRECTORY).join(SPEC_FILE).is_file());
        assert!(!lacks_name(&place.prefix));
        std::fs::read_to_string(place.prefix.join("file")).unwrap()
    }

    #[test]
    fn a_prefix_is_replaced_and_restored() {
        let place = place();
        let replaced = staged(&place).replace(&place.prefix, &mut ChangedDirectories::default()).unwrap();
        assert_eq!(content(&place), "new");
        replaced.restore().unwrap();
        assert_eq!(content(&place), "old");
        drop(staged(&place).replace(&place.prefix, &mut ChangedDirectories::default()).unwrap());
        assert_eq!(content(&place), "new");
    }

    #[test]
    fn in_two_steps_the_old_one_comes_back_after_a_kill() {
        let place = place();
        let old = staged(&place).replace_in_two_steps(&place.prefix).unwrap();
        finish_name(&place.prefix).unwrap();
        assert_eq!(content(&place), "new");
        assert!(!note(&old.path).exists());
        // Killed between the steps.
        let part = old.path.parent().unwrap().to_owned();
        let aside = part.join("replaced.1");
        std::fs::rename(&place.prefix, &aside).unwrap();
        std::fs::write(note(&aside), place.prefix.as_os_str().as_bytes()).unwrap();
        let (store, prefix) = (place.store.clone(), place.prefix.clone());
        bring_back(&part);
        assert_eq!(content(&place), "new");
        assert!(!note(&aside).exists() && !aside.exists());
        // Killed after them: nothing is brought back over what is there.
        tree(&aside, "older", SPEC_FILE);
        std::fs::write(note(&aside), prefix.as_os_str().as_bytes()).unwrap();
        bring_back(&part);
        assert_eq!(content(&place), "new");
        drop(old);
        assert_eq!(clean_stale(&store).unwrap(), 0, "its process is alive");
    }
}
