//! Which packages a push is about: selected, with their runtime closure, and not in the cache yet.

use super::Failure;
use super::bases::Bases;
use super::environments::Sources;
use super::package::{self, InCache};
use crate::error::Error;
use crate::image::ImageError;
use crate::image::assemble::refuse_several_architectures;
use crate::image::{BaseSource, Budget};
use crate::package_tag;
use crate::parallel;
use crate::report::{Event, Reporter};
use crate::select::{self, Selection};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use strata_layer::compression::Method;
use strata_oci::{ImageReference, Repository, TagName};
use strata_spec::dag::topological;
use strata_spec::{AbstractSpec, DagHash, Database, DependencyTypes, Node, NodeSource, Record, closure};
use strata_store::StoreRoot;

/// Which part of the closure to push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Roots and dependencies.
    #[default]
    Everything,
    /// The roots alone.
    Package,
    /// The dependencies alone.
    Dependencies,
}

/// What to push.
#[derive(Debug, Default)]
pub struct PushRequest {
    /// The roots, each of which must mean one package of the store; none means every package that was asked
    /// for in the store itself.
    pub specs: Vec<AbstractSpec>,
    /// Which part of their closure.
    pub only: Only,
    /// Whether what they were built with is part of the closure, as far as it is installed.
    pub build_dependencies: bool,
    /// Push again what the cache has already. With a base, its layers are not packed again: only the images are made anew.
    pub force: bool,
    /// What the images are put on.
    pub base: Option<BaseSource>,
    /// The tag of one image of all roots and what they need, to be written beside the packages' own.
    pub tag: Option<TagName>,
    /// Write that image even if layers are missing from it.
    pub allow_incomplete: bool,
    /// How many layers an image may have on top of its base.
    pub budget: Budget,
    /// What the environments of images are made of.
    pub environment: Sources,
    /// Where it is remembered which C library a base has, and what layers were merged.
    pub kept: Option<PathBuf>,
    /// How layers are compressed: gzip, if it is not said. Those that are in the cache stay as they are.
    pub compression: Option<Method>,
    /// Packages packed at the same time, and threads that compress.
    pub jobs: usize,
    /// `archive_timestamp` for every package (`SOURCE_DATE_EPOCH`); its time of installation otherwise.
    pub timestamp: Option<jiff::Timestamp>,
    /// Another repository of the same registry, by its name there, that may have some of the layers.
    pub mount_from: Option<String>,
    /// A directory for what is needed to go on after an interruption; nothing is kept without one.
    pub journals: Option<PathBuf>,
    /// The upstream stores that packages are in; those that are not here are in the store itself.
    pub below: HashMap<DagHash, StoreRoot>,
}

/// A package that will be pushed.
#[derive(Debug, Serialize)]
pub struct Planned {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// The tag it gets.
    pub tag: String,
    /// Where it is installed.
    pub prefix: PathBuf,
    /// Whether the cache has its layer, so that only its image is made anew.
    pub retag: bool,
    #[serde(skip)]
    pub(super) in_cache: Option<Box<InCache>>,
}

impl Planned {
    /// `name@version/hash7`.
    pub fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }
}

/// A package of the closure that is recorded but cannot be packed.
#[derive(Clone, Debug, Serialize)]
pub struct Unavailable {
    /// Label of the package.
    pub package: String,
    /// Why not.
    pub reason: String,
    /// Whether there is nothing of it that an image could have.
    #[serde(skip)]
    pub(super) external: bool,
}

impl Unavailable {
    fn new(node: &Node, reason: &str) -> Self {
        Self { package: node.label(), reason: reason.to_owned(), external: node.is_external() }
    }
}

/// What a push would do.
#[derive(Debug, Serialize)]
pub struct PushPlan {
    /// What will be packed and uploaded, dependencies first.
    pub to_push: Vec<Planned>,
    /// Labels of what the cache has already.
    pub present: Vec<String>,
    #[serde(skip)]
    pub(super) present_hashes: HashSet<DagHash>,
    /// What is recorded but not installed.
    pub unavailable: Vec<Unavailable>,
    /// What is recorded as installed and is not there.
    pub failed: Vec<Failure>,
    /// The image of all roots, if one is to be written.
    pub image: Option<PlannedImage>,
    #[serde(skip)]
    pub(super) roots: Vec<DagHash>,
    #[serde(skip)]
    pub(super) bases: Bases,
}

/// An image of several packages that will be written.
#[derive(Debug, Serialize)]
pub struct PlannedImage {
    /// What it will be called.
    pub reference: String,
    /// What it will be put on.
    pub base: Option<String>,
    /// Labels of its roots.
    pub roots: Vec<String>,
    /// Labels of all packages in it, dependencies first.
    pub packages: Vec<String>,
}

