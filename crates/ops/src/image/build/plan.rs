//! What a build would make: for each target the packages, where their layers are, and what is below them. Everything that
//! can be refused is refused here, before anything is written.

use super::BuildRequest;
use super::layers::{self, Found};
use crate::error::Error;
use crate::image::ImageError;
use crate::image::base::Base;
use crate::image::view;
use crate::report::{Event, Reporter};
use crate::resolve::{Chosen, Request, Resolved, Stock, resolve};
use crate::run_environment::{self, Cached, Environment, Told, of_cached};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use strata_oci::Platform;
use strata_spec::host::Host;
use strata_spec::{DagHash, Database, Node, NodeSource, closure, target};

/// What a build would write.
#[derive(Debug, Serialize)]
pub struct BuildPlan {
    /// The images, one for each platform.
    pub images: Vec<PlannedImage>,
}

/// An image that would be written.
#[derive(Debug, Serialize)]
pub struct PlannedImage {
    /// What it runs on.
    #[serde(serialize_with = "as_text")]
    pub platform: Platform,
    /// What was chosen for each spec.
    pub chosen: Vec<Chosen>,
    /// The base image, as it was asked for.
    pub base: Option<String>,
    /// The packages, dependencies before dependents.
    pub packages: Vec<PlannedPackage>,
    /// Labels of packages that no cache has.
    pub missing: Vec<String>,
    /// Labels of packages whose environment is not known as a whole.
    pub unclear: Vec<String>,
    /// What else is to be told.
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub(super) resolved: Resolved,
    #[serde(skip)]
    pub(super) order: Vec<DagHash>,
    #[serde(skip)]
    pub(super) found: HashMap<DagHash, Found>,
    #[serde(skip)]
    pub(super) below: Option<Base>,
    #[serde(skip)]
    pub(super) environment: Environment,
    #[serde(skip)]
    pub(super) created: Option<Timestamp>,
}

/// A package that would be in an image.
#[derive(Debug, Serialize)]
pub struct PlannedPackage {
    /// Label of the package.
    pub package: String,
    /// DAG hash.
    pub hash: DagHash,
    /// The mirror that has it.
    pub mirror: String,
    /// Size of its layer in bytes, compressed.
    pub size: u64,
}

/// Resolves the specs for each target, and finds everything that the images need.
///
/// # Errors
/// If a spec cannot be had for a target, a layer is in no cache, the base does not fit, or two targets are of one platform.
pub fn plan(request: &BuildRequest<'_>, reporter: &dyn Reporter) -> Result<BuildPlan, Error> {
    request.view.map_or(Ok(()), view::check)?;
    let mut platforms: BTreeMap<Platform, &str> = BTreeMap::new();
    for target in request.targets {
        let platform = Platform::linux(target::image_architecture(target));
        if let Some(other) = platforms.insert(platform.clone(), target) {
            let targets = [other.to_owned(), target.clone()];
            return Err(Error::Image(ImageError::SamePlatform { platform: platform.to_string(), targets }));
        }
    }
    let mut images = Vec::new();
    if platforms.is_empty() {
        images.push(image(request, None, reporter)?);
    }
    for (platform, target) in platforms {
        images.push(image(request, Some((platform, target)), reporter)?);
    }
    Ok(BuildPlan { images })
}

fn image(
    request: &BuildRequest<'_>,
    wanted: Option<(Platform, &str)>,
    reporter: &dyn Reporter,
) -> Result<PlannedImage, Error> {
    let load =
        |platform: &Platform| request.base.map(|source| Base::load(source, platform, reporter)).transpose();
    let (platform, base, resolved) = match wanted {
        Some((platform, target)) => {
            let base = load(&platform)?;
            let resolved = resolve_for(request, target, base.as_ref(), reporter)?;
            (platform, base, resolved)
        }
        None => {
            let resolved = ask(request, None, reporter)?;
            let platform = platform_of(&resolved)?;
            (platform.clone(), load(&platform)?, resolved)
        }
    };
    let nodes = nodes(&resolved)?;
    let order: Vec<DagHash> = nodes.iter().map(|node| node.hash.clone()).collect();
    if let Some(base) = &base {
        base.refuse_unfit(&resolved, &nodes)?;
    }
    reporter.event(Event::Phase("Locating layers"));
    let found = layers::find(&nodes, request.mirrors, &resolved, reporter)?;
    let missing: Vec<String> =
        nodes.iter().filter(|node| !found.contains_key(&node.hash)).map(|node| node.label()).collect();
    let is_rootless = resolved.roots.iter().any(|root| !found.contains_key(root));
    if !missing.is_empty() && (!request.allow_incomplete || is_rootless) {
        return Err(Error::Image(ImageError::Incomplete { packages: missing, place: place(request) }));
    }
    let packages = nodes.iter().filter_map(|node| {
        let found = found.get(&node.hash)?;
        Some(PlannedPackage {
            package: node.label(),
            hash: node.hash.clone(),
            mirror: request.mirrors[found.mirror].name.clone(),
            size: found.layer.size,
        })
    });
    let packages = packages.collect();
    let told = run_environment(&resolved, &found, base.as_ref())?;
    let warnings = run_environment::warnings([&told]);
    let Told { environment, unclear, .. } = told;
    if request.view.is_none() {
        refuse_too_long(&environment, request)?;
    }
    let newest = found.values().filter_map(|found| found.time).max();
    Ok(PlannedImage {
        platform,
        chosen: resolved.chosen.clone(),
        base: base.as_ref().map(|base| base.reference.clone()),
        packages,
        missing,
        unclear,
        warnings,
        order,
        found,
        below: base,
        environment,
        created: request.created.or(newest).or(Some(Timestamp::UNIX_EPOCH)),
        resolved,
    })
}

