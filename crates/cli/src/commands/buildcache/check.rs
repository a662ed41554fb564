//! `strata buildcache check`.

use super::write_findings;
use crate::args::buildcache::Check;
use crate::commands::{installed, specs};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::Error;
use strata_ops::check::{self as operation, Checked};
use strata_store::Installed;

/// Says whether packages are in caches. It ends with 0 if every mirror has all of them.
pub(crate) fn check(args: &Check, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let specs = specs(&args.specs)?;
    // Without a store, specs are about what the mirrors have.
    let installed = match installed(settings, console) {
        Ok((_, installed)) => installed,
        Err(_) if !specs.is_empty() && !settings.place()?.is_named => Installed::default(),
        Err(error) => return Err(error),
    };
    let mirrors = Registries::new(settings, console)?.readable(&args.mirror)?;
    let checked = operation::check(
        &specs,
        installed.database(),
        &mirrors,
        settings.kept_indexes().as_deref(),
        &**console,
    )?;
    if let Some(file) = &args.output_file {
        write_findings(file, &to_rebuild(&checked))?;
    }
    let mut text = String::new();
    let mut rows = Vec::new();
    for Checked { mirror, package, error, .. } in &checked {
        let state = match error {
            None => "is there",
            Some(Error::NotCached { .. }) => "missing ",
            Some(_) => "broken  ",
        };
        writeln!(text, "{state} {} in {mirror}", package.label).ok();
        rows.push(json!({
            "package": package, "mirror": mirror, "ok": error.is_none(),
            "error": error.as_ref().map(|error| strata_ops::error::chain(error)),
        }));
    }
    let fine = checked.iter().filter(|checked| checked.error.is_none()).count();
    let all = match mirrors.len() {
        1 => packages(checked.len()),
        several => format!("{} in {several} mirrors", packages(checked.len() / several)),
    };
    writeln!(text, "{all}: {fine} there, {} missing or broken", checked.len() - fine).ok();
    let mut outcome = Outcome::new(text, &json!({"checked": rows}))?;
    let failures = checked
        .iter()
        .filter_map(|c| Some(Diagnosis::of_package(c.package.label.clone(), c.error.as_ref()?)));
    outcome.fail(failures.collect(), fine == 0);
    Ok(outcome)
}

/// What has to be built again, by URL, as Spack writes it.
fn to_rebuild(checked: &[Checked]) -> Value {
    let mut mirrors = Map::new();
    for Checked { mirror, url, package, error } in checked {
        if error.is_some() {
            let of_mirror = mirrors
                .entry(url.clone())
                .or_insert_with(|| json!({"mirrorName": mirror, "mirrorUrl": url, "rebuildSpecs": []}));
            if let Some(specs) = of_mirror["rebuildSpecs"].as_array_mut() {
                specs.push(json!({"short_spec": package.label, "hash": package.hash}));
            }
        }
    }
    Value::Object(mirrors)
}
