//! When a package is tagged, and what with.
//!
//! The coordinator hears what became of each package, and hands one on to be tagged once its layer is in the cache and
//! everything it depends on at run time is tagged (or has failed).

use super::environment::Environment;
use super::execute::{Context, Outcome, Task};
use super::image::{self, LayerInfo, layer_in_cache};
use super::plan::Planned;
use super::{Failure, PushSummary, Pushed};
use crate::error::Error;
use crate::report::{Action, Event};
use crate::{package_tag, parallel};
use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use strata_oci::BlobSource;
use strata_spec::{ConcreteSpec, DagHash, Node, closure};

/// Everything a package's config and manifest are made of.
pub(super) struct Image {
    layers: Vec<LayerInfo>,
    /// Of the package and what it needs, dependencies before dependents.
    prefixes: Vec<PathBuf>,
    missing_layers: Vec<String>,
}

impl Context<'_> {
    /// Writes config and manifest of a package whose layers are all in the cache.
    pub(super) fn tag(&self, planned: &Planned, image: &Image) -> Result<(), Error> {
        let node = self.node(planned)?;
        let spec = ConcreteSpec::collect(self.database, node, self.database.spec_version())?;
        let layers: Vec<&LayerInfo> = image.layers.iter().collect();
        let mut environment = Environment::without_base();
        for prefix in &image.prefixes {
            environment.prepend_prefix(prefix);
        }
        let config = image::config(&spec, &layers, &environment, self.timestamp(planned))?;
        let manifest = image::manifest(node, &config, &layers);
        let _ = self.repository.put_blob(&BlobSource::bytes(config))?;
        self.repository.put_manifest(&package_tag::of(node)?, &manifest.media_type, &manifest.to_bytes()?)?;
        Ok(())
    }

    /// The package's runtime closure without externals, dependencies before dependents: the order of layers.
    fn runtime_closure(&self, planned: &Planned) -> Result<Vec<&Node>, Error> {
        let mut nodes = closure(self.database, &[self.node(planned)?])?;
        nodes.reverse();
        Ok(nodes)
    }

    fn timestamp(&self, planned: &Planned) -> Timestamp {
        let installed = self.database.records.get(&planned.hash).and_then(|r| r.installation_time);
        let installed = installed.and_then(|t| Timestamp::from_microsecond((t * 1e6) as i64).ok());
        self.request.timestamp.or(installed).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Decides when a package can be tagged, and collects what became of everything.
    pub(super) fn coordinate<'p>(
        &self,
        planned: &'p [Planned],
        results: &Receiver<Outcome<'p>>,
        tags: &Sender<Task<'p>>,
        summary: &mut PushSummary,
    ) {
        let mut layers: HashMap<DagHash, LayerInfo> = HashMap::new();
        let mut untagged: HashSet<DagHash> = planned.iter().map(|p| p.hash.clone()).collect();
        let mut waiting: Vec<(&'p Planned, Vec<&Node>)> = Vec::new();
        let mut known_absent: HashSet<DagHash> = HashSet::new();
        self.reporter.event(Event::Expect(Action::Tag, planned.len()));
        while !untagged.is_empty() {
            let Ok(outcome) = results.recv() else { break };
            match outcome {
                Outcome::Uploaded(package, layer) => match self.runtime_closure(package) {
                    Ok(closure) => {
                        layers.insert(package.hash.clone(), layer);
                        waiting.push((package, closure));
                    }
                    Err(error) => {
                        untagged.remove(&package.hash);
                        self.failed(Action::Tag, package, error, summary);
                    }
                },
                Outcome::Tagged(package, image) => {
                    untagged.remove(&package.hash);
                    summary.pushed.push(self.pushed(package, image));
                }
                Outcome::Failed(package, error) => {
                    untagged.remove(&package.hash);
                    layers.remove(&package.hash);
                    known_absent.insert(package.hash.clone());
                    self.failed(Action::Push, package, error, summary);
                }
            }
            // A package that fails here is one that others wait for no more, and no outcome will tell them: look
            // again until nothing changes.
            let mut unsettled = true;
            while std::mem::take(&mut unsettled) {
                for (package, closure) in std::mem::take(&mut waiting) {
                    if closure.iter().any(|n| n.hash != package.hash && untagged.contains(&n.hash)) {
                        waiting.push((package, closure));
                        continue;
                    }
                    match self.image(&closure, &mut layers, &mut known_absent) {
                        Ok(image) => drop(tags.send(Task::Tag(package, image))),
                        Err(error) => {
                            unsettled = true;
                            untagged.remove(&package.hash);
                            self.failed(Action::Tag, package, error, summary);
                        }
                    }
                }
            }
        }
    }

    fn failed(&self, action: Action, planned: &Planned, error: Error, summary: &mut PushSummary) {
        let failure = Failure::new(planned.label(), error);
        self.reporter.event(Event::Failed(action, &failure.package, &failure.message));
        summary.failed.push(failure);
    }

    /// The layers of a package's image. A dependency that this push is not about is looked up in the cache.
    fn image(
        &self,
        closure: &[&Node],
        layers: &mut HashMap<DagHash, LayerInfo>,
        known_absent: &mut HashSet<DagHash>,
    ) -> Result<Image, Error> {
        let mut unknown = closure.to_vec();
        unknown.retain(|n| !layers.contains_key(&n.hash) && !known_absent.contains(&n.hash));
        let found =
            parallel::map(&unknown, parallel::REQUESTS, |node| layer_in_cache(self.repository, node))?;
        for (node, layer) in unknown.into_iter().zip(found) {
            match layer {
                Some(layer) => drop(layers.insert(node.hash.clone(), layer)),
                None => drop(known_absent.insert(node.hash.clone())),
            }
        }
        let mut image = Image { layers: Vec::new(), prefixes: Vec::new(), missing_layers: Vec::new() };
        for node in closure {
            let path = self.database.records.get(&node.hash).and_then(|record| record.path.as_ref());
            image.prefixes.extend(path.map(PathBuf::from));
            match layers.get(&node.hash) {
                Some(layer) => image.layers.push(*layer),
                None => image.missing_layers.push(node.label()),
            }
        }
        Ok(image)
    }

    fn pushed(&self, package: &Planned, image: Image) -> Pushed {
        if !image.missing_layers.is_empty() {
            self.reporter.event(Event::Warning(&format!(
                "the image of {} will not run: the cache has no layer of {}",
                package.label(),
                image.missing_layers.join(", ")
            )));
        }
        let own = image.layers.last();
        let pushed = Pushed {
            name: package.name.clone(),
            version: package.version.clone(),
            hash: package.hash.clone(),
            tag: package.tag.clone(),
            layer: own.map(|l| l.digest.to_string()).unwrap_or_default(),
            diff_id: own.map(|l| l.diff_id.to_string()).unwrap_or_default(),
            size: own.map(|l| l.size).unwrap_or_default(),
            missing_layers: image.missing_layers,
        };
        self.reporter.event(Event::Detail(&format!("tagged {}", pushed.tag)));
        pushed
    }
}