/// The runtime closure of the roots without externals, dependencies before dependents.
fn nodes(resolved: &Resolved) -> Result<Vec<&Node>, Error> {
    let roots: Vec<&Node> = resolved.roots.iter().filter_map(|hash| resolved.node(hash)).collect();
    let mut nodes = closure(resolved, &roots)?;
    nodes.reverse();
    Ok(nodes)
}

/// Resolves for a target, and for the C library of the base if that is known.
fn resolve_for(
    request: &BuildRequest<'_>,
    target: &str,
    base: Option<&Base>,
    reporter: &dyn Reporter,
) -> Result<Resolved, Error> {
    let os = request.os.map(str::to_owned);
    // Who names the system means those packages alone that were built on it.
    let libc = base.and_then(|base| base.libc.clone()).filter(|_| os.is_none());
    let host = Host { platform: "linux".to_owned(), os, target: target.to_owned(), libc };
    let (error, base) = match (ask(request, Some(&host), reporter), base) {
        (Err(error @ Error::NoBinary(_)), Some(base)) if host.libc.is_some() => (error, base),
        (answer, _) => return answer,
    };
    // The resolver speaks of machines. If it is the base's C library alone that is in the way, the base can say it better.
    if let Ok(resolved) = ask(request, Some(&Host { libc: None, ..host }), reporter) {
        base.refuse_unfit(&resolved, &nodes(&resolved)?)?;
    }
    Err(error)
}

/// Resolves. If all that is in the way is that packages are in no cache, they are left for the layers to be looked for:
/// then each that is missing can be named, and not one of them only.
fn ask(request: &BuildRequest<'_>, host: Option<&Host>, reporter: &dyn Reporter) -> Result<Resolved, Error> {
    match ask_for(request, host, request.allow_incomplete, reporter) {
        Err(error @ Error::NoBinary(_)) if !request.allow_incomplete => {
            ask_for(request, host, true, reporter).map_err(|_| error)
        }
        answer => answer,
    }
}

fn ask_for(
    request: &BuildRequest<'_>,
    host: Option<&Host>,
    is_incomplete_allowed: bool,
    reporter: &dyn Reporter,
) -> Result<Resolved, Error> {
    // What is installed here is in no registry.
    let database = Database::default();
    let mut stock = Stock::gather(request.specs, host, request.mirrors, &database, request.kept, reporter)?;
    stock.tolerate_missing(is_incomplete_allowed);
    resolve(&Request { specs: request.specs, host, unify: request.unify }, stock)
}

/// What the roots run on.
fn platform_of(resolved: &Resolved) -> Result<Platform, Error> {
    let roots = resolved.roots.iter().filter_map(|hash| resolved.node(hash));
    let mut platforms: BTreeMap<Platform, String> = BTreeMap::new();
    for root in roots {
        let platform = Platform::linux(target::image_architecture(&root.architecture.target));
        platforms.entry(platform).or_insert_with(|| root.label());
    }
    let mut found = platforms.into_iter();
    match (found.next(), found.next()) {
        (Some((platform, _)), None) => Ok(platform),
        (Some((first, one)), Some((second, other))) => Err(Error::Image(ImageError::SeveralArchitectures {
            one,
            one_architecture: first.architecture,
            other,
            other_architecture: second.architecture,
        })),
        (None, _) => Err(Error::Panicked),
    }
}

fn run_environment(
    resolved: &Resolved,
    found: &HashMap<DagHash, Found>,
    base: Option<&Base>,
) -> Result<Told, Error> {
    let cached: HashMap<DagHash, Cached> =
        found.iter().map(|(hash, found)| (hash.clone(), found.cached.clone())).collect();
    let below = Environment::of_base(base.map(|base| &base.config));
    of_cached(resolved, &resolved.roots, &cached, &below)
}

/// Refuses an environment that no program could be started with.
pub(super) fn refuse_too_long(environment: &Environment, request: &BuildRequest<'_>) -> Result<(), Error> {
    let mut environment = environment.clone();
    for (name, value) in &request.runtime.env {
        environment.set(name, value);
    }
    Ok(environment.refuse_too_long()?)
}

fn place(request: &BuildRequest<'_>) -> String {
    let urls = request.mirrors.iter().map(|mirror| mirror.repository.url().to_string());
    urls.collect::<Vec<_>>().join(", ")
}

fn as_text<S: serde::Serializer>(platform: &Platform, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(platform)
}
