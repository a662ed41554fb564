//! `strata env view`.

use super::super::concretize::begin;
use super::super::installed;
use crate::args::env::{View, ViewAction};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use strata_config::{Manifest, ViewDescriptor, ViewSetting};
use strata_ops::environment::Locked;
use strata_ops::environment::view::{self, ViewSource, ViewSummary};
use strata_ops::{Error, Event, Reporter};
use strata_spec::Database;

/// Makes the views of the environment, or says whether there is to be one.
pub(crate) fn view(args: &View, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let Some(environment) = settings.environment()? else {
        let hint = "name one: `strata -e NAME env view …`";
        return Err(Diagnosis::misuse("no environment is active".to_owned(), hint));
    };
    let wanted = match (args.action, &args.path) {
        (ViewAction::Enable, None) => Some(ViewSetting::Default),
        (ViewAction::Enable, Some(path)) => Some(ViewSetting::Path(path.display().to_string())),
        (ViewAction::Disable, None) => Some(ViewSetting::None),
        (ViewAction::Regenerate, None) => None,
        (ViewAction::Disable | ViewAction::Regenerate, Some(path)) => {
            let text = format!("`{}` is given, and only `enable` takes a path", path.display());
            return Err(Diagnosis::misuse(text, "leave it out"));
        }
    };
    let _transaction = begin(&environment, settings, console)?;
    let (summaries, removed) = match wanted {
        None => (regenerate(&environment, &descriptors(settings)?, settings, console)?, Vec::new()),
        Some(wanted) => change(&environment, &wanted, settings, console)?,
    };
    let mut text = String::new();
    for root in &removed {
        let _ = writeln!(text, "removed {}", root.display());
    }
    summaries.iter().for_each(|summary| line(summary, &mut text));
    if summaries.is_empty() {
        console.event(Event::Phase("the environment has no view"));
    }
    Ok(Outcome::new(text, &json!({"views": summaries, "removed": removed}))?)
}

/// Has the manifest say what is wanted and makes that, and then takes away the views that are no more; the latter are told.
/// If a view cannot be made, the manifest says again what it said.
fn change(
    environment: &Path,
    wanted: &ViewSetting,
    settings: &Settings,
    console: &Console,
) -> Result<(Vec<ViewSummary>, Vec<PathBuf>), Diagnosis> {
    let before = ViewDescriptor::all(settings.configuration()?)?;
    let manifest = Manifest::read(environment)?;
    let path = manifest.path();
    let written = std::fs::read_to_string(path)
        .map_err(|error| Diagnosis::system(format!("cannot read {}", path.display()), &error))?;
    manifest.set_view(wanted)?;
    let made = descriptors(settings).and_then(|views| {
        let summaries = regenerate(environment, &views, settings, console)?;
        Ok((views, summaries))
    });
    let (views, summaries) = match made {
        Ok(made) => made,
        Err(diagnosis) => {
            if let Err(error) = manifest.restore(&written) {
                let text = format!("{} still says what was wanted: {error}", path.display());
                console.event(Event::Warning(&text));
            }
            return Err(diagnosis);
        }
    };
    let mut removed = Vec::new();
    for old in before.iter().filter(|old| !views.iter().any(|view| view.root == old.root)) {
        if view::remove(old)? {
            removed.push(old.root.clone());
        }
    }
    Ok((summaries, removed))
}

/// The views that the environment is to have, as its files say now.
fn descriptors(settings: &Settings) -> Result<Vec<ViewDescriptor>, Diagnosis> {
    Ok(ViewDescriptor::all(&settings.read_configuration()?)?)
}

/// Makes those views that are not what they should be.
fn regenerate(
    environment: &Path,
    views: &[ViewDescriptor],
    settings: &Settings,
    console: &Console,
) -> Result<Vec<ViewSummary>, Diagnosis> {
    if views.is_empty() {
        return Ok(Vec::new());
    }
    let locked = match Locked::read(environment) {
        Ok(locked) => locked,
        // An environment that is not concrete, or wants nothing, shows nothing.
        Err(Error::NoLockfile { .. } | Error::EmptyEnvironment { .. }) => {
            let source = ViewSource { nodes: &Database::default(), databases: &[], store_root: environment };
            return Ok(view::regenerate(&[], source, views, console)?);
        }
        Err(error) => return Err(error.into()),
    };
    let (root, installed) = installed(settings, console)?;
    let roots: Vec<_> = locked.roots().into_iter().cloned().collect();
    let source =
        ViewSource { nodes: locked.lockfile(), databases: &[installed.database()], store_root: root.root() };
    Ok(view::regenerate(&roots, source, views, console)?)
}

/// What became of a view.
fn line(summary: &ViewSummary, text: &mut String) {
    let (root, shown) = (summary.root.display(), packages(summary.packages.len()));
    let _ = match (summary.changed, summary.files, summary.conflicts.len()) {
        (true, Some(files), 0) => writeln!(text, "{root}: {shown}, {files} files"),
        (true, Some(files), several) => writeln!(
            text,
            "{root}: {shown}, {files} files; {several} more are not shown, since another package has one of that name"
        ),
        _ => writeln!(text, "{root}: {shown}, up to date"),
    };
}
