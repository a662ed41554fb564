//! One module for each command: its arguments → an operation → an outcome.

pub(crate) mod buildcache;
pub(crate) mod find;
pub(crate) mod install;
pub(crate) mod mirror;
pub(crate) mod uninstall;

use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use crate::settings::Settings;
use strata_ops::install::Mirror;
use strata_ops::mirror::Direction;
use strata_ops::{Event, Reporter};
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
///
/// A configuration is written for Spack too: of the mirrors in it, those that strata cannot use are left out with a
/// warning, as long as one is left. What is named has to be usable.
fn mirrors(named: &[String], settings: &Settings, console: &Console) -> Result<Vec<Mirror>, Diagnosis> {
    let file = settings.mirrors_file();
    let open = |name: String| {
        let repository =
            strata_ops::mirror::open(&name, Direction::Fetch, &file, &strata_oci::Transport::default())?;
        Ok::<_, strata_ops::Error>(Mirror::new(name, repository))
    };
    if !named.is_empty() {
        return Ok(named.iter().cloned().map(open).collect::<Result<_, _>>()?);
    }
    let mut usable = Vec::new();
    let mut unusable = Vec::new();
    for name in strata_ops::mirror::configured(&file)? {
        match open(name.clone()) {
            Ok(mirror) => usable.push(mirror),
            Err(error) => unusable.push((name, error)),
        }
    }
    if usable.is_empty() && !unusable.is_empty() {
        return Err(unusable.swap_remove(0).1.into());
    }
    for (name, error) in unusable {
        let reason = strata_ops::error::chain(&error);
        console.event(Event::Warning(&format!("leaving out mirror {name}: {reason}")));
    }
    Ok(usable)
}
