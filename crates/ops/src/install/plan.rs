//! What has to be installed, where it goes and where it comes from.

use super::Site;
use crate::error::Error;
use crate::locate::{Located, locate};
use crate::parallel;
use crate::report::{Event, Reporter};
use crate::resolve::{Chosen, Mirror, Resolved};
use crate::run_environment::{Cached, condensed};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use strata_layer::relocate::RelocateError;
use strata_oci::{Descriptor, Digest};
use strata_spec::{DagHash, Database, Node, NodeSource, closure};
use strata_store::removal::RemovalError;
use strata_store::stage::lacks_name;
use strata_store::{Access, Installed, RegistrationError, is_recordable};

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
    /// Whether it is there already, and is to be replaced.
    pub replaces: bool,
    /// Where it goes.
    pub prefix: PathBuf,
    /// The mirror it comes from.
    pub mirror: String,
    /// Size of the compressed layer in bytes.
    pub size: u64,
    #[serde(skip)]
    pub(super) place: Place,
    /// Who may read and write it, if that is said.
    #[serde(skip)]
    pub(super) access: Option<Access>,
}

/// Where a package's layer is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Index into the mirrors.
    pub(super) mirror: usize,
    pub(super) layer: Descriptor,
    /// What the uncompressed layer must hash to.
    pub(super) diff_id: Option<Digest>,
    /// What the config says of its environment.
    pub(super) environment: Cached,
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
    /// What is used from an upstream store: its name by the label of the package.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub upstream: BTreeMap<String, String>,
    /// Where everything lies or is going to, build dependencies as well.
    #[serde(skip)]
    pub(super) prefixes: HashMap<DagHash, PathBuf>,
}

impl PlannedInstall {
    /// `name@version/hash7`.
    pub fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }
}

/// What is to be installed of what was resolved.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Which packages.
    pub only: Only,
    /// Install what was asked for although it is installed, in place of what is there.
    pub overwrite: bool,
}

/// Which packages are to be installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// What was asked for, and what that needs at run time.
    #[default]
    Everything,
    /// What was asked for. What that needs has to be there.
    Package,
    /// What it needs.
    Dependencies,
}

