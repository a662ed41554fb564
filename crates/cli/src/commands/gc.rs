//! `strata gc`.

use super::{specs, store};
use crate::args::store::Gc;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_ops::environment::Locked;
use strata_ops::gc::{self, Options, Roots};
use strata_ops::uninstall::Uninstalled;
use strata_ops::{Error, Event, Reporter};

/// Removes what is installed and nobody needs.
pub(crate) fn gc(args: &Gc, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let store = store(settings)?;
    let options = Options {
        roots: roots(args, settings, console)?,
        keep_build_dependencies: args.keep_build_dependencies,
        specs: specs(&args.specs)?,
    };
    let planned = gc::plan(&store, &options, console)?;
    let count = packages(planned.len());
    if planned.is_empty() {
        return Ok(Outcome::new("nothing to remove\n".to_owned(), &json!({"removed": planned}))?);
    }
    if args.dry_run {
        let text = listing(&planned) + &format!("{count} would be removed\n");
        return Ok(Outcome::new(text, &json!({"would_remove": planned}))?);
    }
    gc::execute(&store, &options, &planned, console)?;
    let text = listing(&planned) + &format!("removed {count}\n");
    Ok(Outcome::new(text, &json!({"removed": planned}))?)
}

/// A line for each.
fn listing(packages: &[Uninstalled]) -> String {
    let mut text = String::new();
    for package in packages {
        let label = strata_spec::label(&package.name, &package.version, &package.hash);
        let note = if package.external { "  (external: its files stay)" } else { "" };
        writeln!(text, "{label}{note}").ok();
    }
    text
}

/// From where it is seen what is needed, with Spack's rules: `-E` and `-e` after `gc` leave out what users asked for outside
/// of environments; without them, only the environment that the command is about is cleaned up, if it is about one.
fn roots(args: &Gc, settings: &Settings, console: &Console) -> Result<Roots, Diagnosis> {
    let active = settings.environment()?;
    if args.except_environment.is_empty() && !args.except_any_environment {
        let Some(directory) = active else { return Ok(Roots::Explicit) };
        console.event(Event::Phase(&format!("cleaning up environment {} only", directory.display())));
        return Ok(Roots::within(&Locked::read(&directory)?));
    }
    let known = settings.environments()?;
    let mut environments = Vec::new();
    for named in &args.except_environment {
        // Without its lockfile, all that it needs would go.
        environments.push(Locked::read(&known.named_or_at(named)?)?);
    }
    if args.except_any_environment {
        let named = known.all()?.into_iter().map(|named| named.directory);
        for directory in named.chain(active) {
            match Locked::read(&directory) {
                Ok(environment) => environments.push(environment),
                Err(Error::NoLockfile { directory } | Error::EmptyEnvironment { directory }) => {
                    let text =
                        format!("environment {} needs nothing: it is not concrete", directory.display());
                    console.event(Event::Warning(&text));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Roots::of(&environments))
}
