//! Several specs at once: choosing for each so that all of them use the same packages.
//!
//! Specs go together if no package name stands for two different packages in what they need at run time. Externals and the
//! run-time libraries of compilers are allowed more than once, as in Spack. Of all ways, the one taken has the best possible
//! candidate for the first spec, then the best for the second that goes with it, and so on: the solver only says whether a
//! selection exists, so that the answer does not depend on how it searches.

mod solver;

use super::order::Ranked;
use solver::Problem;
use std::collections::BTreeMap;
use std::fmt;

/// How several specs that are asked for at once relate to each other: Spack's `concretizer:unify`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unify {
    /// All of them use the same packages, or it is an error. As on Spack's command line.
    #[default]
    True,
    /// As many as possible use the same packages, then as many as possible of the rest, and so on.
    WhenPossible,
    /// Each is looked at alone.
    False,
}

/// Specs that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What was asked for.
    pub specs: Vec<String>,
    /// Packages of which their best candidates need different ones: name, and for each of two specs what it needs.
    pub packages: Vec<Disagreement>,
}

/// A package of which two specs need different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// For each spec, the label of the package that it needs.
    pub needs: [String; 2],
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let specs: Vec<String> = self.specs.iter().map(|spec| format!("`{spec}`")).collect();
        write!(f, "no binaries of {} go together", specs.join(" and "))?;
        let shown = self.packages.iter().take(SHOWN);
        for Disagreement { needs: [one, other] } in shown {
            write!(f, "\n  the first needs {one}, the second {other}")?;
        }
        match self.packages.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more differ"),
        }
    }
}

/// How many disagreements a message lists.
const SHOWN: usize = 5;

/// For each spec the position of the candidate chosen among `ranked`, which has at least one for each, best first.
pub(super) fn choose(
    ranked: &[Vec<Ranked<'_>>],
    unify: Unify,
    names: &dyn Fn(usize) -> String,
) -> Result<Vec<usize>, Conflict> {
    let alone = vec![0; ranked.len()];
    if ranked.len() < 2 || unify == Unify::False {
        return Ok(alone);
    }
    let problem = Problem::new(ranked);
    let all: Vec<usize> = (0..ranked.len()).collect();
    if let Some(chosen) = problem.best(&all) {
        return Ok(chosen);
    }
    if unify == Unify::True {
        return Err(conflict(ranked, &problem, names));
    }
    let (mut chosen, mut left) = (alone, all);
    while !left.is_empty() {
        let mut round: Vec<usize> = Vec::new();
        for root in &left {
            round.push(*root);
            if round.len() > 1 && !problem.is_solvable(&round) {
                round.pop();
            }
        }
        // One alone always is: a concrete spec is what it is.
        if let Some(best) = problem.best(&round) {
            for (root, position) in round.iter().zip(best) {
                chosen[*root] = position;
            }
        }
        left.retain(|root| !round.contains(root));
    }
    Ok(chosen)
}

/// The smallest reason that is found easily: two specs that do not go together, or else all.
fn conflict(ranked: &[Vec<Ranked<'_>>], problem: &Problem, names: &dyn Fn(usize) -> String) -> Conflict {
    let pairs = (0..ranked.len()).flat_map(|i| (i + 1..ranked.len()).map(move |j| (i, j)));
    match pairs.into_iter().find(|(i, j)| !problem.is_solvable(&[*i, *j])) {
        Some((i, j)) => Conflict {
            specs: vec![names(i), names(j)],
            packages: disagreements(&ranked[i][0], &ranked[j][0]),
        },
        None => Conflict { specs: (0..ranked.len()).map(names).collect(), packages: Vec::new() },
    }
}

fn disagreements(one: &Ranked<'_>, other: &Ranked<'_>) -> Vec<Disagreement> {
    let by_name = |ranked: &Ranked<'_>| {
        let nodes = solver::unified(ranked.node).into_iter();
        nodes.map(|node| (node.name().to_owned(), (node.hash().to_owned(), node.label()))).collect()
    };
    let (one, other): (BTreeMap<String, _>, BTreeMap<String, _>) = (by_name(one), by_name(other));
    let both = one.into_iter().filter_map(|(name, mine)| Some((mine, other.get(&name)?.clone())));
    both.filter(|(mine, theirs)| mine.0 != theirs.0)
        .map(|(mine, theirs)| Disagreement { needs: [mine.1, theirs.1] })
        .collect()
}
