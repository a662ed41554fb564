//! What has to be installed, where it goes and where it comes from.

use crate::error::Error;
use crate::index::spec_in;
use crate::report::{Event, Reporter};
use crate::resolve::{Chosen, Mirror, Resolved};
use crate::{package_tag, parallel};
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;
use strata_layer::relocate::RelocateError;
use strata_oci::{Descriptor, Digest, ErrorKind, ManifestRef, image_config, image_manifest};
use strata_spec::{DagHash, Database, Node, NodeSource, closure};
use strata_store::{RegistrationError, StoreRoot, is_recordable, layout};

/// The newest `buildcache_layout_version` that is understood.
const NEWEST_LAYOUT: u64 = 3;

/// A package that will be installed.
#[derive(Debug, Serialize)]
pub struct PlannedInstall {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// Whether it was asked for.
    pub explicit: bool,
    /// Where it goes.
    pub prefix: PathBuf,
    /// The mirror it comes from.
    pub mirror: String,
    /// Size of the compressed layer in bytes.
    pub size: u64,
    #[serde(skip)]
    pub(super) place: Place,
}

/// Where a package's layer is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Index into the mirrors.
    pub(super) mirror: usize,
    pub(super) layer: Descriptor,
    /// What the uncompressed layer must hash to.
    pub(super) diff_id: Option<Digest>,
}

/// What an installation would do.
#[derive(Debug, Default, Serialize)]
pub struct InstallPlan {
    /// What was chosen for each spec that was asked for.
    pub chosen: Vec<Chosen>,
    /// What will be installed, dependencies first.
    pub to_install: Vec<PlannedInstall>,
    /// Labels of what is there already.
    pub present: Vec<String>,
    /// Hashes of packages asked for that are there already, but only because others need them.
    pub to_mark_explicit: Vec<DagHash>,
    /// Where the packages that are there already lie.
    #[serde(skip)]
    pub(super) installed_prefixes: HashMap<DagHash, PathBuf>,
}

impl PlannedInstall {
    /// `name@version/hash7`.
    pub fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }
}

/// Compares the runtime closure of what was resolved with the store, and finds the layer of each package that is
/// missing. A package that no mirror has ends it here, before anything is written.
pub fn plan(
    resolved: &Resolved,
    mirrors: &[Mirror],
    database: &Database,
    root: &StoreRoot,
    reporter: &dyn Reporter,
) -> Result<InstallPlan, Error> {
    let roots: Vec<&Node> = resolved.roots.iter().filter_map(|hash| resolved.node(hash)).collect();
    let mut nodes = closure(resolved, &roots)?;
    nodes.reverse();
    let mut plan = InstallPlan { chosen: resolved.chosen.clone(), ..InstallPlan::default() };
    let mut missing = Vec::new();
    for node in nodes {
        let record = database.records.get(&node.hash).filter(|record| is_there(record));
        match record {
            Some(record) => {
                plan.present.push(node.label());
                let prefix = record.path.as_ref().map(|path| (node.hash.clone(), PathBuf::from(path)));
                plan.installed_prefixes.extend(prefix);
                if resolved.roots.contains(&node.hash) && !record.explicit {
                    plan.to_mark_explicit.push(node.hash.clone());
                }
            }
            None => missing.push(node),
        }
    }
    for node in &missing {
        check_installable(node)?;
    }
    if !missing.is_empty() {
        // What was used to build is recorded, too: better refused now than when all is downloaded.
        let unknown = resolved.nodes().filter(|node| !database.records.contains_key(&node.hash));
        let refused = unknown.filter(|node| !is_recordable(node)).map(Node::label).min();
        if let Some(spec) = refused {
            return Err(RegistrationError::OldSpecFormat { spec }.into());
        }
    }
    reporter.event(Event::Phase("Locating layers"));
    let places =
        parallel::map(&missing, parallel::REQUESTS, |node| locate(node, mirrors, resolved, reporter))?;
    for (node, place) in missing.into_iter().zip(places) {
        let Some(prefix) = layout::prefix(root, database, node) else { continue };
        plan.to_install.push(PlannedInstall {
            name: node.name.clone(),
            version: node.version.clone(),
            hash: node.hash.clone(),
            explicit: resolved.roots.contains(&node.hash),
            prefix,
            mirror: mirrors[place.mirror].name.clone(),
            size: place.layer.size,
            place,
        });
    }
    Ok(plan)
}

/// Whether the record is of a package whose prefix exists.
pub(crate) fn is_there(record: &strata_spec::Record) -> bool {
    record.installed && record.path.as_ref().is_some_and(|path| std::path::Path::new(path).is_dir())
}

fn check_installable(node: &Node) -> Result<(), Error> {
    if node.build_spec.is_some() {
        return Err(Error::Spliced { package: node.label() });
    }
    if node.architecture.platform == "darwin" {
        return Err(Error::Relocate {
            package: node.label(),
            source: RelocateError::MachO { path: node.name.clone().into() },
        });
    }
    Ok(())
}

/// Finds the layer of a package in the first mirror that has it; those whose index says so are asked first.
fn locate(
    node: &Node,
    mirrors: &[Mirror],
    resolved: &Resolved,
    reporter: &dyn Reporter,
) -> Result<Place, Error> {
    let mut failures = Vec::new();
    let known = resolved.mirrors_with(&node.hash);
    let others = (0..mirrors.len()).filter(|at| !known.contains(at));
    for at in known.iter().copied().chain(others) {
        let mirror = &mirrors[at];
        let question = || place_in(node, at, mirror);
        if let Some(place) = mirror.ask(mirrors.len() > 1, &mut failures, reporter, question)? {
            return Ok(place);
        }
    }
    if !failures.is_empty() {
        return Err(Error::Unasked { spec: node.label(), failures });
    }
    let dependent = resolved.roots.iter().filter(|root| **root != node.hash).find_map(|r| resolved.node(r));
    Err(match dependent {
        Some(dependent) => {
            Error::MissingDependency { dependent: dependent.label(), dependency: node.label() }
        }
        None => Error::NoSuchSpec {
            spec: node.label(),
            place: mirrors.iter().map(|m| m.repository.url().to_string()).collect::<Vec<_>>().join(", "),
        },
    })
}

/// The layer of a package in one mirror, its config checked: the right spec, of a layout that is understood.
fn place_in(node: &Node, at: usize, mirror: &Mirror) -> Result<Option<Place>, Error> {
    let repository = &*mirror.repository;
    let tag = package_tag::of(node)?;
    let place = || repository.url().to_string();
    let not_a_package = || Error::NotAPackage { tag: tag.to_string(), place: place() };
    let Some((_, manifest)) = image_manifest(repository, &ManifestRef::Tag(tag.clone()))? else {
        return Ok(None);
    };
    let config = image_config(repository, &manifest).map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_a_package(),
        _ => error.into(),
    })?;
    let layer = manifest.layers.last().cloned().ok_or_else(not_a_package)?;
    let version = config.extra.get("buildcache_layout_version").and_then(|v| v.get().parse::<u64>().ok());
    if let Some(version) = version.filter(|version| *version > NEWEST_LAYOUT) {
        return Err(Error::UnknownLayout { tag: tag.to_string(), place: place(), version });
    }
    let spec = spec_in(&config, repository, tag.as_str())?;
    if spec.root().hash != node.hash {
        return Err(Error::WrongPackage { tag: tag.to_string(), place: place(), found: spec.root().label() });
    }
    Ok(Some(Place { mirror: at, layer, diff_id: config.root_fs.diff_ids.last().copied() }))
}
