//! What can be used of all that is asked for, and whether it can be told which of it is meant.

use super::fitness::{Fitness, Obstacle};
use super::resolved;
use crate::error::Error;
use serde::Serialize;
use std::collections::BTreeSet;
use strata_spec::AbstractSpec;
use strata_spec::catalog::NodeRef;

/// Why it cannot be told which package is meant: there is no preference that would decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unclear {
    /// The start of a hash is that of several specs, one line each.
    Hash(Vec<String>),
    /// A spec without a name is true of several packages: nothing orders packages that have nothing in common.
    Packages(Vec<String>),
}

impl Unclear {
    /// As the error that it is to whoever needs one package.
    pub fn error(self, spec: String, place: String) -> Error {
        match self {
            Self::Hash(candidates) => Error::Ambiguous { spec, place, candidates },
            Self::Packages(packages) => Error::ManyPackages { spec, place, packages },
        }
    }
}

/// The concrete specs that an abstract one is true of.
pub(crate) struct Sorted<'s> {
    pub(crate) usable: Vec<NodeRef<'s>>,
    pub(crate) unusable: Vec<NodeRef<'s>>,
    pub(crate) unclear: Option<Unclear>,
}

impl<'s> Sorted<'s> {
    pub(crate) fn new(spec: &AbstractSpec, matching: Vec<NodeRef<'s>>, fitness: &Fitness<'s>) -> Self {
        let (mut usable, mut unusable, mut cached) = (Vec::new(), Vec::new(), Vec::new());
        for node in matching {
            let obstacle = fitness.obstacle(node);
            // A binary that does not run here is meant by its hash as much as one that does.
            if spec.hash.is_some() && !matches!(obstacle, Some(Obstacle::NotCached { .. })) {
                cached.push(node);
            }
            if obstacle.is_none() { usable.push(node) } else { unusable.push(node) }
        }
        let names: BTreeSet<&str> = match spec.name {
            Some(_) => BTreeSet::new(),
            None => usable.iter().map(|node| node.name()).collect(),
        };
        let unclear = if cached.len() > 1 {
            Some(Unclear::Hash(cached.into_iter().map(resolved::describe).collect()))
        } else if names.len() > 1 {
            Some(Unclear::Packages(names.into_iter().map(str::to_owned).collect()))
        } else {
            None
        };
        Self { usable, unusable, unclear }
    }
}
