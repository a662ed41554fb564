//! `strata mirror …`: the mirrors of Spack's configuration, in all of its scopes.

mod access;
mod list;

use crate::args::mirror::{
    Holds, MirrorAdd, MirrorRemove, MirrorRename, MirrorSet, MirrorSetUrl, OneDirection,
};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
pub(crate) use list::list;
use serde_json::json;
use strata_config::{AccessChange, Direction, EditedScope, MirrorChange, NewMirror};
use strata_oci::RepositoryUrl;
use strata_ops::{Event, Reporter};

/// Gives a cache a name.
pub(crate) fn add(args: &MirrorAdd, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    access::check(&args.connection)?;
    let url = cache_url(&args.url)?;
    let configuration = settings.configuration()?;
    let (binary, source) = holds(&args.holds);
    let new = NewMirror {
        binary,
        source,
        autopush: args.autopush.then_some(true),
        signed: (args.signed || args.unsigned).then_some(args.signed),
        access_pair: access::pair(&args.connection)?,
        ..NewMirror::new(&args.name, &url)
    };
    let edited = configuration.add_mirror(args.scope.scope.as_deref(), &new)?;
    if args.connection.oci_password.is_some() {
        warn_of_plain_text(&edited, console);
    }
    let others = configuration.scopes_with_mirror(&args.name)?;
    let others: Vec<String> = others.into_iter().filter(|scope| *scope != edited.scope).collect();
    if !others.is_empty() {
        console.event(Event::Warning(&format!(
            "a mirror {} is configured in {} too; what the higher scope says counts",
            args.name,
            others.join(", ")
        )));
    }
    let text = format!("added mirror {} ({url}) to {}\n", args.name, edited.file.display());
    let result = json!({"name": args.name, "url": url, "scope": edited.scope, "file": edited.file});
    Ok(Outcome::new(text, &result)?)
}

/// Changes what is configured of a mirror.
pub(crate) fn set(args: &MirrorSet, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    access::check(&args.connection)?;
    let (binary, source) = holds(&args.holds);
    let change = MirrorChange {
        direction: direction(&args.direction),
        url: args.url.as_deref().map(cache_url).transpose()?,
        access: access::change(&args.connection),
        binary,
        source,
        signed: (args.signed || args.unsigned).then_some(args.signed),
        autopush: (args.autopush || args.no_autopush).then_some(args.autopush),
    };
    changed(&args.name, args.scope.scope.as_deref(), &change, settings, console)
}

/// Changes the URL of a mirror.
pub(crate) fn set_url(
    args: &MirrorSetUrl,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    access::check(&args.connection)?;
    let change = MirrorChange {
        direction: direction(&args.direction),
        url: Some(cache_url(&args.url)?),
        access: access::change(&args.connection),
        ..MirrorChange::default()
    };
    changed(&args.name, args.scope.scope.as_deref(), &change, settings, console)
}

fn changed(
    name: &str,
    scope: Option<&str>,
    change: &MirrorChange,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let says_nothing = change.access == AccessChange::default()
        && change.url.is_none()
        && [change.binary, change.source, change.signed, change.autopush].iter().all(Option::is_none);
    if says_nothing {
        let text = format!("nothing is said that is to be different about the mirror {name}");
        return Err(Diagnosis::misuse(text, "say what: see `strata mirror set --help`"));
    }
    let edited = settings.configuration()?.change_mirror(scope, name, change)?;
    if edited.changed && change.access.secret.is_some() {
        warn_of_plain_text(&edited, console);
    }
    let file = edited.file.display();
    let text = if edited.changed {
        format!("changed mirror {name} in {file}\n")
    } else {
        format!("mirror {name} in {file} says that already\n")
    };
    let result = json!({"name": name, "scope": edited.scope, "file": edited.file, "changed": edited.changed});
    Ok(Outcome::new(text, &result)?)
}

/// Gives a mirror another name.
pub(crate) fn rename(args: &MirrorRename, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let scope = args.scope.scope.as_deref();
    let edited = settings.configuration()?.rename_mirror(scope, &args.name, &args.to)?;
    let text = format!("renamed mirror {} to {} in {}\n", args.name, args.to, edited.file.display());
    let result = json!({"name": args.to, "was": args.name, "scope": edited.scope, "file": edited.file});
    Ok(Outcome::new(text, &result)?)
}

/// Forgets a mirror.
pub(crate) fn remove(
    args: &MirrorRemove,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let configuration = settings.configuration()?;
    let name = &args.name;
    let edited = configuration.remove_mirror(args.scope.as_deref(), name, args.all_scopes)?;
    let left = configuration.scopes_with_mirror(name)?;
    if !left.is_empty() {
        console.event(Event::Warning(&format!(
            "a mirror {name} is still configured in {}; --all-scopes removes it everywhere",
            left.join(", ")
        )));
    }
    let lines: Vec<String> = edited
        .iter()
        .map(|edited| format!("removed mirror {name} from {}\n", edited.file.display()))
        .collect();
    let scopes: Vec<_> =
        edited.iter().map(|edited| json!({"scope": edited.scope, "file": edited.file})).collect();
    let file = edited.first().map(|edited| &edited.file);
    Ok(Outcome::new(lines.concat(), &json!({"name": name, "file": file, "scopes": scopes}))?)
}

/// A URL of a cache, which is written down as it was given.
fn cache_url(url: &str) -> Result<String, Diagnosis> {
    url.parse::<RepositoryUrl>().map_err(strata_ops::Error::from)?;
    Ok(url.to_owned())
}

fn holds(holds: &[Holds]) -> (Option<bool>, Option<bool>) {
    let has = |what| (!holds.is_empty()).then(|| holds.contains(&what));
    (has(Holds::Binary), has(Holds::Source))
}

fn direction(one: &OneDirection) -> Option<Direction> {
    match (one.push, one.fetch) {
        (true, _) => Some(Direction::Push),
        (_, true) => Some(Direction::Fetch),
        _ => None,
    }
}

fn warn_of_plain_text(edited: &EditedScope, console: &Console) {
    console.event(Event::Warning(&format!(
        "the password stands in plain text in {}, in a form that Spack 1.1 and later refuse; put it into an \
         environment variable and use --oci-password-variable",
        edited.file.display()
    )));
}
