//! From what the user asks for to concrete specs that a cache has, with no recipes and no concretizer.
//!
//! [`Stock::gather`] asks the mirrors what they have; the rest is a pure function of that. The candidates of all mirrors
//! compete: those are left out that are not what was asked for ([`matching`](strata_spec::matching)), then those that cannot
//! be used here ([`Obstacle`]); the best by [`Preference`] is taken, or with several specs the best that go together
//! ([`Unify`]). Where nothing is left, the error explains what was nearest ([`crate::explain`]).

mod beside;
mod by_tag;
pub(crate) mod candidates;
pub(crate) mod fitness;
mod mirror;
pub(crate) mod order;
mod providers;
mod resolved;
mod stock;
mod unclear;
mod unify;

pub use beside::{Choices, Kept, resolve_beside};
pub use fitness::Obstacle;
pub use mirror::Mirror;
pub use order::Preference;
pub(crate) use resolved::node;
pub use resolved::{Chosen, Resolved};
pub use stock::{Stock, Unasked};
pub(crate) use unclear::Sorted;
pub use unclear::Unclear;
pub use unify::{Conflict, Disagreement, Unify};

use crate::error::Error;
use crate::explain;
use candidates::matching;
use fitness::Fitness;
use order::{Ranked, best_first};
use strata_spec::AbstractSpec;
use strata_spec::host::Host;

/// What is asked for, and of which machine.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The specs.
    pub specs: &'r [AbstractSpec],
    /// The machine that the binaries are to run on; none if they are for whatever machine.
    pub host: Option<&'r Host>,
    /// How the specs relate to each other.
    pub unify: Unify,
}

/// Chooses a concrete spec for each spec of the request.
///
/// A mirror that could not be asked does not hide what the others have; but if they have nothing, the answer is not "there is
/// none".
pub fn resolve(request: &Request<'_>, mut stock: Stock<'_>) -> Result<Resolved, Error> {
    let refusal = stock.refusal();
    match choose(request, &stock) {
        Err(Error::NoBinary(_)) if refusal.is_some() => Err(refusal.unwrap_or(Error::Panicked)),
        result => result,
    }
}

fn choose(request: &Request<'_>, stock: &Stock<'_>) -> Result<Resolved, Error> {
    let fitness = Fitness::new(stock, request.host);
    let mut ranked: Vec<Vec<Ranked<'_>>> = Vec::with_capacity(request.specs.len());
    for spec in request.specs {
        let Sorted { usable, unclear, .. } = Sorted::new(spec, matching(stock, spec), &fitness);
        if let Some(unclear) = unclear {
            return Err(unclear.error(spec.to_string(), stock.place()));
        }
        if usable.is_empty() {
            return Err(Error::NoBinary(Box::new(explain::explain(spec, request.host, stock))));
        }
        ranked.push(best_first(usable, spec, stock, request.host));
    }
    let name = |spec: usize| request.specs[spec].to_string();
    let positions = unify::choose(&ranked, request.unify, &name).map_err(Error::Conflict)?;
    let mut resolved = Resolved::from(stock);
    for ((spec, ranked), position) in request.specs.iter().zip(&ranked).zip(positions) {
        resolved.choose(spec, ranked, position, stock)?;
    }
    Ok(resolved)
}
