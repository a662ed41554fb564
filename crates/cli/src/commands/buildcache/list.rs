//! `strata buildcache list`: one package a line, those alone that run on this machine unless all are asked for.

use crate::args::Global;
use crate::args::buildcache::List;
use crate::commands::specs;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::list::{Hidden, Listed, Listing};
use strata_ops::{Error, Event, Reporter, host, index, list as operation};
use strata_spec::format;

/// How many reasons are named for which packages are hidden.
const REASONS: usize = 2;

/// Lists the packages of caches. One that cannot be asked does not hide what the others have.
pub(crate) fn list(
    args: &List,
    global: &Global,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let specs = specs(&args.specs)?;
    let mirrors = Registries::new(settings, console)?.readable(&args.mirror)?;
    let console: &Console = console;
    let kept = settings.kept_indexes();
    let (mut catalogs, mut names, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for mirror in &mirrors {
        match index::catalog_or_collect(&*mirror.repository, kept.as_deref(), console) {
            Ok(catalog) => {
                catalogs.push(catalog);
                names.push(&*mirror.name);
            }
            Err(error) if mirrors.len() == 1 => return Err(error.into()),
            Err(error) => failures.push((mirror.name.clone(), error)),
        }
    }
    let place = mirrors.iter().map(|mirror| &*mirror.name).collect::<Vec<_>>().join(", ");
    let host = host::detect();
    let Listing { packages: mut found, unmatched } = operation::list(&catalogs, &specs, &host);
    if let Some(spec) = unmatched.first().filter(|_| found.is_empty()) {
        return Err(operation::miss(spec, &mirrors, &host, kept.as_deref()).into());
    }
    for spec in &unmatched {
        console.event(Event::Warning(&format!("no spec matches `{spec}` in {place}")));
    }
    let hidden = operation::hidden(&found);
    let count = hidden.iter().map(|hidden| hidden.packages).sum();
    if !args.all {
        if let Some(spec) = specs.first().filter(|_| count > 0 && count == found.len()) {
            let spec = if specs.len() == 1 { spec.to_string() } else { args.specs.join(" ") };
            return Err(Error::NoneRunsHere { spec, place, count, reason: reasons(&hidden) }.into());
        }
        found.retain(|listed| listed.unfit.is_none());
    }
    let mut summary = format!("{} cached", packages(found.len()));
    if count > 0 {
        let what = if args.all { "of them do not run" } else { "more do not run" };
        write!(summary, "; {count} {what} on this machine: {}", reasons(&hidden)).ok();
        summary.push_str(if args.all { "" } else { "; --all lists them, too" });
    }
    console.event(Event::Phase(&summary));
    let mut outcome = if global.json {
        let rows: Vec<Value> = found.iter().map(|listed| row(listed, names[listed.catalog])).collect();
        let hidden = json!({"packages": if args.all { 0 } else { count }, "reasons": hidden});
        Outcome::new(String::new(), &json!({"specs": rows, "hidden": hidden}))?
    } else {
        let show = Show { variants: args.variants || global.verbose, args };
        let lines: String = found.iter().map(|listed| show.line(listed)).collect();
        Outcome::new(lines, &Value::Null)?
    };
    let failures: Vec<Diagnosis> = failures.into_iter().map(|(_, error)| error.into()).collect();
    outcome.fail(failures, catalogs.is_empty());
    Ok(outcome)
}

/// The commonest reasons, in words.
fn reasons(hidden: &[Hidden]) -> String {
    let named = hidden.iter().take(REASONS).map(|hidden| match hidden.packages {
        1 => hidden.reason.clone(),
        several => format!("{} ({several} of them)", hidden.reason),
    });
    let mut text = named.collect::<Vec<_>>().join("; ");
    if hidden.len() > REASONS {
        write!(text, "; and {} more reasons", hidden.len() - REASONS).ok();
    }
    text
}

/// What a line has.
struct Show<'a> {
    variants: bool,
    args: &'a List,
}

impl Show<'_> {
    /// `[HASH ][NAMESPACE.]NAME@VERSION[VARIANTS …][  (WHY IT IS HIDDEN)]`
    fn line(&self, listed: &Listed<'_>) -> String {
        let node = listed.node;
        let mut line = String::new();
        if self.args.very_long {
            write!(line, "{} ", node.hash()).ok();
        } else if self.args.long {
            write!(line, "{} ", node.hash().get(..7).unwrap_or(node.hash())).ok();
        }
        if let Some(namespace) = node.namespace().filter(|_| self.args.namespaces) {
            write!(line, "{namespace}.").ok();
        }
        if self.variants {
            line.push_str(&format::canonical_in_catalog(node));
        } else {
            write!(line, "{}@{}", node.name(), node.version()).ok();
        }
        if let Some(unfit) = &listed.unfit {
            write!(line, "  ({unfit})").ok();
        }
        line.push('\n');
        line
    }
}

fn row(listed: &Listed<'_>, mirror: &str) -> Value {
    let node = listed.node;
    json!({
        "name": node.name(), "version": node.version(), "hash": node.hash(), "namespace": node.namespace(),
        "external": node.is_external(), "spec": format::canonical_in_catalog(node),
        "architecture": format!("{}-{}-{}", node.platform(), node.os(), node.target()),
        "mirror": mirror, "runs_here": listed.unfit.is_none(),
        "hidden": listed.unfit.as_ref().map(ToString::to_string),
    })
}
