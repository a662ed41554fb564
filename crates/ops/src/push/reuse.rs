//! Packages that were installed from a cache and are as they came: the layer that they came from is put into the other cache,
//! and no file of theirs is opened.
//!
//! Such a layer names the prefixes of whoever built it. Whoever installs from it relocates from there, so that it is as good as
//! one of the prefix here; but what shares an image has to agree on where it is. So a package is taken as it came only if every
//! package of this push that needs it, or that it needs, is where its layer or theirs expects it; else it is packed, as if it had been
//! built here.

use super::CacheOpener;
use super::plan::{Planned, PushRequest};
use crate::error::Error;
use crate::image::assemble::LayerInfo;
use crate::load;
use crate::origin::{self, Origin};
use crate::parallel;
use crate::report::{Event, Reporter};
use crate::run_environment::Cached;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use strata_layer::compression::Compression;
use strata_oci::{Descriptor, Location, Repository, copy_blob};
use strata_spec::{DagHash, Database, Node, NodeSource, closure};
use strata_store::StoreRoot;

/// Layers that are brought over at the same time.
const AT_ONCE: usize = 8;

/// What is known of packages that came from a cache and are as they came.
#[derive(Default)]
pub(super) struct Unchanged {
    origins: HashMap<DagHash, Origin>,
    /// What was kept of their configs, which says what their recipes do to environments.
    pub(super) configs: HashMap<DagHash, Cached>,
}

/// A push, as far as reuse is concerned.
pub(super) struct Surroundings<'p> {
    pub(super) database: &'p Database,
    pub(super) root: &'p StoreRoot,
    pub(super) repository: &'p dyn Repository,
    pub(super) request: &'p PushRequest,
    pub(super) reporter: &'p dyn Reporter,
    pub(super) open: CacheOpener<'p>,
}

