//! `strata concretize`.

use super::in_environment::{Current, regenerate_views};
use super::resolving::{Resolving, recorded};
use crate::args;
use crate::args::env::Concretize;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use strata_config::Locks;
use strata_ops::environment::concretize::plan;
use strata_ops::environment::{Concretization, Environment, Transaction, Work};

/// Who writes lockfiles, as they state it.
pub(super) const WRITER: (&str, &str) = ("strata", env!("CARGO_PKG_VERSION"));

/// Chooses a package for every spec of the environment that has none, and writes them down.
pub(crate) fn concretize(
    args: &Concretize,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let directory = active(settings, "concretize")?;
    let _transaction = begin(&directory, settings, console)?;
    match make_concrete(directory, &args.from, args.force, settings, console)? {
        Ok(concretization) => {
            let mut outcome = Outcome::new(said(&concretization), &concretization)?;
            // Of what is installed already, as Spack does.
            if let Err(error) = show(settings, console) {
                outcome.fail(vec![error], false);
            }
            Ok(outcome)
        }
        Err(outcome) => Ok(outcome),
    }
}

/// Makes the views of what the environment consists of now.
fn show(settings: &Settings, console: &Console) -> Result<(), Diagnosis> {
    if let Some(current) = Current::of(settings)? {
        regenerate_views(&current, settings, console)?;
    }
    Ok(())
}

/// The same for other commands, which are in a transaction; or how they end if that cannot be done.
pub(super) fn make_concrete(
    directory: PathBuf,
    from: &args::From,
    force: bool,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Result<Concretization, Outcome>, Diagnosis> {
    let environment = read(directory, settings)?;
    let work = Work::of(&environment, settings.configuration()?, force)?;
    let concretization = if work.new.is_empty() {
        plan(&work, None, None, WRITER)
    } else {
        let resolving = Resolving::of(work.new.clone(), from, settings, console)?;
        let installed = recorded(settings, console)?;
        let stock = resolving.stock(installed.database(), console)?;
        plan(&work, resolving.host.as_ref(), Some(stock), WRITER)
    };
    match concretization {
        Ok(concretization) => {
            concretization.write()?;
            Ok(Ok(concretization))
        }
        Err(mut errors) if errors.len() == 1 => Err(errors.remove(0).into()),
        Err(errors) => {
            let mut outcome = Outcome::new(String::new(), &json!({"changes": false}))?;
            outcome.fail(errors.into_iter().map(Diagnosis::from).collect(), true);
            Ok(Err(outcome))
        }
    }
}

/// The environment that a command is about, which it cannot do without.
pub(super) fn active(settings: &Settings, command: &str) -> Result<PathBuf, Diagnosis> {
    let hint = "name one with `-e ENV`, before or after the command, or activate one";
    let missing =
        || Diagnosis::misuse(format!("`{command}` is about an environment, and none is active"), hint);
    settings.environment()?.ok_or_else(missing)
}

/// Waits until nobody else changes the environment.
pub(super) fn begin(
    directory: &std::path::Path,
    settings: &Settings,
    console: &Console,
) -> Result<Transaction, Diagnosis> {
    // That there is no environment says more than that its lock cannot be made.
    strata_config::Manifest::read(directory)?;
    let locks = Locks::of(settings.configuration()?)?;
    Ok(Transaction::begin(directory, locks.enabled, console)?)
}

/// Reads the environment.
pub(super) fn read(directory: PathBuf, settings: &Settings) -> Result<Environment, Diagnosis> {
    Ok(Environment::read(&settings.environments()?.name_of(&directory), &directory)?)
}

fn said(done: &Concretization) -> String {
    let mut text = String::new();
    for chosen in &done.chosen {
        let place = match chosen.mirrors.as_slice() {
            [] => "installed".to_owned(),
            mirrors => format!("in {}", mirrors.join(", ")),
        };
        writeln!(text, "{}  {}  {place}", chosen.asked, chosen.package).ok();
    }
    for spec in &done.dropped {
        writeln!(text, "{spec}  is no longer wanted").ok();
    }
    let specs = |count: usize| format!("{count} spec{}", if count == 1 { "" } else { "s" });
    match (done.chosen.len(), done.changes) {
        (0, false) => writeln!(text, "nothing to do: {} concrete already", specs(done.kept)).ok(),
        (new, _) => {
            let others = [(done.kept, "were already"), (done.dropped.len(), "dropped")];
            writeln!(text, "made {} concrete{}", specs(new), counts(&others)).ok()
        }
    };
    text
}
