//! A configuration scope: a directory of Spack's configuration files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::mirrors::{self, Mirrors, NewMirror};
use crate::{AccessPair, ConfigError, Mirror, PrefixInspections, save};

/// The scope of the person who runs the program; `~/.spack` unless `SPACK_USER_CONFIG_PATH` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserScope {
    dir: PathBuf,
}

impl UserScope {
    /// The scope in `dir`, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        UserScope { dir: dir.into() }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its `mirrors.yaml`, which need not exist.
    pub fn mirrors_path(&self) -> PathBuf {
        self.dir.join("mirrors.yaml")
    }

    /// Its mirrors.
    ///
    /// # Errors
    /// As [`Mirrors::load`].
    pub fn mirrors(&self) -> Result<Mirrors, ConfigError> {
        Mirrors::load(&self.mirrors_path())
    }

    /// Its `modules.yaml`, which need not exist.
    pub fn modules_path(&self) -> PathBuf {
        self.dir.join("modules.yaml")
    }

    /// Its prefix inspections, and below them Spack's own.
    ///
    /// # Errors
    /// As [`PrefixInspections::with_file`].
    pub fn prefix_inspections(&self) -> Result<PrefixInspections, ConfigError> {
        PrefixInspections::default().with_file(&self.modules_path())
    }

    /// Adds a mirror before those that are there, as Spack does: the first has precedence. Comments, order
    /// and quoting of the rest stay.
    ///
    /// Several processes may do so at once and none is lost: each locks the directory (`flock`). Where that
    /// is not to be had, and against editors and Spack, which do not lock, the last one to write wins;
    /// readers see one whole file or the other. A file that is made for a password in plain text is for its owner alone.
    ///
    /// # Errors
    /// [`ConfigError::MirrorExists`] if the name is taken; as [`Mirrors::load`]; [`ConfigError::Write`] and
    /// [`ConfigError::CannotEdit`], which leave the file as it was.
    pub fn add_mirror(&self, new: &NewMirror) -> Result<(), ConfigError> {
        fs::create_dir_all(&self.dir)
            .map_err(|source| ConfigError::Write { path: self.dir.clone(), source })?;
        let secret = matches!(new.access_pair, Some(AccessPair::PlainText { .. }));
        self.edit(secret, |path, text| mirrors::add(path, text, new)).map(drop)
    }

    /// Removes a mirror and gives it. Comments, order and quoting of the rest stay; a comment of the
    /// entry itself goes with it. For several processes at once see [`UserScope::add_mirror`].
    ///
    /// # Errors
    /// [`ConfigError::NoSuchMirror`], which lists those that there are; otherwise as
    /// [`UserScope::add_mirror`].
    pub fn remove_mirror(&self, name: &str) -> Result<Mirror, ConfigError> {
        if !self.dir.exists() {
            return self.mirrors()?.require(name).cloned();
        }
        let before = self.edit(false, |path, text| mirrors::remove(path, text, name))?;
        before.require(name).cloned()
    }

    /// Changes the file's text, which may be `secret` afterwards, and gives the mirrors as they were before.
    fn edit(
        &self,
        secret: bool,
        change: impl FnOnce(&Path, &str) -> Result<String, ConfigError>,
    ) -> Result<Mirrors, ConfigError> {
        // Held until the end. A lock that cannot be had (NFS without locking) is no reason to do nothing.
        let lock = File::open(&self.dir).ok();
        if let Some(lock) = &lock {
            let _ = lock.lock();
        }
        let path = self.mirrors_path();
        let text = save::read(&path)?.unwrap_or_default();
        let before = Mirrors::parse(&path, &text)?;
        save::replace(&path, &change(&path, &text)?, secret)?;
        Ok(before)
    }
}
