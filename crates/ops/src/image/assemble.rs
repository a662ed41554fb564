//! Config and manifest of an image: pure data, made of layers that are in a repository already, or are put there
//! ([`super::merged`]) because there are too many.
//!
//! The image of a package without a base is byte for byte what Spack would make of it, but for the time; with a base, the
//! base's config is the starting point.

#[cfg(test)]
mod tests;

use super::base::Base;
use super::budget::{self, Budget, Candidate};
use super::history::{self, Content, Held};
use super::layer_type;
use super::merged::{Member, Merger};
use crate::error::Error;
use crate::image::ImageError;
use crate::report::Reporter;
use crate::run_environment::{Environment, UNCLEAR};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use strata_layer::compression::Compression;
use strata_oci::media_type::Family;
use strata_oci::{
    BlobSource, Descriptor, Digest, HistoryEntry, ImageConfig, Manifest, RawObject, Repository, TagName,
};
use strata_spec::dag::DependencyTypes;
use strata_spec::{DagHash, Node, format, target};

/// The annotation that tells people what a tag is.
pub(crate) const DESCRIPTION: &str = "org.opencontainers.image.description";
/// The annotation that names the base.
pub(crate) const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation that says which base it was.
pub(crate) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// Keys of a package's config beside the image config. An image on top of a package's is not that package.
const PACKAGE_KEYS: [&str; 7] = [
    "spec",
    "buildcache_layout_version",
    "binary_cache_checksum",
    "archive_size",
    "archive_timestamp",
    "archive_compression",
    UNCLEAR,
];

/// A layer that is in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerInfo {
    /// Digest of the compressed layer.
    pub(crate) digest: Digest,
    /// Digest of the uncompressed tar.
    pub(crate) diff_id: Digest,
    /// Size of the compressed layer in bytes.
    pub(crate) size: u64,
    /// How it is compressed.
    pub(crate) compression: Compression,
}

impl LayerInfo {
    /// That of a layer in a manifest. Types that are not known are taken for Spack's one.
    pub(crate) fn of(layer: &Descriptor, diff_id: Digest) -> Self {
        let compression = layer_type::compression(&layer.media_type).unwrap_or(Compression::Gzip);
        Self { digest: layer.digest, diff_id, size: layer.size, compression }
    }
}

/// How a container of the image is started; what is not given is the base's.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// `Entrypoint`. Setting it drops the base's `Cmd`, as with a Dockerfile.
    pub entrypoint: Option<Vec<String>>,
    /// `Cmd`.
    pub cmd: Option<Vec<String>>,
    /// Variables that are set after all others.
    pub env: Vec<(String, String)>,
    /// `Labels`, beside the base's.
    pub labels: BTreeMap<String, String>,
    /// `WorkingDir`.
    pub workdir: Option<String>,
    /// `User`.
    pub user: Option<String>,
}

/// What an image is made of.
pub(crate) struct Assembly<'a> {
    /// The runtime closure of the roots without externals, dependencies before dependents. The last is the package whose
    /// tag it becomes, if it becomes one.
    pub(crate) nodes: &'a [&'a Node],
    /// Their layers; those that are missing are left out of the image.
    pub(crate) layers: &'a HashMap<DagHash, LayerInfo>,
    /// Where layers are that are not in the repository. Those that packages share need not be: they are read from there.
    pub(crate) elsewhere: &'a HashMap<DagHash, &'a dyn Repository>,
    /// The roots, for the image's description.
    pub(crate) roots: &'a [&'a Node],
    /// What is below.
    pub(crate) base: Option<&'a Base>,
    /// All variables, the base's included.
    pub(crate) environment: &'a Environment,
    /// How a container is started.
    pub(crate) runtime: &'a Runtime,
    /// How many layers there may be.
    pub(crate) budget: Budget,
    /// What merges layers where there are more packages than that.
    pub(crate) merger: &'a Merger,
    /// `created`, for an image that is not a package's.
    pub(crate) created: Option<Timestamp>,
    /// A layer of links, put on top.
    pub(crate) view: Option<LayerInfo>,
    /// The keys beside the image config, if it is the image of a package: its own layer is then last and never merged.
    pub(crate) package: Option<RawObject>,
}

/// An image whose blobs are all in the repository, and whose manifest is not yet.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The manifest.
    pub(crate) manifest: Manifest,
    /// Of the config.
    pub(crate) config: Digest,
}

impl Assembled {
    /// Puts the manifest, and makes `tag` point at it.
    pub(crate) fn tag(&self, tag: &TagName, repository: &dyn Repository) -> Result<Digest, Error> {
        Ok(repository.put_manifest(tag, &self.manifest.media_type, &self.manifest.to_bytes()?)?)
    }

    /// Bytes of all layers, the base's included.
    pub(crate) fn size(&self) -> u64 {
        self.manifest.layers.iter().map(|layer| layer.size).sum()
    }
}

