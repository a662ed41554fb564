//! What the lists of a manifest mean: matrices made into specs, as Spack's `environment/list.py` makes them.

use crate::error::Error;
use strata_config::value::Origin;
use strata_config::{SpecText, UserSpec};
use strata_spec::AbstractSpec;

/// More combinations than anybody means.
const MAX_SPECS: usize = 100_000;

/// A spec that an environment wants.
#[derive(Clone, Debug)]
pub struct RequestedSpec {
    /// The spec.
    pub spec: AbstractSpec,
    /// Where it is written; of one out of a matrix, where the matrix is.
    pub origin: Origin,
}

impl RequestedSpec {
    /// The spec as Spack writes it, in lockfiles too.
    pub fn canonical(&self) -> String {
        self.spec.to_string()
    }
}

/// The specs of a list, in order. Matrices are expanded: their last row varies fastest.
///
/// # Errors
/// If what is written is no spec, or what is combined contradicts itself; with the line and column.
pub fn expand(list: &[UserSpec]) -> Result<Vec<RequestedSpec>, Error> {
    let mut specs = Vec::new();
    for item in list {
        match item {
            UserSpec::One(text) => {
                specs.push(RequestedSpec { spec: read(text)?, origin: text.origin.clone() })
            }
            UserSpec::Matrix { origin, .. } => {
                for parts in combinations(item)? {
                    specs.push(RequestedSpec { spec: joined(&parts, origin)?, origin: origin.clone() });
                }
            }
        }
        if specs.len() > MAX_SPECS {
            return Err(too_many(&specs[0].origin));
        }
    }
    Ok(specs)
}

/// Every combination of one item of each row; each is a list of specs that are to hold together.
fn combinations(item: &UserSpec) -> Result<Vec<Vec<AbstractSpec>>, Error> {
    let UserSpec::Matrix { rows, exclude, sigil, origin } = item else { return Ok(Vec::new()) };
    if rows.is_empty() {
        return Err(origin.invalid("this matrix has no rows").into());
    }
    let mut expanded = Vec::with_capacity(rows.len());
    for row in rows {
        let mut alternatives = Vec::new();
        for item in row {
            match item {
                UserSpec::One(text) => alternatives.push(read(text)?),
                UserSpec::Matrix { .. } => {
                    // Spack writes the parts one after the other and reads the text as one spec.
                    for parts in combinations(item)? {
                        let text = parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                        alternatives.push(read(&SpecText { text, origin: origin.clone() })?);
                    }
                }
            }
        }
        expanded.push(alternatives);
    }
    let count = expanded.iter().try_fold(1_usize, |count, row| count.checked_mul(row.len()));
    if count.is_none_or(|count| count > MAX_SPECS) {
        return Err(too_many(origin));
    }
    let excluded: Vec<AbstractSpec> = exclude.iter().map(read).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for combination in product(&expanded) {
        let mut parts: Vec<AbstractSpec> = combination.into_iter().cloned().collect();
        let whole = joined(&parts, origin)?;
        if excluded.iter().any(|excluded| whole.satisfies(excluded)) {
            continue;
        }
        if let (Some(sigil), Some(first)) = (sigil, parts.first_mut()) {
            *first = read(&SpecText { text: format!("{sigil}{first}"), origin: origin.clone() })?;
        }
        found.push(parts);
    }
    Ok(found)
}

/// Every choice of one item of each row.
fn product<T>(rows: &[Vec<T>]) -> Vec<Vec<&T>> {
    let mut choices: Vec<Vec<&T>> = vec![Vec::new()];
    for row in rows {
        let mut longer = Vec::with_capacity(choices.len() * row.len());
        for choice in &choices {
            longer.extend(row.iter().map(|item| [choice.as_slice(), &[item]].concat()));
        }
        choices = longer;
    }
    choices
}

/// One spec that asks for what all of them ask for.
fn joined(parts: &[AbstractSpec], origin: &Origin) -> Result<AbstractSpec, Error> {
    let mut parts = parts.iter();
    let mut spec = parts.next().cloned().unwrap_or_default();
    for part in parts {
        let before = spec.to_string();
        spec.constrain(part).map_err(|reason| {
            origin.invalid(format!("`{before}` and `{part}` do not go together: {reason}"))
        })?;
    }
    Ok(spec)
}

fn read(SpecText { text, origin }: &SpecText) -> Result<AbstractSpec, Error> {
    text.parse().map_err(|error| origin.invalid(format!("cannot read spec `{text}`: {error}")).into())
}

fn too_many(origin: &Origin) -> Error {
    origin.invalid(format!("this makes more than {MAX_SPECS} specs")).into()
}