impl Surroundings<'_> {
    /// Looks at all that the images of `nodes` consist of, by `stat` alone.
    pub(super) fn unchanged(&self, nodes: &[&Node]) -> Result<Unchanged, Error> {
        let nodes = closure(self.database, nodes).unwrap_or_default();
        let (below, root) = (&self.request.below, self.root);
        let root_of = |hash: &DagHash| below.get(hash).unwrap_or(root);
        let placed: Vec<(&DagHash, &str)> =
            nodes.iter().filter_map(|node| Some((&node.hash, self.prefix(&node.hash)?))).collect();
        let found = parallel::map(&placed, parallel::REQUESTS, |(hash, prefix)| {
            let origin = origin::of_unchanged(root_of(hash), hash, prefix.as_ref());
            Ok::<_, Infallible>(origin.map(|origin| ((*hash).clone(), origin)))
        });
        let origins: HashMap<DagHash, Origin> =
            found.unwrap_or_else(|never| match never {}).into_iter().flatten().collect();
        let hashes: Vec<DagHash> = origins.keys().cloned().collect();
        let configs = load::read_kept(root_of, &hashes)?;
        Ok(Unchanged { origins, configs })
    }

    /// Sees to it that the repository has the layers of those packages that can be taken as they came, and says which these are.
    /// `uploaded` are layers of theirs that are there already, `in_cache` those of packages that are not pushed.
    pub(super) fn reuse(
        &self,
        to_push: &[Planned],
        uploaded: &HashMap<DagHash, LayerInfo>,
        in_cache: &HashMap<DagHash, LayerInfo>,
        unchanged: &Unchanged,
    ) -> HashMap<DagHash, LayerInfo> {
        let closures: Vec<(&DagHash, Vec<&DagHash>)> = to_push
            .iter()
            .filter_map(|planned| {
                let nodes = closure(self.database, &[self.database.node(&planned.hash)?]).ok()?;
                let needs = nodes.into_iter().map(|node| &node.hash).filter(|hash| **hash != planned.hash);
                Some((&planned.hash, needs.collect()))
            })
            .collect();
        let mut candidates: HashSet<&DagHash> = closures.iter().map(|(hash, _)| *hash).collect();
        let compression = self.request.compression.unwrap_or_default().compression();
        candidates.retain(|hash| match uploaded.get(*hash) {
            Some(layer) => unchanged.came_in(hash, layer),
            None => unchanged.is_compressed(hash, compression),
        });
        let there = uploaded.iter().filter(|(hash, _)| candidates.contains(hash));
        let mut there: HashMap<DagHash, LayerInfo> =
            there.map(|(hash, layer)| (hash.clone(), *layer)).collect();
        let mut caches: HashMap<&str, Option<Box<dyn Repository>>> = HashMap::new();
        loop {
            self.agree(&closures, &mut candidates, in_cache, unchanged);
            let wanted: Vec<&DagHash> =
                candidates.iter().copied().filter(|hash| !there.contains_key(*hash)).collect();
            let origins: Vec<&Origin> =
                wanted.iter().filter_map(|hash| unchanged.origins.get(*hash)).collect();
            for origin in &origins {
                caches.entry(&origin.cache).or_insert_with(|| (self.open)(&origin.cache));
            }
            let (to, reporter) = (self.repository, self.reporter);
            let brought = parallel::map(&origins, AT_ONCE, |origin| {
                let from = caches.get(&*origin.cache).and_then(Option::as_deref);
                Ok::<_, Infallible>(from.and_then(|from| bring(origin, from, to, reporter)))
            });
            let brought = brought.unwrap_or_else(|never| match never {});
            let mut lost = false;
            for (hash, layer) in wanted.into_iter().zip(brought) {
                match layer {
                    Some(layer) => drop(there.insert(hash.clone(), layer)),
                    None => lost |= candidates.remove(hash),
                }
            }
            if !lost {
                there.retain(|hash, _| candidates.contains(hash));
                self.warn_of_strangers(&closures, &candidates, in_cache, unchanged);
                return there;
            }
        }
    }

    /// Takes packages out of `candidates` until all that are left, and all that are packed, find each other where they expect it.
    fn agree<'h>(
        &self,
        closures: &[(&'h DagHash, Vec<&'h DagHash>)],
        candidates: &mut HashSet<&'h DagHash>,
        in_cache: &HashMap<DagHash, LayerInfo>,
        unchanged: &Unchanged,
    ) {
        let pushed: HashSet<&DagHash> = closures.iter().map(|(hash, _)| *hash).collect();
        let mut goes_on = true;
        while std::mem::take(&mut goes_on) {
            for (hash, needs) in closures {
                for need in needs.iter().copied() {
                    let here = self.prefix(need);
                    let is_as_it_came = match in_cache.get(need) {
                        Some(layer) => unchanged.came_in(need, layer),
                        None if pushed.contains(need) => candidates.contains(need),
                        None => continue,
                    };
                    let is_at = if is_as_it_came { unchanged.prefix(need) } else { here };
                    if !candidates.contains(hash) {
                        // It is made of what is here, and names what it needs where that is here.
                        goes_on |= is_at != here && candidates.remove(need);
                    } else if let Some(expected) =
                        unchanged.origins.get(*hash).and_then(|it| it.prefix_of(need))
                    {
                        goes_on |= is_at != Some(expected) && candidates.remove(hash);
                    }
                }
            }
        }
    }

    /// Tells of packages that are packed here and need others which the cache has as they came: in their images these are
    /// elsewhere.
    fn warn_of_strangers(
        &self,
        closures: &[(&DagHash, Vec<&DagHash>)],
        candidates: &HashSet<&DagHash>,
        in_cache: &HashMap<DagHash, LayerInfo>,
        unchanged: &Unchanged,
    ) {
        let label = |hash: &DagHash| self.database.node(hash).map_or_else(|| hash.to_string(), Node::label);
        for (hash, needs) in closures.iter().filter(|(hash, _)| !candidates.contains(hash)) {
            let is_elsewhere = |need: &&DagHash| {
                let layer = in_cache.get(*need);
                layer.is_some_and(|layer| unchanged.came_in(need, layer))
                    && unchanged.prefix(need) != self.prefix(need)
            };
            let Some(need) = needs.iter().copied().find(is_elsewhere) else { continue };
            let text = format!(
                "the image of {} is not going to run, though it can be installed: it expects {} in {}, and the cache has \
                 that in a layer made for {}; --force packs both anew",
                label(hash),
                label(need),
                self.prefix(need).unwrap_or_default(),
                unchanged.prefix(need).unwrap_or_default()
            );
            self.reporter.event(Event::Warning(&text));
        }
    }

    fn prefix(&self, hash: &DagHash) -> Option<&str> {
        self.database.records.get(hash).and_then(|record| record.path.as_deref())
    }
}

