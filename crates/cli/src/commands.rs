//! One module for each command: its arguments → an operation → an outcome.

pub(crate) mod buildcache;
pub(crate) mod find;
pub(crate) mod install;
pub(crate) mod mirror;
pub(crate) mod uninstall;

use crate::diagnosis::Diagnosis;
use crate::settings::Settings;
use strata_ops::install::Mirror;
use strata_ops::mirror::Direction;
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

/// The mirrors to read from: those named, or else all that are configured.
fn mirrors(named: &[String], settings: &Settings) -> Result<Vec<Mirror>, Diagnosis> {
    let file = settings.mirrors_file();
    let names = if named.is_empty() { strata_ops::mirror::configured(&file)? } else { named.to_vec() };
    let open = |name: String| -> Result<Mirror, Diagnosis> {
        let repository = strata_ops::mirror::open(&name, Direction::Fetch, &file)?;
        Ok(Mirror::new(name, repository))
    };
    names.into_iter().map(open).collect()
}
