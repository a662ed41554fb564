//! Which packages a view shows, and below which of its directories.

use super::ViewSource;
use super::extensions::Extensions;
use crate::error::Error;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use strata_config::{ViewDescriptor, ViewLink};
use strata_spec::dag::{dependencies, topological};
use strata_spec::format::{Surroundings, Template};
use strata_spec::matching::Question;
use strata_spec::{AbstractSpec, Catalog, DagHash, DependencyTypes, Node, NodeSource, Record, Version};

/// Packages that bring what compilers need at run time: of several only the newest is shown. Those that have the tag
/// `runtime` in Spack's builtin repository.
const RUNTIMES: [&str; 5] = ["compiler-wrapper", "gcc-runtime", "glibc", "intel-oneapi-runtime", "musl"];

/// The packages that may be in a view, and what its descriptor says of them.
pub struct Packages<'a> {
    known: Known<'a>,
    view: &'a ViewDescriptor,
    select: Vec<HashSet<DagHash>>,
    exclude: Vec<HashSet<DagHash>>,
    /// The packages that each projection is for. None for `all`, which is for what no other is for.
    projections: Vec<(Option<HashSet<DagHash>>, &'a str)>,
    extensions: Extensions,
}

/// The DAG with what is known of installed packages.
struct Known<'a> {
    installed: ViewSource<'a>,
}

impl Known<'_> {
    fn record(&self, hash: &DagHash) -> Option<&Record> {
        let records = self.installed.databases.iter().filter_map(|database| database.records.get(hash));
        // What is merely named by others in one store may be installed in another.
        records.clone().find(|record| record.installed).or_else(|| records.clone().next())
    }
}

impl NodeSource for Known<'_> {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.installed.nodes.node(hash).or_else(|| Some(&self.record(hash)?.node))
    }
}

impl Surroundings for Known<'_> {
    fn prefix(&self, node: &Node) -> Option<String> {
        let external = node.external.as_ref().and_then(|external| external.path.clone());
        external.or_else(|| self.record(&node.hash)?.path.clone())
    }

    fn is_installed(&self, node: &Node) -> bool {
        self.record(&node.hash).is_some_and(|record| record.installed)
    }
}

impl<'a> Packages<'a> {
    /// Of the views of an environment with these roots, as `view` describes one.
    ///
    /// # Errors
    /// If the view names something that is no spec.
    pub fn new(
        roots: &[DagHash],
        installed: ViewSource<'a>,
        view: &'a ViewDescriptor,
    ) -> Result<Self, Error> {
        let known = Known { installed };
        let all = everything(&known, roots);
        let catalog = Catalog::of_nodes(all.iter().map(|node| (*node, false)));
        let matching = |spec: &str| -> Result<HashSet<DagHash>, Error> {
            let spec: AbstractSpec = spec.parse().map_err(|source| Error::ViewSpec {
                view: view.name.clone(),
                spec: spec.to_owned(),
                source: Box::new(source),
            })?;
            let mut question = Question::new(&catalog, &spec);
            let nodes = catalog.nodes().filter(|node| question.is_met_by(*node));
            Ok(nodes.filter_map(|node| DagHash::parse(node.hash()).ok()).collect())
        };
        let each = |specs: &[String]| specs.iter().map(|spec| matching(spec)).collect::<Result<Vec<_>, _>>();
        let (select, exclude) = (each(&view.select)?, each(&view.exclude)?);
        let projections = view.projections.iter().map(|(spec, directory)| {
            let packages = if spec == "all" { None } else { Some(matching(spec)?) };
            Ok((packages, directory.as_str()))
        });
        let projections = projections.collect::<Result<_, Error>>()?;
        let extensions = Extensions::of(&all, &catalog)?;
        drop(all);
        Ok(Self { known, view, select, exclude, projections, extensions })
    }