/// Puts everything but the manifest.
pub(crate) fn assemble(
    assembly: &Assembly<'_>,
    repository: &dyn Repository,
    reporter: &dyn Reporter,
) -> Result<Assembled, Error> {
    if assembly.package.is_none() {
        refuse_several_architectures(assembly.nodes)?;
    }
    let layers = assembly.pack(repository, reporter)?;
    let family = assembly.family(&layers);
    let config = assembly.config(&layers, family)?.to_bytes()?;
    let descriptor = Descriptor::of(family.config(), &config);
    let below = assembly.base.map_or_else(Vec::new, |base| base.layers_for(family));
    let mut manifest = Manifest::new(descriptor, below);
    family.manifest().clone_into(&mut manifest.media_type);
    let ours = layers.iter().map(|layer| {
        let LayerInfo { digest, size, compression, .. } = layer.info;
        let media_type = layer_type::media_type(compression, family).unwrap_or(family.layer());
        Descriptor::new(media_type, digest, size)
    });
    manifest.layers.extend(ours);
    if family == Family::Oci {
        manifest.annotations = assembly.annotations();
    }
    let source = BlobSource::bytes(config);
    let config = source.digest;
    let _ = repository.put_blob(&source)?;
    Ok(Assembled { manifest, config })
}

/// Spack takes the architecture of the first spec for that of all; an image says one.
pub(crate) fn refuse_several_architectures(nodes: &[&Node]) -> Result<(), Error> {
    let Some((first, others)) = nodes.split_first() else { return Ok(()) };
    let of = |node: &Node| target::image_architecture(&node.architecture.target).to_owned();
    match others.iter().find(|node| of(node) != of(first)) {
        None => Ok(()),
        Some(other) => Err(Error::Image(ImageError::SeveralArchitectures {
            one: first.label(),
            one_architecture: of(first),
            other: other.label(),
            other_architecture: of(other),
        })),
    }
}

/// A layer of ours.
struct Layer {
    info: LayerInfo,
    content: Content,
}

impl Layer {
    fn is_merged(&self) -> bool {
        matches!(&self.content, Content::Packages(packages) if packages.len() > 1)
    }
}

