//! `strata env remove` and `strata env rename`.

use crate::args::env::{RemoveEnv, Rename};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::path::{Path, PathBuf};
use strata_config::{ConfigError, Configuration, Manifest};
use strata_ops::environment::managed::{self, ManagedError, Named};
use strata_ops::{Event, Reporter};

/// Removes environments.
pub(crate) fn remove(args: &RemoveEnv, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let environments = settings.environments()?;
    // Not the active environment's: it may be the one that is broken.
    let configuration = settings.configuration_without_environment()?;
    let includes = |directory: &Path| match included(&configuration, directory) {
        Ok(directories) => directories,
        Err(error) => {
            let name = directory.display();
            console.event(Event::Warning(&format!("what {name} includes is not known: {error}")));
            Vec::new()
        }
    };
    let active = settings.environment().ok().flatten();
    let (removed, failed) =
        managed::remove(&environments, &args.environments, active.as_deref(), args.force, &includes)?;
    let mut text = String::new();
    for one in &removed {
        text += &match &one.still_at {
            Some(path) => format!("forgot environment {}, which is still in {}\n", one.name, path.display()),
            None => format!("removed environment {}\n", one.name),
        };
    }
    let mut outcome = Outcome::new(text, &json!({"removed": removed}))?;
    outcome.fail(failed.into_iter().map(|(_, error)| error.into()).collect(), removed.is_empty());
    Ok(outcome)
}

/// The directories of the environments whose packages the one in `directory` includes.
fn included(configuration: &Configuration, directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    match Manifest::read(directory) {
        Err(ConfigError::NoManifest { .. }) => Ok(Vec::new()),
        manifest => manifest?.included_environments(configuration),
    }
}

/// Gives an environment another name or place.
pub(crate) fn rename(args: &Rename, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let environments = settings.environments()?;
    let at = |path: &Path| Named { name: path.display().to_string(), directory: settings.absolute(path) };
    let (from, to) = if args.dir {
        managed::of_directory(&settings.absolute(&args.from))?;
        (at(&args.from), at(&args.to))
    } else {
        let (old, new) = (args.from.to_string_lossy(), args.to.to_string_lossy());
        let missing = || ManagedError::NoSuch {
            name: old.clone().into_owned(),
            root: environments.root().to_owned(),
            is_name: true,
        };
        environments.directory(&old)?;
        let directory = environments.find(&old)?.ok_or_else(missing)?;
        let to = environments.directory(&new)?;
        (
            Named { name: old.clone().into_owned(), directory },
            Named { name: new.clone().into_owned(), directory: to },
        )
    };
    managed::rename(&from, &to, settings.environment().ok().flatten().as_deref(), args.force)?;
    let text = format!("environment {} is {} now\n", from.name, to.name);
    Ok(Outcome::new(text, &json!({"from": from, "to": to}))?)
}