    /// The installed packages that the view shows, externals included, dependents before dependencies.
    ///
    /// # Errors
    /// If a root, or something it needs, is not known.
    pub fn shown(&self, roots: &[DagHash]) -> Result<Vec<&'a Node>, Error> {
        let types = match self.view.link {
            ViewLink::All => DependencyTypes::RUNTIME,
            ViewLink::Run => DependencyTypes::RUN,
            ViewLink::Roots => DependencyTypes::default(),
        };
        let roots = roots.iter().map(|hash| self.node(hash)).collect::<Result<Vec<_>, _>>()?;
        let mut nodes = topological(&self.known, &roots, types)?
            .into_iter()
            .map(|node| self.node(&node.hash))
            .collect::<Result<Vec<_>, _>>()?;
        nodes.retain(|node| self.contains(node) && self.known.is_installed(node));
        Ok(without_old_runtimes(nodes))
    }

    /// Whether the descriptor admits the package.
    pub fn contains(&self, node: &Node) -> bool {
        let is_among = |sets: &[HashSet<DagHash>]| sets.iter().any(|set| set.contains(&node.hash));
        (self.select.is_empty() || is_among(&self.select)) && !is_among(&self.exclude)
    }

    /// Where the package is installed.
    pub fn prefix(&self, node: &Node) -> Option<PathBuf> {
        self.known.prefix(node).map(PathBuf::from)
    }

    /// Where the package goes, relative to the view; empty for the view itself. An extension goes where that goes which it
    /// extends.
    ///
    /// # Errors
    /// If the projection asks for what the package does not have, or leads out of the view.
    pub fn projection(&self, node: &Node) -> Result<PathBuf, Error> {
        let node = self.extensions.extended(node).and_then(|hash| self.known.node(hash)).unwrap_or(node);
        let is_for = |(packages, _): &&(Option<HashSet<DagHash>>, &str)| {
            packages.as_ref().is_some_and(|packages| packages.contains(&node.hash))
        };
        let own = self.projections.iter().find(is_for);
        let others = || self.projections.iter().rfind(|(packages, _)| packages.is_none());
        match own.or_else(others) {
            Some((_, directory)) => self.rendered(directory, node),
            None => Ok(PathBuf::new()),
        }
    }

    /// A projection as a path, each of its parts formatted by itself.
    fn rendered(&self, directory: &str, node: &Node) -> Result<PathBuf, Error> {
        let invalid = |reason: String| Error::ViewProjection {
            view: self.view.name.clone(),
            package: node.label(),
            projection: directory.to_owned(),
            reason,
        };
        let mut path = PathBuf::new();
        for part in Path::new(directory).components() {
            let part = match part {
                Component::Normal(part) => part.to_string_lossy(),
                Component::CurDir => continue,
                _ => return Err(invalid("it leads out of the view".to_owned())),
            };
            let template: Template = part.parse().map_err(|error| invalid(reason(error)))?;
            let part = template.render(node, &self.known).map_err(|error| invalid(reason(error)))?;
            match strata_store::layout::file_name(&part).as_str() {
                "" | "." => {}
                ".." => return Err(invalid("it leads out of the view".to_owned())),
                part => path.push(part),
            }
        }
        Ok(path)
    }

    /// Whether the package extends Python in the way that makes scripts of its own for views.
    pub(super) fn is_python_extension(&self, node: &Node) -> bool {
        self.extensions.is_python_extension(node)
    }

    /// The first direct dependency of that name.
    pub(super) fn dependency(&self, node: &Node, name: &str) -> Option<&Node> {
        let edge = node.dependencies.iter().find(|edge| edge.name == name)?;
        self.known.node(&edge.hash)
    }

    /// Everything that the package was made with, itself first, breadth first; what is not known any more is left out.
    pub(super) fn everything_below(&self, node: &'a Node) -> Vec<&Node> {
        everything(&self.known, std::slice::from_ref(&node.hash))
    }

    /// The root of the store.
    pub(super) fn store_root(&self) -> &Path {
        self.known.installed.store_root
    }

    fn node(&self, hash: &DagHash) -> Result<&'a Node, Error> {
        let installed = self.known.installed;
        let recorded = || installed.databases.iter().find_map(|database| database.node(hash));
        let place = "what the view is made of".to_owned();
        installed
            .nodes
            .node(hash)
            .or_else(recorded)
            .ok_or_else(|| Error::NoSuchSpec { spec: format!("/{hash}"), place })
    }
}

fn reason(error: strata_spec::format::TemplateError) -> String {
    error.reason
}

/// The DAGs of `roots` with edges of every type, breadth first, as far as they are known.
fn everything<'s>(source: &'s Known<'_>, roots: &[DagHash]) -> Vec<&'s Node> {
    let mut seen: HashSet<&DagHash> = HashSet::new();
    let mut queue: VecDeque<&Node> = roots.iter().filter_map(|hash| source.node(hash)).collect();
    let mut order = Vec::new();
    while let Some(node) = queue.pop_front() {
        if seen.insert(&node.hash) {
            order.push(node);
            match dependencies(source, node, DependencyTypes::ALL) {
                Ok(below) => queue.extend(below),
                // What a package was built with need not be known here.
                Err(_) => queue.extend(node.dependencies.iter().filter_map(|edge| source.node(&edge.hash))),
            }
        }
    }
    order
}

/// Of several packages with one runtime, the newest alone.
fn without_old_runtimes(mut nodes: Vec<&Node>) -> Vec<&Node> {
    let mut newest: HashMap<&str, &Node> = HashMap::new();
    for node in nodes.iter().copied().filter(|node| RUNTIMES.contains(&node.name.as_str())) {
        let kept = newest.entry(&node.name).or_insert(node);
        if compare_versions(node, kept) == Ordering::Greater {
            *kept = node;
        }
    }
    nodes.retain(|node| newest.get(node.name.as_str()).is_none_or(|kept| kept.hash == node.hash));
    nodes
}

fn compare_versions(a: &Node, b: &Node) -> Ordering {
    let version = |node: &Node| node.version.parse::<Version>().ok();
    version(a).cmp(&version(b))
}
