//! Which environment a command is about: `-e`, `-D`, `-E` and `SPACK_ENV`, and where those with names are.

use super::Settings;
use crate::args::Global;
use crate::diagnosis::Diagnosis;
use std::path::{Path, PathBuf};
use strata_config::{Asked, Configuration};
use strata_ops::environment::managed::{Environments, ManagedError, is_environment, of_directory};

/// How an environment was named.
#[derive(Debug)]
pub(super) enum Asking {
    /// Not at all.
    Nothing,
    /// By `-e`: its name, or else a directory.
    NameOrDirectory(PathBuf),
    /// By `-D`.
    Directory(PathBuf),
    /// It is the active one.
    Active(PathBuf),
}

impl Asking {
    /// The command line comes before the active one.
    pub(super) fn of(global: &Global, active: Option<PathBuf>, expanded: impl Fn(&Path) -> PathBuf) -> Self {
        match (&global.environment, &global.env_dir, active) {
            _ if global.no_env => Self::Nothing,
            (Some(named), ..) => Self::NameOrDirectory(expanded(named)),
            (None, Some(directory), _) => Self::Directory(expanded(directory)),
            (None, None, Some(active)) => Self::Active(active),
            (None, None, None) => Self::Nothing,
        }
    }
}

impl Settings {
    /// The environments that have names.
    ///
    /// Where they are is for scopes below the environment to say: one that said where it is would be found only if that were
    /// known. Only `config.yaml` is read twice for it, and only for an environment that is named.
    pub(crate) fn environments(&self) -> Result<Environments, Diagnosis> {
        if let Some(known) = self.environments.get() {
            return Ok(known.clone());
        }
        let below = self.configuration_without_environment()?;
        let said = below.get("config:environments_root")?;
        let root = match said.as_ref().and_then(|value| value.text().map(|text| (value, text))) {
            Some((value, text)) => below.path(text, value.origin.directory()),
            None => match &self.surroundings.spack_root {
                Some(root) => root.join("var/spack/environments"),
                None => self.own_environments.clone(),
            },
        };
        Ok(self.environments.get_or_init(|| Environments::new(root)).clone())
    }

    /// Spack's configuration as it is outside of any environment.
    pub(crate) fn configuration_without_environment(&self) -> Result<Configuration, Diagnosis> {
        let asked = Asked {
            custom_scopes: self.custom_scopes.clone(),
            settings: self.inline_settings.clone(),
            environment: None,
        };
        Ok(Configuration::load(self.surroundings.clone(), &asked)?)
    }

    /// Spack's configuration as it is within an environment.
    pub(crate) fn configuration_of(&self, environment: &Path) -> Result<Configuration, Diagnosis> {
        let asked = Asked {
            custom_scopes: self.custom_scopes.clone(),
            settings: self.inline_settings.clone(),
            environment: Some((environment.display().to_string(), environment.to_owned())),
        };
        Ok(Configuration::load(self.surroundings.clone(), &asked)?)
    }

    /// The directory of the environment that the command is about, if it is about one.
    pub(crate) fn environment(&self) -> Result<Option<PathBuf>, Diagnosis> {
        match &self.asking {
            Asking::Nothing => Ok(None),
            // By its whole path: it is what the environment is called, and what is written down of it.
            Asking::NameOrDirectory(named) => {
                Ok(Some(self.absolute(&self.environments()?.named_or_at(named)?)))
            }
            Asking::Directory(directory) => Ok(Some(self.absolute(&of_directory(directory)?))),
            Asking::Active(directory) => match is_environment(directory) {
                Ok(true) => Ok(Some(directory.clone())),
                other => {
                    let reason = match (other, directory.is_dir()) {
                        (Err(error), _) => return Err(error.into()),
                        (_, true) => "which has neither a spack.yaml nor a spack.lock",
                        (_, false) => "which is no directory",
                    };
                    let (directory, reason) = (directory.clone(), reason.to_owned());
                    Err(ManagedError::Gone { directory, reason }.into())
                }
            },
        }
    }

    /// The environment of `SPACK_ENV`, whatever the command line names, and whether or not it is there.
    pub(crate) fn active_environment(&self) -> Option<&Path> {
        self.active_environment.as_deref()
    }

    /// A directory that is an environment, too, where `-e` means the one of that name.
    pub(crate) fn also_a_directory(&self) -> Option<&Path> {
        let Asking::NameOrDirectory(named) = &self.asking else { return None };
        let of_name = self.environments().ok()?.find(named.to_str()?).ok()??;
        let is_other = || named.canonicalize().ok() != of_name.canonicalize().ok();
        (is_environment(named).unwrap_or(false) && is_other()).then_some(named)
    }

    /// What a path means that a command line names: `~` is the home directory, and the rest is below the working directory.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        let home = &self.surroundings.home;
        let path = path.strip_prefix("~").map_or(path.to_owned(), |rest| home.join(rest));
        let whole = self.surroundings.working_directory.join(path);
        let mut plain = PathBuf::new();
        for part in whole.components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => drop(plain.pop()),
                other => plain.push(other),
            }
        }
        plain
    }
}