/// Selects what to push from `database` and asks the cache what it has.
pub fn plan(
    database: &Database,
    repository: &dyn Repository,
    request: &PushRequest,
    reporter: &dyn Reporter,
) -> Result<PushPlan, Error> {
    request.tag.as_ref().map_or(Ok(()), package_tag::refuse)?;
    let Selected { roots, nodes, mut unavailable } = selected(database, request)?;
    let (mut candidates, mut failed) = (Vec::new(), Vec::new());
    for node in nodes {
        let record = database.records.get(&node.hash).filter(|record| record.installed);
        let prefix = record.and_then(|record| record.path.as_ref()).map(PathBuf::from);
        match (record, prefix) {
            (_, Some(prefix)) if prefix.is_dir() => candidates.push((node, prefix)),
            (_, Some(prefix)) => {
                failed.push(Failure::new(node.label(), Error::PrefixMissing { prefix }));
            }
            (Some(_), None) => unavailable.push(Unavailable::new(node, "its record has no path")),
            (None, _) => unavailable.push(Unavailable::new(node, "recorded, but not installed")),
        }
    }
    if candidates.is_empty() && failed.is_empty() && !unavailable.is_empty() {
        return Err(Error::NothingInstalled { packages: unavailable });
    }
    let image = planned_image(database, repository, request, &roots, &unavailable)?;

    let mut found = if request.force && request.base.is_none() {
        HashMap::new()
    } else {
        reporter.event(Event::Phase("Checking what the cache has"));
        let nodes: Vec<&Node> = candidates.iter().map(|(node, _)| *node).collect();
        found_among(repository, &nodes, request.force)?
    };
    let (mut to_push, mut present, mut present_hashes) = (Vec::new(), Vec::new(), HashSet::new());
    for (node, prefix) in candidates {
        let in_cache = match found.remove(&node.hash) {
            Some(_) if !request.force => {
                present.push(node.label());
                present_hashes.insert(node.hash.clone());
                continue;
            }
            found => found.flatten(),
        };
        to_push.push(Planned {
            name: node.name.clone(),
            version: node.version.clone(),
            hash: node.hash.clone(),
            tag: package_tag::of(node)?.to_string(),
            prefix,
            retag: in_cache.is_some(),
            in_cache,
        });
    }
    if let (Some(base), [_, ..]) = (&request.base, &present[..]) {
        let (count, base) = (present.len(), &base.reference);
        let text = format!(
            "{count} of the packages are in the cache and keep the images they have: --force makes them anew on {base}"
        );
        reporter.event(Event::Warning(&text));
    }
    let bases = bases(database, request, &to_push, &roots, reporter)?;
    refuse_too_many_layers(database, request, &to_push, &present_hashes, &roots, &bases)?;
    let roots = roots.into_iter().map(|node| node.hash.clone()).collect();
    Ok(PushPlan { to_push, present, present_hashes, unavailable, failed, image, roots, bases })
}

/// The image of all roots, if one is asked for; refused if it cannot be one.
fn planned_image(
    database: &Database,
    repository: &dyn Repository,
    request: &PushRequest,
    roots: &[&Node],
    unavailable: &[Unavailable],
) -> Result<Option<PlannedImage>, Error> {
    let Some(tag) = &request.tag else { return Ok(None) };
    let missing = unavailable.iter().filter(|unavailable| !unavailable.external);
    let packages: Vec<String> = missing.map(|unavailable| unavailable.package.clone()).collect();
    if !packages.is_empty() && !request.allow_incomplete {
        return Err(Error::Image(ImageError::Incomplete { place: "this store".to_owned(), packages }));
    }
    if roots.is_empty() {
        return Err(Error::NothingInstalled { packages: unavailable.to_vec() });
    }
    let mut nodes = closure(database, roots)?;
    nodes.reverse();
    refuse_several_architectures(&nodes)?;
    let labels = |nodes: &[&Node]| nodes.iter().map(|node| node.label()).collect();
    Ok(Some(PlannedImage {
        reference: ImageReference::new(repository.url().clone(), tag.clone()).to_string(),
        base: request.base.as_ref().map(|base| base.reference.to_string()),
        roots: labels(roots),
        packages: labels(&nodes),
    }))
}

/// The bases of what is to be tagged.
fn bases(
    database: &Database,
    request: &PushRequest,
    to_push: &[Planned],
    roots: &[&Node],
    reporter: &dyn Reporter,
) -> Result<Bases, Error> {
    let mut tagged: Vec<&Node> = to_push.iter().filter_map(|p| database.node(&p.hash)).collect();
    if request.tag.is_some() {
        tagged.extend(roots);
    }
    if tagged.is_empty() {
        return Ok(Bases::default());
    }
    // A package whose DAG has a hole fails alone, later.
    let nodes = closure(database, &tagged).unwrap_or(tagged);
    Bases::load(request.base.as_ref(), &nodes, database, reporter)
}

