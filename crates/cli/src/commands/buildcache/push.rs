//! `strata buildcache push`.

use crate::args::buildcache::{Only, Push};
use crate::commands::{installed, specs};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, bytes, counts, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use strata_layer::compression::{Compression, Method};
use strata_oci::{Repository, RepositoryUrl};
use strata_ops::environment::{Locked, matching, read_lockfile};
use strata_ops::image::ImageError;
use strata_ops::image::{BaseSource, Budget};
use strata_ops::mirror::Direction;
use strata_ops::push::{self, PushPlan, PushRequest, PushSummary, Sources};
use strata_ops::run_environment::Inspections;
use strata_ops::{Event, Reporter, index};
use strata_spec::lockfile::Lockfile;
use strata_spec::{AbstractSpec, Database};

/// What to do when packages were pushed and the index could not be brought up to date.
const NOT_INDEXED: &str =
    "what was pushed is in the cache, but its index may lack it: run `strata buildcache update-index`";

/// Pushes installed packages.
pub(crate) fn push(args: &Push, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    refuse_package_tag(args)?;
    let registries = Registries::sending(args.upload, settings, console)?;
    let (root, installed) = installed(settings, console)?;
    let database = installed.database();
    let repository = registries.open(&args.mirror, Direction::Push)?;
    let request = PushRequest {
        specs: roots(args, settings, database)?,
        only: match args.only {
            None => push::Only::Everything,
            Some(Only::Package) => push::Only::Package,
            Some(Only::Dependencies) => push::Only::Dependencies,
        },
        build_dependencies: args.with_build_dependencies,
        force: args.force,
        compression: args.compression,
        jobs: args.jobs.unwrap_or(settings.cores),
        timestamp: settings.source_date_epoch()?,
        mount_from: registries.sibling(&args.mirror)?,
        journals: settings.use_cache.then(|| settings.cache_directory.join("journal")),
        base: base(args, &registries, settings, repository.url())?,
        tag: args.tag.clone(),
        allow_incomplete: args.allow_incomplete,
        budget: args
            .max_layers
            .map_or_else(Budget::default, |layers| Budget { layers: usize::from(layers), explicit: true }),
        environment: Sources {
            inspections: Inspections::from(&settings.prefix_inspections()?),
            spack: settings.spack(),
        },
        kept: settings.kept_images(),
        below: installed.roots(),
    };
    let console: &Console = console;
    let plan = push::plan(database, &*repository, &request, console)?;
    for unavailable in &plan.unavailable {
        console.event(Event::Warning(&format!("skipping {}: {}", unavailable.package, unavailable.reason)));
    }
    if let Some(text) = args.compression.filter(|_| !plan.to_push.is_empty()).and_then(readers) {
        console.event(Event::Warning(text));
    }
    if args.dry_run {
        let mut outcome = Outcome::new(planned(&plan), &plan)?;
        outcome.fail(failures(plan.failed), plan.to_push.is_empty());
        return Ok(outcome);
    }
    let open = |url: &str| came_from(url, &registries, repository.url(), console);
    let summary = push::execute(database, &root, &*repository, &request, plan, &open, console)?;
    let nothing_achieved = summary.pushed.is_empty() && summary.image.is_none();
    // The packages are there whatever becomes of the index.
    let index = match args.no_update_index {
        true => Ok(None),
        false => index::add(&*repository, database, &summary.hashes(), console).map(Some),
    };
    let (mut index, mut trouble) = match index {
        Ok(index) => (index, None),
        Err(error) => (None, Some(error)),
    };
    if let Some(index) = &mut index {
        trouble = index.trouble.take();
    }
    let mut outcome = Outcome::new(
        pushed(&summary, repository.url()),
        &json!({"push": summary, "index": index, "image": summary.image}),
    )?;
    if let Some(index) = index {
        writeln!(outcome.text, "the index has {}", packages(index.packages)).ok();
    }
    let mut failures = failures(summary.failed);
    failures.extend(trouble.map(|error| Diagnosis::from(error).with_hint(NOT_INDEXED)));
    outcome.fail(failures, nothing_achieved);
    Ok(outcome)
}

