//! `strata find` and `strata location`.

use super::{selectors, store};
use crate::args;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_ops::find::Found;
use strata_ops::{Event, Reporter};
use strata_spec::Database;

/// Lists installed packages.
pub(crate) fn find(args: &args::Find, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let (database, place) = read(settings)?;
    let mut found = strata_ops::find::installed(&database, &selectors(&args.specs)?, &place)?;
    if args.explicit {
        found.retain(|package| package.explicit == Some(true));
    }
    console.event(Event::Phase(&format!("{} installed", packages(found.len()))));
    Ok(Outcome::new(lines(&found, args.long, args.paths), &json!({"specs": found}))?)
}

/// Prints where a package is installed.
pub(crate) fn location(args: &args::Location, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let (database, place) = read(settings)?;
    let found = strata_ops::find::one(&database, &args.spec.parse()?, &place)?;
    let prefix = found.prefix.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    Ok(Outcome::new(prefix + "\n", &found)?)
}

fn read(settings: &Settings) -> Result<(Database, String), Diagnosis> {
    // Before the first install there is no store, and nothing in it.
    if !settings.store_is_named && !settings.store.exists() {
        return Ok((Database::default(), settings.store.display().to_string()));
    }
    let store = store(settings)?;
    let database = store.read().map_err(strata_ops::Error::from)?;
    Ok((database, store.root().root().display().to_string()))
}

/// One package a line: `[HASH7 ]NAME@VERSION[  PREFIX]`.
pub(crate) fn lines(found: &[Found], long: bool, paths: bool) -> String {
    let mut text = String::new();
    for package in found {
        if long {
            write!(text, "{} ", package.hash.short()).ok();
        }
        write!(text, "{}@{}", package.name, package.version).ok();
        if let Some(prefix) = package.prefix.as_ref().filter(|_| paths) {
            write!(text, "  {}", prefix.display()).ok();
        }
        text.push('\n');
    }
    text
}