/// Refuses images that cannot have as many layers as they need, before anything is packed. What is neither pushed nor in the
/// cache, as far as is known, takes none.
fn refuse_too_many_layers(
    database: &Database,
    request: &PushRequest,
    to_push: &[Planned],
    present: &HashSet<DagHash>,
    roots: &[&Node],
    bases: &Bases,
) -> Result<(), Error> {
    let with_layer: HashSet<&DagHash> = to_push.iter().map(|planned| &planned.hash).chain(present).collect();
    let refuse = |image: &[&Node], own_last| {
        let base = image.first().and_then(|node| bases.of(node)).map_or(0, |base| base.layers.len());
        // A package whose DAG has a hole fails alone, later.
        let nodes = closure(database, image).unwrap_or_default();
        let layers = nodes.iter().filter(|node| with_layer.contains(&node.hash)).count();
        request.budget.for_packages(layers, own_last, base, 0).map(drop)
    };
    let mut packages = to_push.iter().filter_map(|planned| database.node(&planned.hash));
    packages.try_for_each(|node| refuse(&[node], true))?;
    if request.tag.is_some() { refuse(roots, false) } else { Ok(()) }
}

/// What a request selects.
struct Selected<'d> {
    /// What it names.
    roots: Vec<&'d Node>,
    /// What is to be pushed, dependencies before dependents, externals left out.
    nodes: Vec<&'d Node>,
    /// Roots that are recorded only.
    unavailable: Vec<Unavailable>,
}

fn selected<'d>(database: &'d Database, request: &PushRequest) -> Result<Selected<'d>, Error> {
    let mut roots: Vec<&Node> = Vec::new();
    let mut unavailable = Vec::new();
    if request.specs.is_empty() {
        // What was asked for in another store was asked for by others.
        let is_asked_for = |record: &&Record| {
            select::is_ours(record) && record.explicit && !request.below.contains_key(&record.node.hash)
        };
        let explicit = database.records.values().filter(is_asked_for);
        roots.extend(explicit.map(|record| &record.node));
        let nodes = closed(database, &roots, request)?;
        return Ok(Selected { roots, nodes, unavailable });
    }
    let selection = Selection::new(database);
    for spec in &request.specs {
        let place = "this store";
        match selection.one(spec, select::is_ours, place) {
            Ok(record) => roots.push(&record.node),
            Err(error @ Error::NoSuchSpec { .. }) => {
                // Recorded, but not installed, is not a typing error: list it and go on with the rest.
                match selection.one(spec, |_| true, place) {
                    Ok(record) if record.node.is_external() => unavailable.push(Unavailable::new(
                        &record.node,
                        "an external package: it has no prefix of ours",
                    )),
                    Ok(record) => {
                        unavailable.push(Unavailable::new(&record.node, "recorded, but not installed"));
                    }
                    Err(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    let mut seen = HashSet::new();
    roots.retain(|node| seen.insert(&node.hash));
    let nodes = closed(database, &roots, request)?;
    Ok(Selected { roots, nodes, unavailable })
}

/// The part of the closure of `roots` that is to be pushed, dependencies before dependents.
fn closed<'d>(
    database: &'d Database,
    roots: &[&'d Node],
    request: &PushRequest,
) -> Result<Vec<&'d Node>, Error> {
    let mut nodes = match request.only {
        Only::Package => roots.to_vec(),
        Only::Everything | Only::Dependencies => closure(database, roots)?,
    };
    if request.build_dependencies && request.only != Only::Package {
        let runtime: HashSet<&DagHash> = nodes.iter().map(|node| &node.hash).collect();
        let all = topological(database, roots, DependencyTypes::ALL)?;
        let is_installed = |node: &Node| database.records.get(&node.hash).is_some_and(select::is_ours);
        nodes = all.into_iter().filter(|node| runtime.contains(&node.hash) || is_installed(node)).collect();
    }
    if request.only == Only::Dependencies {
        nodes.retain(|node| !roots.iter().any(|root| root.hash == node.hash));
    }
    nodes.reverse();
    Ok(nodes)
}

/// Which of `nodes` the cache has; "not found" is an answer, anything else is an error. With `read`, what it has of them,
/// if that is a package whose layer is there: what is none is to be pushed again.
fn found_among(
    repository: &dyn Repository,
    nodes: &[&Node],
    read: bool,
) -> Result<HashMap<DagHash, Option<Box<InCache>>>, Error> {
    let tags: Vec<(&Node, TagName)> =
        nodes.iter().map(|node| Ok((*node, package_tag::of(node)?))).collect::<Result<_, Error>>()?;
    let found = parallel::map(&tags, parallel::REQUESTS, |(node, tag)| {
        if !read {
            return Ok(repository.resolve(tag)?.map(|_| (node.hash.clone(), None)));
        }
        match package::in_cache(repository, node) {
            Ok(Some(package)) if !package.keys.is_empty() => {
                let is_there = repository.blob_size(&package.layer.digest)? == Some(package.layer.size);
                Ok(is_there.then(|| (node.hash.clone(), Some(Box::new(package)))))
            }
            Ok(_) => Ok(None),
            Err(error) if error.is_about_content() => Ok(None),
            Err(error) => Err(error),
        }
    })?;
    Ok(found.into_iter().flatten().collect())
}
