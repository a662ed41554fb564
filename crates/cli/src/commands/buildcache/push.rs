//! `strata buildcache push`.

use crate::args::buildcache::{Only, Push};
use crate::commands::{specs, store};
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
use strata_ops::{Event, Reporter, index};

/// What to do when packages were pushed and the index could not be brought up to date.
const NOT_INDEXED: &str =
    "what was pushed is in the cache, but its index may lack it: run `strata buildcache update-index`";

/// Pushes installed packages.
pub(crate) fn push(args: &Push, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let registries = Registries::sending(args.upload, settings, console)?;
    let request = PushRequest {
        specs: specs(&args.specs)?,
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
    let nothing_achieved = summary.pushed.is_empty();
    // The packages are there whatever becomes of the index.
    let index = match args.no_update_index {
        true => Ok(None),
        false => index::add(&*repository, &database, &summary.hashes(), console).map(Some),
    };
    let (mut index, mut trouble) = match index {
        Ok(index) => (index, None),
        Err(error) => (None, Some(error)),
    };
    if let Some(index) = &mut index {
        trouble = index.trouble.take();
    }
    let mut outcome =
        Outcome::new(pushed(&summary, repository.url()), &json!({"push": summary, "index": index}))?;
    if let Some(index) = index {
        writeln!(outcome.text, "the index has {}", packages(index.packages)).ok();
    }
    let mut failures = failures(summary.failed);
    failures.extend(trouble.map(|error| Diagnosis::from(error).with_hint(NOT_INDEXED)));
    outcome.fail(failures, nothing_achieved);
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
