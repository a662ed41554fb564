//! `strata uninstall`.

use super::concretize::begin;
use super::in_environment::{Current, regenerate_views};
use super::wanted::remove_roots;
use super::{specs, store};
use crate::args::Uninstall;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_ops::environment::read_lockfile;
use strata_ops::uninstall::{Request, refuse_upstream, uninstall as remove};
use strata_ops::{Event, Reporter};
use strata_spec::DagHash;

/// Removes packages that nothing else needs.
pub(crate) fn uninstall(
    args: &Uninstall,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let current = Current::of(settings)?;
    if args.remove && current.is_none() {
        return Err(Diagnosis::misuse(
            "--remove is about an environment, and none is named or active",
            "name one with -e, or leave it out",
        ));
    }
    let among = current.as_ref().map(Current::hashes).transpose()?;
    let directory = current.as_ref().map(|current| current.directory.as_path());
    // Whether they need it does not matter then, so neither does whether they can be read.
    let needed = if args.force { Vec::new() } else { settings.environments()?.needs(directory)? };
    let (store, specs) = (store(settings)?, specs(&args.specs)?);
    refuse_upstream(&settings.place()?.installed(store.root(), console)?, &specs)?;
    let request = Request {
        specs: &specs,
        all: args.all,
        dependents: args.dependents,
        force: args.force,
        among: among.as_ref(),
        needed: &needed,
        leave_needed: args.remove,
    };
    let done = remove(&store, &request, console)?;
    let mut text = format!("removed {}", packages(done.removed.len()));
    text += &counts(&[(done.left.len(), "left to other environments")]);
    text.push('\n');
    for package in &done.left {
        writeln!(text, "left {package}, which another environment needs").ok();
    }
    let mut outcome = Outcome::new(text, &json!({"removed": done.removed, "left": done.left}))?;
    if let Some(current) = current {
        let after = leave_environment(current, args, &done.asked, settings, console);
        outcome.fail(after.err().into_iter().collect(), false);
    }
    Ok(outcome)
}

/// What there is to do in the environment once packages are gone: they are not wanted any more, and no view shows them.
fn leave_environment(
    current: Current,
    args: &Uninstall,
    gone: &[DagHash],
    settings: &Settings,
    console: &Console,
) -> Result<(), Diagnosis> {
    let mut current = current;
    if args.remove && current.has_manifest() {
        let _transaction = begin(&current.directory, settings, console)?;
        for spec in remove_roots(&current.directory, gone, settings)? {
            let text = format!("{spec} comes from a matrix or another list, and stays in {}", current.name);
            console.event(Event::Warning(&text));
        }
        current.lockfile = read_lockfile(&current.directory)?;
    }
    if current.has_manifest() {
        regenerate_views(&current, settings, console)?;
    }
    Ok(())
}