/// Compares the runtime closure of what was resolved with the store, and finds the layer of each package that is
/// missing. A package that no mirror has ends it here, before anything is written.
pub fn plan(
    resolved: &Resolved,
    mirrors: &[Mirror],
    site: &Site,
    options: PlanOptions,
    reporter: &dyn Reporter,
) -> Result<InstallPlan, Error> {
    let (installed, database, root) = (&site.installed, site.installed.database(), &site.root);
    let nodes = wanted(resolved, database, options.only)?;
    let is_root = |node: &Node| resolved.roots.contains(&node.hash);
    let mut plan = InstallPlan { chosen: resolved.chosen.clone(), ..InstallPlan::default() };
    let mut missing = Vec::new();
    for node in nodes {
        let record = database.records.get(&node.hash).filter(|record| is_there(record));
        match record {
            Some(_) if options.overwrite && is_root(node) => {
                refuse_upstream(node, installed)?;
                missing.push(node);
            }
            Some(_) if installed.upstream_of(&node.hash).is_some() => {
                plan.present.push(node.label());
                // What others have is theirs to mark.
                let upstream = installed.upstream_of(&node.hash);
                plan.upstream.extend(upstream.map(|upstream| (node.label(), upstream.name().to_owned())));
            }
            // Its process was killed before it had given it all its names.
            Some(record) if record.path.as_deref().is_some_and(|path| lacks_name(path.as_ref())) => {
                missing.push(node);
            }
            Some(record) => {
                plan.present.push(node.label());
                if resolved.is_explicit(&node.hash) && !record.explicit {
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
    plan.prefixes = prefixes(resolved, site)?;
    let access = missing.iter().map(|node| access(node, site)).collect::<Result<Vec<_>, _>>()?;
    reporter.event(Event::Phase("Locating layers"));
    let places =
        parallel::map(&missing, parallel::REQUESTS, |node| place_of(node, mirrors, resolved, reporter))?;
    for ((node, place), access) in missing.into_iter().zip(places).zip(access) {
        let Some(prefix) = plan.prefixes.get(&node.hash).cloned() else { continue };
        let same = |planned: &&PlannedInstall| planned.prefix == prefix;
        if let Some(other) = plan.to_install.iter().find(same) {
            let packages = (other.label(), node.label());
            return Err(Error::SamePrefix { one: packages.0, other: packages.1, prefix });
        }
        let replaces = options.overwrite && is_root(node) && prefix.is_dir();
        if replaces && !prefix.starts_with(root.root()) {
            return Err(RemovalError::Outside { prefix, root: root.root().to_owned() }.into());
        }
        plan.to_install.push(PlannedInstall {
            name: node.name.clone(),
            version: node.version.clone(),
            hash: node.hash.clone(),
            explicit: resolved.is_explicit(&node.hash),
            replaces,
            prefix,
            mirror: mirrors[place.mirror].name.clone(),
            size: place.layer.size,
            place,
            access,
        });
    }
    Ok(plan)
}

/// Where everything is, or is going to be: where its record says, and for what has none where projections say.
fn prefixes(resolved: &Resolved, site: &Site) -> Result<HashMap<DagHash, PathBuf>, Error> {
    let recorded = |node: &&Node| {
        let record = site.installed.database().records.get(&node.hash)?;
        // Where another store does not have a package is of no interest here.
        let counts = site.installed.upstream_of(&node.hash).is_none() || is_there(record);
        record.path.as_ref().filter(|_| counts)
    };
    let new: Vec<&Node> = resolved.nodes().filter(|node| recorded(node).is_none()).collect();
    let mut prefixes = site.projections.prefixes(&site.root, resolved, new.iter().copied())?;
    let recorded = resolved.nodes().filter_map(|node| Some((node.hash.clone(), recorded(&node)?.into())));
    prefixes.extend(recorded);
    Ok(prefixes)
}

/// Who may read and write a package, checked before anything is written.
fn access(node: &Node, site: &Site) -> Result<Option<Access>, Error> {
    Ok(site.access_of(&node.name).map(|policy| policy.check(&node.name)).transpose()?)
}

/// Fails for a package of another store, which is not ours to replace.
fn refuse_upstream(node: &Node, installed: &Installed) -> Result<(), Error> {
    match installed.installed_upstream(&node.hash) {
        None => Ok(()),
        Some(upstream) => Err(Error::Upstream {
            package: node.label(),
            upstream: upstream.name().to_owned(),
            root: upstream.root().root().to_owned(),
        }),
    }
}

/// The packages that are to be there afterwards, dependencies first.
fn wanted<'r>(resolved: &'r Resolved, database: &Database, only: Only) -> Result<Vec<&'r Node>, Error> {
    let roots: Vec<&Node> = resolved.roots.iter().filter_map(|hash| resolved.node(hash)).collect();
    let mut nodes = closure(resolved, &roots)?;
    nodes.reverse();
    if only == Only::Everything {
        return Ok(nodes);
    }
    // One root can be what another needs.
    let mut needed: HashSet<&DagHash> = HashSet::new();
    for root in &roots {
        let below = closure(resolved, &[*root])?;
        needed.extend(below.into_iter().map(|node| &node.hash).filter(|hash| **hash != root.hash));
    }
    if only == Only::Dependencies {
        nodes.retain(|node| needed.contains(&node.hash));
        return Ok(nodes);
    }
    let is_root = |node: &Node| resolved.roots.contains(&node.hash);
    let there = |node: &Node| database.records.get(&node.hash).is_some_and(is_there);
    if let Some(absent) = nodes.iter().find(|node| !is_root(node) && !there(node)) {
        let package = roots.iter().map(|root| root.label()).collect::<Vec<_>>().join(", ");
        return Err(Error::LeftOut { package, dependency: absent.label() });
    }
    nodes.retain(|node| is_root(node));
    Ok(nodes)
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
    if let Some(Located { mirror, layer, config, manifest }) = locate(node, mirrors, resolved, reporter)? {
        let packages = closure(resolved, &[node])?.len();
        let said = Cached::of(&manifest, &config, Some(packages));
        let environment = condensed(resolved, node, said)?;
        return Ok(Place { mirror, layer, diff_id: config.root_fs.diff_ids.last().copied(), environment });
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
