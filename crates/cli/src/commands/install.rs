//! `strata install`.

use super::resolving::{Resolving, installed};
use crate::args::{Global, Install};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts, packages};
use crate::progress::Console;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::install::{self, InstallOptions, InstallPlan, InstallSummary};
use strata_ops::resolve::{Chosen, resolve};
use strata_ops::{Event, Reporter};
use strata_store::StoreRoot;

/// Installs packages and their runtime closure.
pub(crate) fn install(
    args: &Install,
    global: &Global,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let root =
        StoreRoot::open_or_new(&settings.store, settings.padded_length).map_err(strata_ops::Error::from)?;
    if let (Some(length), Ok(existing)) = (settings.padded_length, StoreRoot::open(&settings.store))
        && existing != root
    {
        // A second install tree below the first would be one that no other command finds.
        let existing = existing.root().to_owned();
        return Err(strata_ops::Error::OtherPadding { existing, length }.into());
    }
    // A root that scripts cannot live under is refused before anything else is asked.
    root.sbang_path().map_err(strata_ops::Error::from)?;
    let resolving = Resolving::new(&args.specs, &args.from, settings, console)?;
    let mirrors = &resolving.mirrors;
    let console: &Console = console;
    let database = installed(&root)?;
    let resolved = resolve(&resolving.request(args.unify), resolving.stock(&database, console)?)?;
    for chosen in &resolved.chosen {
        console.event(Event::Detail(&choice(chosen)));
    }
    let plan = install::plan(&resolved, mirrors, &database, &root, console)?;
    if args.dry_run {
        return Ok(Outcome::new(planned(&plan), &plan)?);
    }
    let options =
        InstallOptions { jobs: args.jobs.unwrap_or(settings.cores), count_leftovers: global.verbose };
    let summary = install::execute(plan, &resolved, mirrors, &root, &options, console)?;
    if global.verbose {
        leftovers(&summary, console);
    }
    let mut outcome = Outcome::new(done(&summary), &summary)?;
    let nothing_achieved = !summary.installed.iter().any(|package| package.explicit);
    let failures = summary.failed.iter().map(|f| Diagnosis::of_package(f.package.clone(), &f.error));
    outcome.fail(failures.collect(), nothing_achieved);
    Ok(outcome)
}

/// What was chosen for a spec, and why if there was a choice.
fn choice(chosen: &Chosen) -> String {
    let mut text = format!("`{}` is {}", chosen.asked, chosen.package);
    if let (Some(other), Some(because)) = (&chosen.instead_of, chosen.because) {
        write!(text, ", and not {other}, because {because}").ok();
    }
    text
}

fn planned(plan: &InstallPlan) -> String {
    let mut text = String::new();
    for package in &plan.to_install {
        writeln!(text, "would install {} from {} ({} bytes)", package.label(), package.mirror, package.size)
            .ok();
    }
    for package in &plan.present {
        writeln!(text, "is there      {package}").ok();
    }
    text
}

fn done(summary: &InstallSummary) -> String {
    let mut text = String::new();
    for package in summary.installed.iter().filter(|package| package.explicit) {
        writeln!(text, "{}@{}  {}", package.name, package.version, package.prefix.display()).ok();
    }
    write!(text, "installed {}", packages(summary.installed.len())).ok();
    let others = [(summary.present.len(), "there already"), (summary.failed.len(), "failed")];
    text + &counts(&others) + "\n"
}

/// Says how many files still name the place where packages were built: Spack leaves the same.
fn leftovers(summary: &InstallSummary, console: &Console) {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, files) in summary.installed.iter().flat_map(|package| &package.leftovers) {
        *kinds.entry(kind).or_default() += files;
    }
    for (kind, files) in kinds {
        console.event(Event::Detail(&format!("still naming an old prefix: {files} files of kind {kind}")));
    }
}