/// Makes the layer that a package came from available; none if it cannot be had any more.
fn bring(
    origin: &Origin,
    from: &dyn Repository,
    to: &dyn Repository,
    reporter: &dyn Reporter,
) -> Option<LayerInfo> {
    let layer = origin.descriptor();
    match verified_in_place(from, to, &layer).and_then(|()| copy_blob(from, to, &layer)) {
        Ok(_) => Some(origin.layer()),
        Err(error) => {
            let reason = crate::error::chain(&error);
            let text =
                format!("packing what came from {}, for its layer cannot be had: {reason}", origin.cache);
            reporter.event(Event::Detail(&text));
            None
        }
    }
}

/// Reads a layer whose bytes nobody else looks at: between directories it gets a second name only. Of a cache that the package
/// goes back to, it is asked whether it has the layer still.
fn verified_in_place(
    from: &dyn Repository,
    to: &dyn Repository,
    layer: &Descriptor,
) -> Result<(), strata_oci::Error> {
    let is_directory = |it: &dyn Repository| matches!(it.url().location(), Location::Layout { .. });
    if is_directory(from) && is_directory(to) {
        let read = std::io::copy(&mut from.blob(layer)?, &mut std::io::sink());
        let location = || format!("{} {}", from.url(), layer.digest);
        return read.map(drop).map_err(|error| strata_oci::Error::from_read(error, location()));
    }
    if from.url() == to.url() && from.blob_size(&layer.digest)? != Some(layer.size) {
        let location = from.url().to_string();
        return Err(strata_oci::Error::NoSuchBlob { location, digest: layer.digest });
    }
    Ok(())
}

impl Unchanged {
    /// Whether the layer of a package is compressed as is asked for; at whatever level.
    fn is_compressed(&self, hash: &DagHash, asked_for: Compression) -> bool {
        self.origins.get(hash).is_some_and(|origin| origin.layer().compression == asked_for)
    }

    /// Whether this layer is the one that a package came in.
    pub(super) fn came_in(&self, hash: &DagHash, layer: &LayerInfo) -> bool {
        self.origins.get(hash).is_some_and(|origin| *layer == origin.layer())
    }

    /// Where a package is in the layer that it came from.
    fn prefix(&self, hash: &DagHash) -> Option<&str> {
        self.origins.get(hash).and_then(|origin| origin.prefix_of(hash))
    }

    /// Where packages are in the images of a repository with these `layers`, by where they are here, as far as that is not the same.
    pub(super) fn moved(
        &self,
        layers: &HashMap<DagHash, LayerInfo>,
        database: &Database,
    ) -> HashMap<String, String> {
        let is_as_it_came = |hash: &DagHash| layers.get(hash).is_some_and(|layer| self.came_in(hash, layer));
        let origins = self.origins.iter().filter(|(hash, _)| is_as_it_came(hash));
        origins
            .filter_map(|(hash, origin)| {
                let here = database.records.get(hash)?.path.clone()?;
                let there = origin.prefix_of(hash)?.to_owned();
                (here != there).then_some((here, there))
            })
            .collect()
    }
}
