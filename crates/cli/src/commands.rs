//! One module for each command: its arguments → an operation → an outcome.

pub(crate) mod buildcache;
pub(crate) mod cache;
pub(crate) mod doctor;
pub(crate) mod find;
pub(crate) mod install;
pub(crate) mod login;
pub(crate) mod mirror;
pub(crate) mod serve;
pub(crate) mod uninstall;

use crate::diagnosis::Diagnosis;
use crate::settings::Settings;
use strata_spec::Selector;
use strata_store::{LockSettings, Store, StoreRoot};

/// The specs of the command line.
fn selectors(specs: &[String]) -> Result<Vec<Selector>, Diagnosis> {
    specs.iter().map(|spec| spec.parse().map_err(Diagnosis::from)).collect()
}

/// The store, which must exist.
fn store(settings: &Settings) -> Result<Store, Diagnosis> {
    let root = StoreRoot::open(&settings.store).map_err(strata_ops::Error::from)?;
    Ok(Store::open(root, LockSettings::default()).map_err(strata_ops::Error::from)?)
}
