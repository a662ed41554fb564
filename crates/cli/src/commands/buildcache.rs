//! `strata buildcache push|update-index|list`.

use super::{selectors, store};
use crate::args::{List, Only, Push, UpdateIndex};
use crate::commands::find;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::mirror::Direction;
use strata_ops::push::{self, PushPlan, PushRequest, PushSummary};
use strata_ops::{Error, Event, Reporter, index};

/// Pushes installed packages.
pub(crate) fn push(args: &Push, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let registries = Registries::sending(args.upload, settings, console)?;
    let request = PushRequest {
        selectors: selectors(&args.specs)?,
        only: match args.only {
            None => push::Only::Everything,
            Some(Only::Package) => push::Only::Package,
            Some(Only::Dependencies) => push::Only::Dependencies,
        },
        force: args.force,
        jobs: args.jobs.unwrap_or(settings.cores),
        timestamp: settings.source_date_epoch()?,
        mount_from: registries.sibling(&args.mirror)?,
        journals: settings.use_cache.then(|| settings.cache_directory.join("journal")),
    };
    let store = store(settings)?;
    let database = store.read().map_err(strata_ops::Error::from)?;
    let repository = registries.open(&args.mirror, Direction::Push)?;
    let console: &Console = console;
    let plan = push::plan(&database, &*repository, &request, console)?;
    for unavailable in &plan.unavailable {
        console.event(Event::Warning(&format!("skipping {}: {}", unavailable.package, unavailable.reason)));
    }
    if args.dry_run {
        let mut outcome = Outcome::new(planned(&plan), &plan)?;
        outcome.fail(failures(plan.failed), plan.to_push.is_empty());
        return Ok(outcome);
    }
    let summary = push::execute(&database, store.root(), &*repository, &request, plan, console)?;
    let index = if args.update_index { Some(index::update(&*repository, console)?) } else { None };
    let mut outcome =
        Outcome::new(pushed(&summary, repository.url()), &json!({"push": summary, "index": index}))?;
    if let Some(index) = index {
        writeln!(outcome.text, "the index has {}", packages(index.packages)).ok();
    }
    outcome.fail(failures(summary.failed), summary.pushed.is_empty());
    Ok(outcome)
}

fn failures(failed: Vec<push::Failure>) -> Vec<Diagnosis> {
    failed.into_iter().map(|failure| Diagnosis::of_package(failure.package, &failure.error)).collect()
}

fn planned(plan: &PushPlan) -> String {
    let mut text = String::new();
    for package in &plan.to_push {
        writeln!(text, "would push {}", package.label()).ok();
    }
    for package in &plan.present {
        writeln!(text, "is there   {package}").ok();
    }
    for package in &plan.unavailable {
        writeln!(text, "would skip {}: {}", package.package, package.reason).ok();
    }
    for failure in &plan.failed {
        writeln!(text, "cannot push {}: {}", failure.package, failure.message).ok();
    }
    text
}

fn pushed(summary: &PushSummary, url: &impl std::fmt::Display) -> String {
    let text = format!("pushed {} to {url}", packages(summary.pushed.len()));
    let others = [
        (summary.present.len(), "there already"),
        (summary.unavailable.len(), "not installed"),
        (summary.failed.len(), "failed"),
    ];
    text + &counts(&others) + "\n"
}

/// Brings the index of a cache up to date.
pub(crate) fn update_index(
    args: &UpdateIndex,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let repository = Registries::new(settings, console)?.open(&args.mirror, Direction::Update)?;
    let summary = index::update(&*repository, &**console)?;
    let verb = if summary.written { "wrote" } else { "kept" };
    let text = format!(
        "{verb} the index of {}: {}, {} added, {} dropped\n",
        repository.url(),
        packages(summary.packages),
        summary.added,
        summary.dropped
    );
    Ok(Outcome::new(text, &summary)?)
}

/// Lists the packages of caches. One that cannot be asked does not hide what the others have.
pub(crate) fn list(args: &List, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let selectors = selectors(&args.specs)?;
    let mirrors = Registries::new(settings, console)?.readable(&args.mirror)?;
    let (mut indexes, mut failures) = (Vec::new(), Vec::new());
    for mirror in &mirrors {
        match index::read_or_collect(&*mirror.repository, &**console) {
            Ok(index) => indexes.push(index),
            Err(error) if mirrors.len() == 1 => return Err(error.into()),
            Err(error) => failures.push((mirror.name.clone(), error)),
        }
    }
    let places: Vec<&str> = mirrors.iter().map(|mirror| &*mirror.name).collect();
    let found = match strata_ops::find::in_caches(&indexes, &selectors, &places.join(", ")) {
        Err(Error::NoSuchSpec { spec, .. }) if !failures.is_empty() => {
            let reasons = failures.into_iter().map(|(mirror, error)| {
                let reason = strata_ops::error::chain(&error);
                console.event(Event::Warning(&format!("mirror {mirror} could not be asked: {reason}")));
                (mirror, reason)
            });
            return Err(Error::Unasked { spec, failures: reasons.collect() }.into());
        }
        found => found?,
    };
    console.event(Event::Phase(&format!("{} cached", packages(found.len()))));
    let mut outcome = Outcome::new(find::lines(&found, args.long, false), &json!({"specs": found}))?;
    let failures: Vec<Diagnosis> = failures.into_iter().map(|(_, error)| error.into()).collect();
    outcome.fail(failures, indexes.is_empty());
    Ok(outcome)
}
