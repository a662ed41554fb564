//! Choosing beside what was chosen before: for an environment of which a part is concrete.

use super::candidates::matching;
use super::fitness::Fitness;
use super::order::{Ranked, best_first};
use super::{Resolved, Sorted, Stock, Unify, unify};
use crate::error::Error;
use crate::explain;
use strata_spec::dag::{DependencyTypes, preorder};
use strata_spec::host::Host;
use strata_spec::{AbstractSpec, Catalog, DagHash, Lockfile, NodeSource};

/// What is to be chosen, beside what.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'r> {
    /// The specs to choose for.
    pub specs: &'r [AbstractSpec],
    /// Those that were chosen for.
    pub kept: &'r [Kept<'r>],
    /// The machine that the binaries are to run on; none if they are for whatever machine.
    pub host: Option<&'r Host>,
    /// How all of them relate to each other.
    pub unify: Unify,
}

/// A spec that a package was chosen for.
#[derive(Clone, Debug)]
pub struct Kept<'r> {
    /// The spec.
    pub spec: AbstractSpec,
    /// The package.
    pub hash: &'r DagHash,
    /// Where its nodes are.
    pub source: &'r Lockfile,
}

/// Chooses a concrete spec for each of `specs`, such that it goes with what is kept. What is kept is not judged: whether there
/// are binaries for it does not matter. The result has what was chosen, not what was kept.
///
/// # Errors
/// All specs that there is nothing for, each with the reasons; or the first two that do not go together.
pub fn resolve_beside(choices: &Choices<'_>, mut stock: Stock<'_>) -> Result<Resolved, Vec<Error>> {
    let refusal = stock.refusal();
    match choose(choices, &stock) {
        Err(errors) if errors.iter().any(|error| matches!(error, Error::NoBinary(_))) => {
            // With one mirror, its own words say the most.
            Err(refusal.map_or(errors, |refusal| vec![refusal]))
        }
        result => result,
    }
}

fn choose(choices: &Choices<'_>, stock: &Stock<'_>) -> Result<Resolved, Vec<Error>> {
    let fitness = Fitness::new(stock, choices.host);
    let mut missing = Vec::new();
    let mut ranked: Vec<Vec<Ranked<'_>>> = Vec::new();
    let before = if choices.unify == Unify::False { &[] } else { choices.kept };
    let catalogs: Vec<Catalog> = before.iter().map(catalog).collect::<Result<_, _>>().map_err(|e| vec![e])?;
    for (kept, catalog) in before.iter().zip(&catalogs) {
        let node = catalog.with_hash(kept.hash.as_str()).take(1).collect();
        ranked.push(best_first(node, &kept.spec, stock, choices.host));
    }
    for spec in choices.specs {
        let Sorted { usable, unclear, .. } = Sorted::new(spec, matching(stock, spec), &fitness);
        match unclear {
            Some(unclear) => missing.push(unclear.error(spec.to_string(), stock.place())),
            None if usable.is_empty() => {
                missing.push(Error::NoBinary(Box::new(explain::explain(spec, choices.host, stock))));
            }
            None => {}
        }
        ranked.push(best_first(usable, spec, stock, choices.host));
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let name = |at: usize| match before.get(at) {
        Some(kept) => kept.spec.to_string(),
        None => choices.specs.get(at - before.len()).map(ToString::to_string).unwrap_or_default(),
    };
    let conflict = |conflict: super::Conflict| {
        let kept = before.iter().map(|kept| kept.spec.to_string());
        let with_kept = kept.filter(|kept| conflict.specs.contains(kept)).count() > 0;
        vec![Error::EnvironmentConflict { conflict, with_kept }]
    };
    let positions = unify::choose(&ranked, choices.unify, &name).map_err(conflict)?;
    let mut resolved = Resolved::from(stock);
    let new = ranked.iter().zip(positions).skip(before.len());
    for (spec, (ranked, position)) in choices.specs.iter().zip(new) {
        resolved.choose(spec, ranked, position, stock).map_err(|error| vec![error])?;
    }
    Ok(resolved)
}

/// What is below something kept, arranged for questions.
fn catalog(kept: &Kept<'_>) -> Result<Catalog, Error> {
    let missing = || Error::BadRecord {
        package: kept.spec.to_string(),
        reason: format!("{} is not in the lockfile", kept.hash),
    };
    let root = kept.source.node(kept.hash).ok_or_else(missing)?;
    let nodes = preorder(kept.source, root, DependencyTypes::ALL)?;
    Ok(Catalog::of_nodes(nodes.into_iter().map(|node| (node, false))))
}
