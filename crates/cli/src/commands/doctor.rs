//! `strata doctor`: what a registry, and the credentials for it, can do.

use crate::args::Doctor;
use crate::diagnosis::{self, Diagnosis};
use crate::output::Outcome;
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use strata_oci::{Check, ErrorKind, Outcome as Found};
use strata_ops::mirror::Direction;

/// What it takes to read packages.
const NEEDED: [&str; 5] = ["reach", "tls", "api", "authentication", "pull"];

/// One line for each check, and one below it with what to do.
pub(crate) fn doctor(
    args: &Doctor,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let registries = Registries::new(settings, console)?;
    // Whoever may push is asked for more than whoever may only fetch: those are the credentials to look at.
    let (url, credentials) = match registries.locate(&args.mirror, Direction::Push) {
        Ok(found) => found,
        Err(error) => registries.locate(&args.mirror, Direction::Fetch).map_err(|_| error)?,
    };
    let probe = strata_oci::probe(&url, registries.transport(), credentials);
    let mut text = format!("{url}\n");
    let width = probe.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in &probe.checks {
        writeln!(text, "{:7} {:width$}  {}", word(check.outcome), check.name, check.detail).ok();
        if let Some(hint) = &check.hint {
            writeln!(text, "{:7} {:width$}  hint: {hint}", "", "").ok();
        }
    }
    let mut outcome = Outcome::new(text, &json!({"url": url, "checks": probe.checks}))?;
    outcome.exit_code = exit_code(&probe.checks);
    Ok(outcome)
}

fn word(outcome: Found) -> &'static str {
    match outcome {
        Found::Yes => "ok",
        Found::No => "no",
        Found::Unknown => "?",
        Found::Failed => "FAILED",
    }
}

/// Whether packages can be read from there: what does not work beyond that may be meant not to.
fn exit_code(checks: &[Check]) -> u8 {
    let broken =
        checks.iter().filter(|check| NEEDED.contains(&check.name)).find(|check| match check.outcome {
            Found::Failed => true,
            // Plain http is spoken where the URL says so.
            Found::No => check.name != "tls",
            Found::Yes | Found::Unknown => false,
        });
    let Some(check) = broken else { return 0 };
    diagnosis::code_of(check.kind.unwrap_or(match check.name {
        "authentication" | "pull" => ErrorKind::Denied,
        _ => ErrorKind::Unreachable,
    }))
}
