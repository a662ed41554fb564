//! One image of everything that a push is about, under a tag of its own: what Spack makes of an environment.

use super::PushedImage;
use super::execute::Context;
use super::tagging::Image;
use crate::error::Error;
use crate::image::ImageError;
use crate::image::assemble::{Assembly, LayerInfo, Runtime, assemble};
use crate::report::Event;
use std::collections::{HashMap, HashSet};
use strata_oci::{ImageReference, TagName};
use strata_spec::{DagHash, Node, NodeSource};

impl Context<'_> {
    /// Writes the image of `roots` and what they need at run time, whether this push wrote their layers or they were there.
    pub(super) fn tag_image(
        &self,
        tag: &TagName,
        roots: &[DagHash],
        layers: &mut HashMap<DagHash, LayerInfo>,
    ) -> Result<PushedImage, Error> {
        let reference = ImageReference::new(self.repository.url().clone(), tag.clone()).to_string();
        let environment = self.environments.get(roots)?.environment;
        environment.refuse_too_long()?;
        let roots: Vec<&Node> = roots.iter().filter_map(|hash| self.database.node(hash)).collect();
        let nodes = self.runtime_closure(&roots)?;
        let Image { layers, missing_layers } = self.image(&nodes, layers, &mut HashSet::new())?;
        if !missing_layers.is_empty() {
            if !self.request.allow_incomplete {
                let place = self.repository.url().to_string();
                return Err(Error::Image(ImageError::Incomplete { place, packages: missing_layers }));
            }
            self.reporter.event(Event::Warning(&format!(
                "{tag} may not run: the cache has no layer of {}",
                missing_layers.join(", ")
            )));
        }
        let base = roots.first().and_then(|node| self.bases.of(node));
        let assembled = assemble(
            &Assembly {
                nodes: &nodes,
                layers: &layers,
                elsewhere: &HashMap::new(),
                roots: &roots,
                base,
                environment: &environment,
                runtime: &Runtime::default(),
                budget: self.request.budget,
                merger: &self.merger,
                created: nodes.iter().map(|node| self.timestamp(&node.hash)).max(),
                view: None,
                package: None,
            },
            self.repository,
            self.reporter,
        )?;
        let digest = assembled.tag(tag, self.repository)?;
        let labels = |nodes: Vec<&Node>| nodes.into_iter().map(Node::label).collect();
        Ok(PushedImage {
            reference,
            digest: digest.to_string(),
            base: base.map(|base| base.reference.clone()),
            layers: assembled.manifest.layers.len(),
            size: assembled.size(),
            packages: labels(nodes.into_iter().filter(|node| layers.contains_key(&node.hash)).collect()),
            roots: labels(roots),
            missing_layers,
        })
    }
}
