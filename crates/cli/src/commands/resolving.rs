//! What `install`, `spec` and `why` share: the caches, the store and the machine that a spec is looked for in.

use super::specs;
use crate::args;
use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::path::PathBuf;
use std::sync::Arc;
use strata_ops::resolve::{Mirror, Request, Stock, Unify};
use strata_ops::{Event, Reporter};
use strata_spec::host::Host;
use strata_spec::{AbstractSpec, Database, target};
use strata_store::{LockSettings, Store, StoreRoot};

/// Everything that resolving depends on, but for what the mirrors say.
pub(super) struct Resolving {
    pub(super) specs: Vec<AbstractSpec>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) host: Option<Host>,
    kept: Option<PathBuf>,
}

impl Resolving {
    /// Reads the specs, opens the caches and looks at the machine.
    pub(super) fn new(
        words: &[String],
        from: &args::From,
        settings: &Settings,
        console: &Arc<Console>,
    ) -> Result<Self, Diagnosis> {
        let specs = specs(words)?;
        if specs.is_empty() {
            return Err(Diagnosis::misuse("cannot read spec ``: it is empty", "name a package, or a /HASH"));
        }
        Ok(Self {
            specs,
            mirrors: Registries::new(settings, console)?.readable(&from.mirror)?,
            host: host(from, console),
            kept: settings.kept_indexes(),
        })
    }

    /// Asks the mirrors.
    pub(super) fn stock<'s>(
        &'s self,
        database: &'s Database,
        console: &Console,
    ) -> Result<Stock<'s>, Diagnosis> {
        Ok(Stock::gather(
            &self.specs,
            self.host.as_ref(),
            &self.mirrors,
            database,
            self.kept.as_deref(),
            console,
        )?)
    }

    pub(super) fn request(&self, unify: args::Unify) -> Request<'_> {
        Request { specs: &self.specs, host: self.host.as_ref(), unify: unify.into() }
    }
}

impl From<args::Unify> for Unify {
    fn from(unify: args::Unify) -> Self {
        match unify {
            args::Unify::True => Self::True,
            args::Unify::WhenPossible => Self::WhenPossible,
            args::Unify::False => Self::False,
        }
    }
}

/// Says it if a processor is one that nobody knows.
pub(super) fn warn_if_unknown(target: &str, console: &Console) {
    if !target::known().any(|known| known.name == target) {
        let text = format!("target {target} is not known: only what was built for exactly that runs on it");
        console.event(Event::Warning(&text));
    }
}

/// The machine that binaries are to run on.
fn host(from: &args::From, console: &Console) -> Option<Host> {
    if from.no_host_check {
        return None;
    }
    let mut host = strata_ops::host::detect();
    if let Some(target) = &from.target {
        warn_if_unknown(target, console);
        host.target = target.clone();
    }
    if let Some(os) = &from.os
        && host.os.as_ref() != Some(os)
    {
        // This machine's C library is not that of another system.
        host.libc = None;
        host.os = Some(os.clone());
    }
    Some(host)
}

/// What is installed where the settings say; a store is not begun for it.
pub(super) fn recorded(settings: &Settings) -> Result<Database, Diagnosis> {
    installed(&StoreRoot::open_or_new(&settings.store, None).map_err(strata_ops::Error::from)?)
}

/// What is installed under a root; nothing if there is no install tree yet.
pub(super) fn installed(root: &StoreRoot) -> Result<Database, Diagnosis> {
    if !root.database_directory().is_dir() {
        return Ok(Database::default());
    }
    let store = Store::open(root.clone(), LockSettings::default()).map_err(strata_ops::Error::from)?;
    Ok(store.read().map_err(strata_ops::Error::from)?)
}
