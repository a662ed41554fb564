//! `strata install`.

use super::selectors;
use crate::args::{Global, Install};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::install::{self, InstallOptions, InstallPlan, InstallSummary};
use strata_ops::{Event, Reporter};
use strata_spec::Database;
use strata_store::{LockSettings, Store, StoreRoot};

/// Installs packages and their runtime closure.
pub(crate) fn install(
    args: &Install,
    global: &Global,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let selectors = selectors(&args.specs)?;
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
    let database = if root.database_directory().is_dir() {
        let store = Store::open(root.clone(), LockSettings::default()).map_err(strata_ops::Error::from)?;
        store.read().map_err(strata_ops::Error::from)?
    } else {
        Database::default()
    };
    let mirrors = Registries::new(settings, console)?.readable(&args.mirror)?;
    let console: &Console = console;
    let resolved = install::resolve(&selectors, &mirrors, console)?;
    let plan = install::plan(&resolved, &mirrors, &database, &root, console)?;
    if args.dry_run {
        return Ok(Outcome::new(planned(&plan), &plan)?);
    }
    let options =
        InstallOptions { jobs: args.jobs.unwrap_or(settings.cores), count_leftovers: global.verbose };
    let summary = install::execute(plan, &resolved, &mirrors, &root, &options, console)?;
    if global.verbose {
        leftovers(&summary, console);
    }
    let mut outcome = Outcome::new(installed(&summary), &summary)?;
    let nothing_achieved = !summary.installed.iter().any(|package| package.explicit);
    let failures = summary.failed.iter().map(|f| Diagnosis::of_package(f.package.clone(), &f.error));
    outcome.fail(failures.collect(), nothing_achieved);
    Ok(outcome)
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

fn installed(summary: &InstallSummary) -> String {
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
