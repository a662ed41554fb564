//! One module for each command: its arguments → an operation → an outcome.

pub(crate) mod buildcache;
pub(crate) mod cache;
pub(crate) mod concretize;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod find;
pub(crate) mod gc;
pub(crate) mod image;
mod in_environment;
pub(crate) mod install;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod mark;
pub(crate) mod mirror;
pub(crate) mod reindex;
mod resolving;
pub(crate) mod serve;
mod shell_code;
pub(crate) mod spec;
pub(crate) mod uninstall;
pub(crate) mod verify;
pub(crate) mod wanted;
pub(crate) mod why;

use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use crate::settings::Settings;
use strata_spec::AbstractSpec;
use strata_store::{Installed, Store, StoreRoot};

/// The specs of the command line.
fn specs(arguments: &[String]) -> Result<Vec<AbstractSpec>, Diagnosis> {
    Ok(AbstractSpec::parse_arguments(arguments)?)
}

/// Everything that is installed in the store, which must exist, and in those below it.
fn installed(settings: &Settings, console: &Console) -> Result<(StoreRoot, Installed), Diagnosis> {
    let place = settings.place()?;
    let root = place.existing_root()?;
    let installed = place.installed(&root, console)?;
    Ok((root, installed))
}

/// The store, which must exist.
fn store(settings: &Settings) -> Result<Store, Diagnosis> {
    let place = settings.place()?;
    let root = place.existing_root()?;
    Ok(Store::open(root, place.locks).map_err(strata_ops::Error::from)?)
}
