//! `strata install`.

mod environment;

use super::in_environment::Current;
use super::resolving::Resolving;
use crate::args::{Global, Install, InstallOnly, LinkMode};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts, packages};
use crate::progress::Console;
use crate::settings::{Place, Settings};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::install::{self, InstallOptions, InstallPlan, InstallSummary, Only, PlanOptions, Site};
use strata_ops::resolve::{Chosen, Mirror, Resolved, resolve};
use strata_ops::{Event, Reporter};
use strata_store::StoreRoot;

/// Installs packages and their runtime closure; in an environment, what it consists of.
pub(crate) fn install(
    args: &Install,
    global: &Global,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let place = settings.place()?;
    let root = place.root()?;
    // A root that scripts cannot live under is refused before anything else is asked.
    root.sbang_path().map_err(strata_ops::Error::from)?;
    if let Some(current) = Current::of(settings)? {
        let site = site(settings, &place, root, console)?;
        return environment::install(current, args, global, &site, settings, console);
    }
    if args.add || args.only_concrete {
        let option = if args.add { "--add" } else { "--only-concrete" };
        let text = format!("{option} is about an environment, and none is named or active");
        return Err(Diagnosis::misuse(text, "name one with -e, or leave it out"));
    }
    if args.specs.is_empty() {
        let hint = match settings.absolute("spack.yaml".as_ref()).is_file() {
            true => "the environment in this directory is installed with `strata -e . install`",
            false => "name packages or /HASHes, or an environment with -e",
        };
        return Err(Diagnosis::misuse("neither packages nor an environment are named", hint));
    }
    let resolving = Resolving::new(&args.specs, &args.from, settings, console)?;
    let console: &Console = console;
    let site = site(settings, &place, root, console)?;
    let stock = resolving.stock(site.installed.database(), console)?;
    let resolved = resolve(&resolving.request(args.unify), stock)?;
    for chosen in &resolved.chosen {
        console.event(Event::Detail(&choice(chosen)));
    }
    let installing = Installing { args, global, settings, site: &site, mirrors: &resolving.mirrors };
    installing.run(&resolved, console)
}

/// What is known once it is known which packages are meant.
struct Installing<'i> {
    args: &'i Install,
    global: &'i Global,
    settings: &'i Settings,
    site: &'i Site,
    mirrors: &'i [Mirror],
}

impl Installing<'_> {
    /// Plans, and does it unless it is only to be said.
    fn run(&self, resolved: &Resolved, console: &Console) -> Result<Outcome, Diagnosis> {
        let Self { args, mirrors, site, .. } = self;
        let only = match args.only {
            None => Only::Everything,
            Some(InstallOnly::Package) => Only::Package,
            Some(InstallOnly::Dependencies) => Only::Dependencies,
        };
        let options = PlanOptions { only, overwrite: args.overwrite };
        let plan = install::plan(resolved, mirrors, site, options, console)?;
        if args.dry_run {
            return Ok(Outcome::new(planned(&plan), &plan)?);
        }
        let options = InstallOptions {
            jobs: args.jobs.unwrap_or(self.settings.cores),
            count_leftovers: self.global.verbose,
            flush: args.fsync,
            link: match args.link_mode {
                LinkMode::Auto => strata_store::LinkMode::Auto,
                LinkMode::Copy => strata_store::LinkMode::Copy,
                LinkMode::Hardlink => strata_store::LinkMode::Hardlink,
                LinkMode::Reflink => strata_store::LinkMode::Reflink,
            },
        };
        let summary = install::execute(plan, resolved, mirrors, site, &options, console)?;
        if self.global.verbose {
            leftovers(&summary, console);
        }
        let mut outcome = Outcome::new(done(&summary), &summary)?;
        let asked_for = |package: &install::Installed| package.explicit || only == Only::Dependencies;
        let nothing_achieved = !summary.installed.iter().any(asked_for);
        let failures = summary.failed.iter().map(|f| Diagnosis::of_package(f.package.clone(), &f.error));
        outcome.fail(failures.collect(), nothing_achieved);
        Ok(outcome)
    }
}

/// What holds for everything that is installed at a place.
fn site(settings: &Settings, place: &Place, root: StoreRoot, console: &Console) -> Result<Site, Diagnosis> {
    let installed = place.installed(&root, console)?;
    let (locks, projections) = (place.locks.clone(), settings.projections()?);
    let (access, access_of_others) = settings.access()?;
    Ok(Site { root, locks, projections, access, access_of_others, installed })
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
        let what = if package.replaces { "would replace" } else { "would install" };
        writeln!(text, "{what} {} from {} ({} bytes)", package.label(), package.mirror, package.size).ok();
    }
    for package in &plan.present {
        let upstream = plan.upstream.get(package).map(|name| format!(", in upstream {name}"));
        writeln!(text, "is there      {package}{}", upstream.unwrap_or_default()).ok();
    }
    text
}

fn done(summary: &InstallSummary) -> String {
    let mut text = String::new();
    for package in summary.installed.iter().filter(|package| package.explicit) {
        writeln!(text, "{}@{}  {}", package.name, package.version, package.prefix.display()).ok();
    }
    write!(text, "installed {}", packages(summary.installed.len())).ok();
    let replaced = summary.installed.iter().filter(|package| package.replaced).count();
    let others = [
        (replaced, "of them again"),
        (summary.present.len(), "there already"),
        (summary.failed.len(), "failed"),
    ];
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