/// The cache that packages were installed from. If it cannot be used, they are packed.
fn came_from(
    url: &str,
    registries: &Registries<'_>,
    target: &RepositoryUrl,
    console: &Console,
) -> Option<Box<dyn Repository>> {
    let url: Result<RepositoryUrl, _> = url.parse().map_err(strata_ops::Error::from);
    let opened = url.map_err(Diagnosis::from).and_then(|url| registries.open_base(&url, &[target]));
    opened
        .inspect_err(|error| {
            let text = format!("not looking for layers where packages came from: {}", error.message());
            console.event(Event::Detail(&text));
        })
        .ok()
}

/// Who can read layers that are compressed otherwise than Spack does it.
fn readers(method: Method) -> Option<&'static str> {
    match method.compression() {
        Compression::Gzip => None,
        Compression::Zstd => Some(
            "the layers are compressed with zstd: strata can install them, and Spack only if it runs on Python 3.14 or newer; \
             Docker from version 23, podman and skopeo can pull the images",
        ),
        Compression::None => Some(
            "the layers are not compressed: strata, Spack, Docker, podman and skopeo can read them, and they take more room and \
             time on the way",
        ),
    }
}

/// Refuses a tag that is for packages before anything is done.
fn refuse_package_tag(args: &Push) -> Result<(), Diagnosis> {
    match &args.tag {
        Some(tag) if tag.as_str().ends_with(".spack") => {
            Err(strata_ops::Error::Image(ImageError::PackageTag { tag: tag.to_string() }).into())
        }
        _ => Ok(()),
    }
}

/// What is to be pushed: what is named, which in an environment means its packages, or all that the environment consists of.
fn roots(args: &Push, settings: &Settings, database: &Database) -> Result<Vec<AbstractSpec>, Diagnosis> {
    let named = specs(&args.specs)?;
    let Some(directory) = settings.environment()? else { return Ok(named) };
    if named.is_empty() {
        return Ok(Locked::read(&directory)?.installed(database)?);
    }
    let Some(lockfile) = read_lockfile(&directory)? else { return Ok(named) };
    named.into_iter().map(|spec| one_of(&lockfile, spec, &directory)).collect()
}

/// The package of an environment that a spec means.
fn one_of(lockfile: &Lockfile, spec: AbstractSpec, directory: &Path) -> Result<AbstractSpec, Diagnosis> {
    match &matching(lockfile, std::slice::from_ref(&spec))?[..] {
        [] => {
            let place = format!("the environment {}", directory.display());
            Err(strata_ops::Error::NoSuchSpec { spec: spec.to_string(), place }.into())
        }
        [node] => Ok(AbstractSpec::of_hash(node)),
        // Which ones, is said where it is looked for in the store.
        _ => Ok(spec),
    }
}

fn base(
    args: &Push,
    registries: &Registries<'_>,
    settings: &Settings,
    cache: &RepositoryUrl,
) -> Result<Option<BaseSource>, Diagnosis> {
    let Some(reference) = &args.base_image else { return Ok(None) };
    Ok(Some(BaseSource {
        repository: registries.open_base(reference.repository(), &[cache])?,
        reference: reference.clone(),
        libc_check: !args.no_libc_check,
        kept: settings.kept_images(),
    }))
}

fn failures(failed: Vec<push::Failure>) -> Vec<Diagnosis> {
    failed.into_iter().map(|failure| Diagnosis::of_package(failure.package, &failure.error)).collect()
}

fn planned(plan: &PushPlan) -> String {
    let mut text = String::new();
    for package in &plan.to_push {
        let what = if package.retag { "would tag anew" } else { "would push" };
        writeln!(text, "{what} {}", package.label()).ok();
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
    if let Some(image) = &plan.image {
        let base = image.base.as_ref().map(|base| format!(" on {base}")).unwrap_or_default();
        let (reference, count) = (&image.reference, packages(image.packages.len()));
        writeln!(text, "would tag  {reference}: {count}{base}").ok();
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
    let mut text = text + &counts(&others) + "\n";
    if let Some(image) = &summary.image {
        let (count, size) = (packages(image.packages.len()), bytes(image.size));
        writeln!(text, "tagged {}: {count} in {} layers, {size}", image.reference, image.layers).ok();
    }
    text
}
