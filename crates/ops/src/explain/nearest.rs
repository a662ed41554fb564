//! What was nearest to a spec, and what each lacked: all that it lacked, not only the first.

use super::parts::Parts;
use crate::resolve::Stock;
use crate::resolve::fitness::{Fitness, Obstacle};
use crate::resolve::order::{VersionRank, best_first};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use strata_spec::AbstractSpec;
use strata_spec::catalog::NodeRef;
use strata_spec::host::Host;
use strata_spec::matching::Mismatch;
use strata_spec::version::VersionConstraint;

/// Not more candidates than these are looked at closely: a spec without a name may have all of a cache.
const MANY: usize = 1000;

/// Concrete specs that lack the same.
#[derive(Clone, Debug, Serialize)]
pub struct Nearest {
    /// Label of the best of them.
    pub package: String,
    /// Its DAG hash.
    pub hash: String,
    /// The mirrors that have it.
    pub mirrors: Vec<String>,
    /// What they lack.
    pub lacks: Vec<Lack>,
    /// The same as sentences.
    pub reasons: Vec<String>,
    /// How many others lack the same, of those that were looked at.
    pub alike: usize,
    /// The spec without what this one lacks: what could be asked for instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_do: Option<String>,
}

impl Nearest {
    /// Whether they are what was asked for, and only cannot be used.
    pub fn is_match(&self) -> bool {
        self.lacks.iter().all(|lack| matches!(lack, Lack::Obstacle(_)))
    }
}

/// One thing that a concrete spec lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Lack {
    /// It is not what was asked for.
    Mismatch(Mismatch),
    /// It provides another version of a virtual package.
    Provision {
        /// What was asked for, `mpi@4:`.
        provision: String,
    },
    /// It cannot be used here.
    Obstacle(Obstacle),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Provision { provision } => write!(f, "provides another version, asked for {provision}"),
            Self::Obstacle(obstacle) => obstacle.fmt(f),
        }
    }
}

/// How near a group is, nearest first: the fewest mismatches, the fewest obstacles, the version most like the one asked for,
/// then as if one were to be chosen.
type Nearness = (usize, usize, Reverse<usize>, usize);

/// Groups of concrete specs that lack the same, nearest first, and how many more were not looked at closely. Those of them
/// that are `matching` lack nothing that was asked for.
pub(super) fn groups<'s>(
    nodes: Vec<NodeRef<'s>>,
    matching: &[NodeRef<'s>],
    spec: &AbstractSpec,
    stock: &'s Stock<'s>,
    fitness: &Fitness<'s>,
    host: Option<&Host>,
) -> (Vec<Nearest>, usize) {
    let parts = Parts::of(spec);
    let all = nodes.len();
    let nodes = if all > MANY { roughly_nearest(nodes, matching, spec, &parts) } else { nodes };
    let left_out = all - nodes.len();
    let mut groups: Vec<(Nearness, Nearest)> = Vec::new();
    let mut known: HashMap<(&str, Vec<String>), usize> = HashMap::new();
    for (rank, ranked) in best_first(nodes, spec, stock, host).into_iter().enumerate() {
        let node = ranked.node;
        let unmet = parts.unmet(node);
        let mismatches = parts.mismatches(node, &unmet).into_iter();
        let lacks: Vec<Lack> = mismatches.chain(fitness.obstacle(node).map(Lack::Obstacle)).collect();
        let reasons: Vec<String> = lacks.iter().map(Lack::to_string).collect();
        if let Some(group) = known.get(&(node.name(), reasons.clone())) {
            groups[*group].1.alike += 1;
            continue;
        }
        known.insert((node.name(), reasons.clone()), groups.len());
        let is_mismatch = |lack: &&Lack| !matches!(lack, Lack::Obstacle(_));
        let count = lacks.iter().filter(is_mismatch).count();
        let likeness = Reverse(likeness(node.version(), spec));
        let would_do = (!unmet.is_empty() && unmet != [0]).then(|| parts.without(&unmet, node).to_string());
        let group = Nearest {
            package: node.label(),
            hash: node.hash().to_owned(),
            mirrors: stock.mirrors_with(node.hash()).map(|at| stock.mirror_name(at).to_owned()).collect(),
            lacks,
            reasons,
            alike: 0,
            would_do: would_do.filter(|spec| !spec.is_empty()),
        };
        groups.push(((count, group.lacks.len(), likeness, rank), group));
    }
    groups.sort_by_key(|(nearness, _)| *nearness);
    (groups.into_iter().map(|(_, group)| group).collect(), left_out)
}

/// The [`MANY`] nearest as far as that can be told without putting anything into words.
fn roughly_nearest<'s>(
    nodes: Vec<NodeRef<'s>>,
    matching: &[NodeRef<'s>],
    spec: &AbstractSpec,
    parts: &Parts<'_>,
) -> Vec<NodeRef<'s>> {
    let matching: HashSet<&str> = matching.iter().map(|node| node.hash()).collect();
    let mut of_versions: HashMap<&str, (Reverse<usize>, Reverse<VersionRank>)> = HashMap::new();
    for node in &nodes {
        let version = node.version();
        let rank = || (Reverse(likeness(version, spec)), Reverse(VersionRank::of(version)));
        of_versions.entry(version).or_insert_with(rank);
    }
    let mut keyed: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            let (likeness, rank) = &of_versions[node.version()];
            let is_other = !matching.contains(node.hash());
            let unmet = if is_other { parts.count_unmet_alone(node) } else { 0 };
            ((is_other, unmet, !node.in_buildcache(), likeness, node.name(), rank, node.hash()), node)
        })
        .collect();
    keyed.select_nth_unstable_by(MANY - 1, |a, b| a.0.cmp(&b.0));
    keyed.truncate(MANY);
    keyed.into_iter().map(|(_, node)| node).collect()
}

/// How many components of a version are those of one that is asked for, counted from the left.
fn likeness(version: &str, spec: &AbstractSpec) -> usize {
    let ends = spec.versions.items().iter().flat_map(|item| match item {
        VersionConstraint::Exactly(version) => [Some(version.as_str()), None],
        VersionConstraint::Range(range) => [range.low(), range.high()],
    });
    let components = |version: &str| -> Vec<String> {
        version.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect()
    };
    let version = components(version);
    let common = |end: &str| version.iter().zip(components(end)).take_while(|(a, b)| **a == *b).count();
    ends.flatten().map(common).max().unwrap_or_default()
}
