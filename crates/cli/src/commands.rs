//! One module for each command: its arguments → an operation → an outcome.

pub(crate) mod buildcache;
pub(crate) mod cache;
pub(crate) mod doctor;
pub(crate) mod find;
pub(crate) mod image;
pub(crate) mod install;
pub(crate) mod login;
pub(crate) mod mirror;
mod resolving;
pub(crate) mod serve;
pub(crate) mod spec;
pub(crate) mod uninstall;
pub(crate) mod why;

use crate::diagnosis::Diagnosis;
use crate::settings::Settings;
use strata_spec::AbstractSpec;
use strata_store::{LockSettings, Store, StoreRoot};

/// The specs of the command line.
fn specs(arguments: &[String]) -> Result<Vec<AbstractSpec>, Diagnosis> {
    Ok(AbstractSpec::parse_arguments(arguments)?)
}

/// The store, which must exist.
fn store(settings: &Settings) -> Result<Store, Diagnosis> {
    let root = StoreRoot::open(&settings.store).map_err(strata_ops::Error::from)?;
    Ok(Store::open(root, LockSettings::default()).map_err(strata_ops::Error::from)?)
}
