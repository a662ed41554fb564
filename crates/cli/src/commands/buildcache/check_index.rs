//! `strata buildcache check-index`.

use super::write_findings;
use crate::args::buildcache::{CheckIndex, Verify};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::check_index::{self as operation, Findings, Hashes, Scope};
use strata_ops::mirror::Direction;

/// Compares the index of a cache with what the cache has.
pub(crate) fn check_index(
    args: &CheckIndex,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let asked = |what| args.verify.contains(&what) || args.verify.contains(&Verify::All);
    let scope = Scope {
        manifests: asked(Verify::Manifests),
        blobs: asked(Verify::Blobs),
        hashes: asked(Verify::Hashes),
    };
    let repository = Registries::new(settings, console)?.open(&args.mirror, Direction::Fetch)?;
    let findings = operation::check_index(&*repository, scope, settings.cores, &**console)?;
    let mut outcome = Outcome::new(text(&findings), &findings)?;
    if let Some(file) = &args.output {
        write_findings(file, &outcome.result)?;
    }
    outcome.fail(findings.errors.into_iter().map(Diagnosis::from).collect(), true);
    Ok(outcome)
}

fn text(findings: &Findings) -> String {
    let mut text = format!("index: {}\n", if findings.exists { "there" } else { "none that can be read" });
    if let Some(manifests) = &findings.manifests {
        writeln!(text, "in the cache, not in the index: {}", manifests.unindexed.len()).ok();
        writeln!(text, "in the index, not in the cache: {}", manifests.missing.len()).ok();
        for bad in &manifests.bad_tags {
            writeln!(text, "no package: {}: {}", bad.tag, bad.reason).ok();
        }
    }
    if let Some(blobs) = &findings.blobs {
        writeln!(text, "packages that are not whole: {}", blobs.missing.len()).ok();
    }
    if let Some(Hashes { right, wrong, unknowable }) = &findings.hashes {
        let all = right + wrong.len() + unknowable;
        writeln!(text, "specs with another hash than their own: {} of {all}", wrong.len()).ok();
        if *unknowable > 0 {
            let why = "first written by Spack before 1.0";
            writeln!(text, "specs whose hash cannot be told: {unknowable} of {all}, {why}").ok();
        }
    }
    text
}
