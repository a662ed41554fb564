//! What has to be installed, where it goes and where it comes from.

use crate::error::Error;
use crate::locate::{Located, locate};
use crate::parallel;
use crate::report::{Event, Reporter};
use crate::resolve::{Chosen, Mirror, Resolved};
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;
use strata_layer::relocate::RelocateError;
use strata_oci::{Descriptor, Digest};
use strata_spec::{DagHash, Database, Node, NodeSource, closure};
use strata_store::{RegistrationError, StoreRoot, is_recordable, layout};

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
        parallel::map(&missing, parallel::REQUESTS, |node| place_of(node, mirrors, resolved, reporter))?;
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

/// Where the layer of a package is.
fn place_of(
    node: &Node,
    mirrors: &[Mirror],
    resolved: &Resolved,
    reporter: &dyn Reporter,
) -> Result<Place, Error> {
    if let Some(Located { mirror, layer, config, .. }) = locate(node, mirrors, resolved, reporter)? {
        return Ok(Place { mirror, layer, diff_id: config.root_fs.diff_ids.last().copied() });
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
