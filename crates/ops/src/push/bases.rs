//! The base of each image that a push writes: one for each architecture that its packages have.

use crate::error::Error;
use crate::image::base::{Base, BaseSource};
use crate::report::Reporter;
use std::collections::BTreeMap;
use strata_oci::{Platform, Repository};
use strata_spec::{Node, NodeSource, target};

/// Bases by architecture, as Go names it.
#[derive(Debug, Default)]
pub(super) struct Bases(BTreeMap<String, Base>);

impl Bases {
    /// Reads the base that `nodes` need, and refuses one that cannot run them.
    pub(super) fn load(
        source: Option<&BaseSource>,
        nodes: &[&Node],
        all: &dyn NodeSource,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        let Some(source) = source else { return Ok(Self::default()) };
        let mut by_architecture: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
        for node in nodes {
            by_architecture.entry(architecture(node)).or_default().push(node);
        }
        let bases = by_architecture.into_iter().map(|(architecture, nodes)| {
            let base = Base::load(source, &Platform::linux(architecture), reporter)?;
            base.refuse_unfit(all, &nodes)?;
            Ok((architecture.to_owned(), base))
        });
        Ok(Self(bases.collect::<Result<_, Error>>()?))
    }

    /// The base of an image of `node`.
    pub(super) fn of(&self, node: &Node) -> Option<&Base> {
        self.0.get(architecture(node))
    }

    /// Makes the layers of all of them available in `to`.
    pub(super) fn provide(
        &self,
        source: Option<&BaseSource>,
        to: &dyn Repository,
        reporter: &dyn Reporter,
    ) -> Result<(), Error> {
        let Some(source) = source else { return Ok(()) };
        self.0.values().try_for_each(|base| base.provide(source, to, reporter))
    }
}

/// The architecture of a package, as Go names it.
pub(super) fn architecture(node: &Node) -> &str {
    target::image_architecture(&node.architecture.target)
}
