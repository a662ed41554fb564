//! `strata -e ENV install`: what the environment's lockfile says, by hash; no index is needed for it. What is wanted and is not in
//! the lockfile is made concrete first, as by `strata concretize`.

use super::Installing;
use crate::args::{Global, Install};
use crate::commands::concretize::{begin, make_concrete};
use crate::commands::in_environment::{Current, regenerate_views};
use crate::commands::specs;
use crate::commands::wanted::add_to;
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use strata_ops::environment;
use strata_ops::install::Site;
use strata_ops::resolve::Resolved;
use strata_ops::{Event, Reporter};
use strata_spec::{DagHash, Node};

/// Installs what the environment consists of, or those of its packages that satisfy the specs of the command line.
pub(super) fn install(
    current: Current,
    args: &Install,
    global: &Global,
    site: &Site,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let specs = specs(&args.specs)?;
    let current = match bring_up_to_date(current, args, settings, console)? {
        Ok(current) => current,
        Err(outcome) => return Ok(outcome),
    };
    let not_in_it = || {
        let (spec, name) = (args.specs.join(" "), current.name.clone());
        strata_ops::Error::NotInEnvironment { spec, name }
    };
    let Some(lockfile) = &current.lockfile else {
        if !specs.is_empty() {
            return Err(not_in_it().into());
        }
        let directory = current.directory.clone();
        return match current.wants_nothing() {
            true => nothing(&current),
            false => Err(strata_ops::Error::NoLockfile { directory }.into()),
        };
    };
    let roots = current.roots();
    let asked: HashMap<&DagHash, &str> =
        roots.iter().map(|root| (&root.hash, root.requested.as_str())).collect();
    let chosen: Vec<(String, DagHash)> = if specs.is_empty() || args.add {
        roots.iter().map(|root| (root.requested.clone(), root.hash.clone())).collect()
    } else {
        let matching = environment::matching(lockfile, &specs)?;
        if matching.is_empty() {
            return Err(not_in_it().into());
        }
        let name =
            |node: &Node| asked.get(&node.hash).map_or_else(|| node.label(), |asked| (*asked).to_owned());
        matching.into_iter().map(|node| (name(node), node.hash.clone())).collect()
    };
    if chosen.is_empty() {
        return nothing(&current);
    }
    let mirrors = Registries::new(settings, console)?.readable(&args.from.mirror)?;
    let pairs = chosen.iter().map(|(asked, hash)| (asked.as_str(), hash));
    let resolved = Resolved::recorded(pairs, lockfile, site.installed.database(), &mirrors)?;
    let resolved = resolved.with_explicit(roots.iter().map(|root| root.hash.clone()));
    let installing = Installing { args, global, settings, site, mirrors: &mirrors };
    let mut outcome = installing.run(&resolved, console)?;
    if !args.dry_run {
        // Of what is there, whatever else failed.
        let views = regenerate_views(&current, settings, console);
        match views {
            Ok(views) => outcome.add("views", views),
            Err(error) => {
                let failures = std::mem::take(&mut outcome.failures);
                outcome.fail(failures.into_iter().chain([error]).collect(), false);
            }
        }
    }
    Ok(outcome)
}

/// Adds what is to be added, and makes concrete what is wanted; or how the command ends if that cannot be done.
fn bring_up_to_date(
    current: Current,
    args: &Install,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Result<Current, Outcome>, Diagnosis> {
    // Where there is nothing but a lockfile, that says it all.
    if args.only_concrete || !current.has_manifest() {
        return Ok(Ok(current));
    }
    let is_new = args.add && !args.specs.is_empty();
    if !is_new && current.is_up_to_date(settings)? {
        return Ok(Ok(current));
    }
    if args.dry_run {
        let text = "what is not in the spack.lock yet is left out: --dry-run writes nothing";
        console.event(Event::Warning(text));
        return Ok(Ok(current));
    }
    let _transaction = begin(&current.directory, settings, console)?;
    if is_new {
        for spec in add_to(&current.directory, &args.specs, settings)? {
            console.event(Event::Phase(&format!("added {spec} to {}", current.name)));
        }
    }
    match make_concrete(current.directory, &args.from, false, settings, console)? {
        Ok(concretization) => {
            for chosen in &concretization.chosen {
                console.event(Event::Phase(&format!("{} is {}", chosen.asked, chosen.package)));
            }
        }
        Err(outcome) => return Ok(Err(outcome)),
    }
    match Current::of(settings)? {
        Some(current) => Ok(Ok(current)),
        None => Err(Diagnosis::misuse("the environment is gone", "")),
    }
}

fn nothing(current: &Current) -> Result<Outcome, Diagnosis> {
    let text = format!("environment {} has no specs to install\n", current.name);
    Ok(Outcome::new(text, &json!({"installed": Value::Array(Vec::new())}))?)
}
