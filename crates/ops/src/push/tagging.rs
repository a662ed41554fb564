//! When a package is tagged, and what with.
//!
//! The coordinator hears what became of each package, and hands one on to be tagged once its layer is in the cache and
//! everything it depends on at run time is tagged (or has failed).

use super::environments::Known;
use super::execute::{Context, Outcome, Task};
use super::package::{self, in_cache};
use super::plan::Planned;
use super::{Failure, PushSummary, Pushed};
use crate::error::Error;
use crate::image::assemble::{Assembly, LayerInfo, Runtime, assemble};
use crate::report::{Action, Event};
use crate::run_environment::{LONGEST_VARIABLE, UNCLEAR};
use crate::{package_tag, parallel};
use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use strata_spec::{ConcreteSpec, DagHash, Node, closure};

/// The layers of an image that is to be written.
pub(super) struct Image {
    /// By package.
    pub(super) layers: HashMap<DagHash, LayerInfo>,
    /// Labels of packages without one.
    pub(super) missing_layers: Vec<String>,
}

impl Context<'_> {
    /// Writes config and manifest of a package whose layers are all in the cache.
    pub(super) fn tag(&self, planned: &Planned, image: &Image) -> Result<(), Error> {
        let node = self.node(planned)?;
        let Known { environment, unclear } = self.environments.get(std::slice::from_ref(&node.hash))?;
        for (name, length) in environment.over_limit() {
            self.reporter.event(Event::Warning(&format!(
                "the image of {} will not run: {name} of its environment has {length} bytes, and no program starts with \
                 more than {LONGEST_VARIABLE}",
                planned.label()
            )));
        }
        let mut keys = match &planned.in_cache {
            Some(package) => package.keys.clone(),
            None => {
                let spec = ConcreteSpec::collect(self.database, node, self.database.spec_version())?;
                let not_whole = || Error::NoSuchSpec { spec: planned.label(), place: "this push".to_owned() };
                let own = image.layers.get(&node.hash).ok_or_else(not_whole)?;
                package::keys(&spec, own, self.timestamp(&node.hash))?
            }
        };
        keys.remove(UNCLEAR);
        if !unclear.is_empty() {
            keys.set(UNCLEAR, &unclear)?;
        }
        let nodes = self.runtime_closure(&[node])?;
        let assembled = assemble(
            &Assembly {
                nodes: &nodes,
                layers: &image.layers,
                elsewhere: &HashMap::new(),
                roots: &[node],
                base: self.bases.of(node),
                environment: &environment,
                runtime: &Runtime::default(),
                budget: self.request.budget,
                merger: &self.merger,
                created: None,
                view: None,
                package: Some(keys),
            },
            self.repository,
            self.reporter,
        )?;
        assembled.tag(&package_tag::of(node)?, self.repository)?;
        Ok(())
    }

    /// The runtime closure of packages without externals, dependencies before dependents: the order of layers.
    pub(super) fn runtime_closure<'n>(&'n self, roots: &[&'n Node]) -> Result<Vec<&'n Node>, Error> {
        let mut nodes = closure(self.database, roots)?;
        nodes.reverse();
        Ok(nodes)
    }

    /// The time that a package has: `SOURCE_DATE_EPOCH`, or when it was installed.
    pub(super) fn timestamp(&self, hash: &DagHash) -> Timestamp {
        let installed = self.database.records.get(hash).and_then(|r| r.installation_time);
        let installed = installed.and_then(|t| Timestamp::from_microsecond((t * 1e6) as i64).ok());
        self.request.timestamp.or(installed).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Decides when a package can be tagged, and collects what became of everything.
    pub(super) fn coordinate<'p>(
        &self,
        planned: &'p [Planned],
        results: &Receiver<Outcome<'p>>,
        tags: &Sender<Task<'p>>,
        layers: &mut HashMap<DagHash, LayerInfo>,
        summary: &mut PushSummary,
    ) {
        let mut untagged: HashSet<DagHash> = planned.iter().map(|p| p.hash.clone()).collect();
        let mut waiting: Vec<(&'p Planned, Vec<&Node>)> = Vec::new();
        let mut known_absent: HashSet<DagHash> = HashSet::new();
        self.reporter.event(Event::Expect(Action::Tag, planned.len()));
        while !untagged.is_empty() {
            let Ok(outcome) = results.recv() else { break };
            match outcome {
                Outcome::Uploaded(package, layer) => {
                    match self.node(package).and_then(|node| self.runtime_closure(&[node])) {
                        Ok(closure) => {
                            layers.insert(package.hash.clone(), layer);
                            waiting.push((package, closure));
                        }
                        Err(error) => {
                            untagged.remove(&package.hash);
                            self.failed(Action::Tag, package, error, summary);
                        }
                    }
                }
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
                    match self.image(&closure, layers, &mut known_absent) {
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
    pub(super) fn image(
        &self,
        closure: &[&Node],
        layers: &mut HashMap<DagHash, LayerInfo>,
        known_absent: &mut HashSet<DagHash>,
    ) -> Result<Image, Error> {
        let mut unknown = closure.to_vec();
        unknown.retain(|n| !layers.contains_key(&n.hash) && !known_absent.contains(&n.hash));
        let found = parallel::map(&unknown, parallel::REQUESTS, |node| in_cache(self.repository, node))?;
        for (node, found) in unknown.into_iter().zip(found) {
            match found {
                Some(package) => drop(layers.insert(node.hash.clone(), package.layer)),
                None => drop(known_absent.insert(node.hash.clone())),
            }
        }
        let mut image = Image { layers: HashMap::new(), missing_layers: Vec::new() };
        for node in closure {
            match layers.get(&node.hash) {
                Some(layer) => drop(image.layers.insert(node.hash.clone(), *layer)),
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
        let own = image.layers.get(&package.hash);
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
