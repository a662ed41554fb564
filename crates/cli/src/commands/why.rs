//! `strata why`.

use super::resolving::{Resolving, recorded};
use crate::args;
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::Error;
use strata_ops::explain::{Explanation, explain};

/// Says why there are binaries for specs, or why there are none.
///
/// The answer is the same whether there is a binary or not, and goes to standard output; how the process ends tells which.
pub(crate) fn why(
    args: &args::Why,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let resolving = Resolving::new(&args.specs, &args.from, settings, console)?;
    let installed = recorded(settings, console)?;
    let database = installed.database();
    let mut stock = resolving.stock(database, console)?;
    let explanations: Vec<Explanation> =
        resolving.specs.iter().map(|spec| explain(spec, resolving.host.as_ref(), &stock)).collect();
    let mut text = String::new();
    for explanation in &explanations {
        writeln!(text, "{explanation}").ok();
        for advice in &explanation.advice {
            writeln!(text, "hint: {advice}").ok();
        }
    }
    let mut outcome = Outcome::new(text, &json!({"explanations": explanations}))?;
    let missing = explanations.iter().filter(|explanation| explanation.chosen.is_none());
    let miss = |explanation: &Explanation| match &explanation.unclear {
        Some(unclear) => unclear.clone().error(explanation.spec.clone(), explanation.mirrors.join(", ")),
        // What the only mirror said says more than that it could not be asked.
        None => stock.refusal().unwrap_or_else(|| Error::NoBinary(Box::new(explanation.clone()))),
    };
    let misses: Vec<Diagnosis> = missing.map(miss).map(Into::into).collect();
    let all_missed = misses.len() == explanations.len();
    outcome.miss(misses, all_missed);
    Ok(outcome)
}