impl Assembly<'_> {
    /// The packages that have a layer of their own in the image: what has to be in the repository before it is assembled.
    pub(crate) fn alone(&self) -> Result<HashSet<&DagHash>, Error> {
        let groups = self.groups()?;
        Ok(groups.iter().filter(|group| group.len() == 1).flatten().map(|(node, _)| &node.hash).collect())
    }

    /// The packages that are in the image, by layer, in order.
    fn groups(&self) -> Result<Vec<Vec<(&Node, LayerInfo)>>, Error> {
        let present: Vec<(&Node, LayerInfo)> =
            self.nodes.iter().filter_map(|node| Some((*node, *self.layers.get(&node.hash)?))).collect();
        let base_layers = self.base.map_or(0, |base| base.layers.len());
        let others = usize::from(self.view.is_some());
        let own_last = self.package.is_some();
        let budget = self.budget.for_packages(present.len(), own_last, base_layers, others)?;
        if present.len() <= budget {
            return Ok(present.into_iter().map(|package| vec![package]).collect());
        }
        let dependents = self.dependents();
        let candidates = present.iter().map(|(node, layer)| Candidate {
            name: &node.name,
            hash: node.hash.as_str(),
            size: layer.size,
            dependents: dependents.get(&node.hash).copied().unwrap_or(1),
        });
        let groups = budget::pack(&candidates.collect::<Vec<_>>(), own_last, budget)?;
        Ok(groups.into_iter().map(|group| group.into_iter().map(|at| present[at]).collect()).collect())
    }

    /// Our layers, in order.
    fn pack(&self, repository: &dyn Repository, reporter: &dyn Reporter) -> Result<Vec<Layer>, Error> {
        let mut layers = Vec::new();
        for group in self.groups()? {
            let held: Vec<Held> = group.iter().map(|(node, _)| (*node).into()).collect();
            let info = match group.as_slice() {
                [(_, layer)] => *layer,
                several => {
                    let member = |(node, layer): &(&Node, LayerInfo)| Member {
                        layer: *layer,
                        repository: self.elsewhere.get(&node.hash).copied().unwrap_or(repository),
                    };
                    let members: Vec<Member<'_>> = several.iter().map(member).collect();
                    let label = held.iter().map(Held::label).collect::<Vec<_>>().join(", ");
                    self.merger.merge(&members, &label, repository, reporter)?
                }
            };
            layers.push(Layer { info, content: Content::Packages(held) });
        }
        layers.extend(self.view.map(|info| Layer { info, content: Content::View }));
        Ok(layers)
    }

    /// How many packages of the image need each, itself included.
    fn dependents(&self) -> HashMap<&DagHash, usize> {
        let places: HashMap<&DagHash, usize> =
            self.nodes.iter().enumerate().map(|(at, node)| (&node.hash, at)).collect();
        let mut counts = vec![0; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut seen = vec![false; self.nodes.len()];
            let mut stack = vec![start];
            while let Some(at) = stack.pop() {
                if std::mem::replace(&mut seen[at], true) {
                    continue;
                }
                counts[at] += 1;
                let edges = self.nodes[at].dependencies.iter();
                let needed = edges.filter(|edge| edge.types.intersects(DependencyTypes::RUNTIME));
                stack.extend(needed.filter_map(|edge| places.get(&edge.hash)));
            }
        }
        self.nodes.iter().zip(counts).map(|(node, count)| (&node.hash, count)).collect()
    }

    /// That of the base, unless it has no type for one of our layers.
    fn family(&self, layers: &[Layer]) -> Family {
        let family = self.base.map_or(Family::Oci, |base| base.family);
        let has_type = |layer: &Layer| layer_type::media_type(layer.info.compression, family).is_some();
        if layers.iter().all(has_type) { family } else { Family::Oci }
    }

    fn config(&self, layers: &[Layer], family: Family) -> Result<ImageConfig, Error> {
        let mut config = match self.base {
            Some(base) => base.config.clone(),
            None => {
                let of = self.package.as_ref().and(self.nodes.last()).or(self.roots.first());
                let target = of.map_or("", |node| node.architecture.target.as_str());
                ImageConfig::new(target::image_architecture(target), "linux")
            }
        };
        self.write_history(&mut config, layers, family)?;
        config.root_fs.diff_ids.extend(layers.iter().map(|layer| layer.info.diff_id));
        self.write_runtime(&mut config, family)?;
        if let Some(created) = self.created {
            config.set_created(Some(&history::text(created)))?;
        }
        for key in PACKAGE_KEYS {
            config.extra.remove(key);
        }
        for (key, value) in self.package.iter().flat_map(RawObject::iter) {
            config.extra.set_raw(key, value.to_owned());
        }
        Ok(config)
    }

    /// Entries for our layers after those of the base. The image of a package has a history only if its base has one, if
    /// something would be hard to tell without, or if it has Docker's types: Quay takes no such config without.
    fn write_history(&self, config: &mut ImageConfig, layers: &[Layer], family: Family) -> Result<(), Error> {
        let below = config.root_fs.diff_ids.len();
        let is_inherited =
            config.extra.get("history").is_some_and(|raw| history::consistent(raw, below).is_some());
        if !is_inherited {
            let is_docker = family == Family::Docker;
            let is_wanted = self.package.is_none() || is_docker || layers.iter().any(Layer::is_merged);
            if !is_wanted {
                config.extra.remove("history");
                return Ok(());
            }
            let of_base =
                self.base.map(|base| history::of_base_layer(base.name.as_deref().unwrap_or(&base.reference)));
            config.set_history(&of_base.map_or_else(Vec::new, |entry| vec![entry; below]))?;
        }
        let ours: Vec<HistoryEntry> = layers.iter().map(|layer| layer.content.entry(self.created)).collect();
        Ok(config.append_history(&ours)?)
    }

    fn write_runtime(&self, config: &mut ImageConfig, family: Family) -> Result<(), Error> {
        let mut environment = self.environment.clone();
        for (name, value) in &self.runtime.env {
            environment.set(name, value);
        }
        config.config.env = environment.to_entries();
        let runtime = &mut config.config;
        if let Some(entrypoint) = &self.runtime.entrypoint {
            runtime.set_entrypoint(Some(entrypoint))?;
            runtime.set_cmd(None)?;
        }
        if let Some(cmd) = &self.runtime.cmd {
            runtime.set_cmd(Some(cmd))?;
        }
        if let Some(workdir) = &self.runtime.workdir {
            runtime.set_working_dir(Some(workdir))?;
        }
        if let Some(user) = &self.runtime.user {
            runtime.set_user(Some(user))?;
        }
        // Docker's manifests have no annotations.
        let is_docker = family == Family::Docker;
        let annotations = if is_docker { self.annotations() } else { BTreeMap::new() };
        let mut labels: RawObject = match runtime.extra.get("Labels") {
            Some(labels) => serde_json::from_str::<Option<RawObject>>(labels.get())?.unwrap_or_default(),
            None => RawObject::new(),
        };
        for (name, value) in annotations.iter().chain(&self.runtime.labels) {
            labels.set(name, value)?;
        }
        if !labels.is_empty() {
            runtime.extra.set("Labels", &labels)?;
        }
        Ok(())
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let description = match (&self.package, self.nodes.last()) {
            (Some(_), Some(node)) => format::canonical(node),
            _ => self.roots.iter().map(|root| root.label()).collect::<Vec<_>>().join(", "),
        };
        let mut annotations = BTreeMap::from([(DESCRIPTION.to_owned(), description)]);
        if let Some(base) = self.base {
            annotations.extend(base.name.clone().map(|name| (BASE_NAME.to_owned(), name)));
            annotations.insert(BASE_DIGEST.to_owned(), base.digest.to_string());
        }
        annotations
    }
}
