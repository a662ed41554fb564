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
use strata_store::Installed;

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
        Self::of(specs, from, settings, console)
    }

    /// Opens the caches and looks at the machine, for specs that were read elsewhere.
    pub(super) fn of(
        specs: Vec<AbstractSpec>,
        from: &args::From,
        settings: &Settings,
        console: &Arc<Console>,
    ) -> Result<Self, Diagnosis> {
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

/// What is installed where the settings say, and below; a store is not begun for it.
pub(super) fn recorded(settings: &Settings, console: &Console) -> Result<Installed, Diagnosis> {
    let place = settings.place()?;
    place.installed(&place.root()?, console)
}
