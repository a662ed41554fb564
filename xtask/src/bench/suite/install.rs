//! Installing the real packages: out of a registry, out of the local cache, one large one alone, and flushed to disk.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, FLOOR, Quantity, Reading, Row, SPACK, STRATA};
use super::floors;
use super::surroundings::Surroundings;
use std::path::Path;
use std::process::Command;

pub(super) const CASES: [Case; 4] = [
    Case { name: "install_registry", prepare: from_registry },
    Case { name: "install_cached", prepare: from_cache },
    Case { name: "install_python", prepare: python },
    Case { name: "install_fsync", prepare: flushed },
];

const TAR: &str = "pigz, tar";
const NO_FSYNC: &str = "no --fsync";
const PYTHON: &str = "python";

/// Installs the specs from the cache.
pub(super) fn install(
    around: &Surroundings,
    cache: &Path,
    root: &Path,
    url: &str,
    specs: &[String],
) -> Command {
    let mut command = around.strata(cache, root);
    command.args(["install", "--mirror", url]).args(specs);
    command
}

/// The same by Spack.
pub(super) fn spack_install(around: &Surroundings, scope: &Path, specs: &[String]) -> Outcome<Command> {
    let mut command = around.spack(scope).ok_or("no --spack")?;
    command.args(["install", "--cache-only", "--no-check-signature"]).args(specs);
    Ok(command)
}

/// Puts the whole store into a registry with TLS, and gives its URL.
pub(super) fn filled(around: &Surroundings) -> Outcome<String> {
    let url = format!("oci://{}/cache", around.tls_registry()?);
    around.prepare(around.strata_push(&around.fresh("cache"), &around.store, &url))?;
    Ok(url)
}

fn from_registry(around: &Surroundings) -> Outcome<Contest<'_>> {
    let url = filled(around)?;
    let specs = around.store.specs();
    let layers = floors::layers(around, &around.store)?;
    let mut contestants = Vec::new();
    {
        let (url, specs) = (url.clone(), specs.clone());
        contestants.push(Contestant::new(STRATA, move |_| {
            let command = install(around, &around.fresh("cache"), &around.fresh("store"), &url, &specs);
            Ok(around.time(&command)?.into())
        }));
    }
    contestants.push(Contestant::new(FLOOR, move |_| {
        let command = floors::install(around, &layers, &around.store.prefixes())?;
        Ok(around.time(&command)?.into())
    }));
    if around.options.spack.is_some() {
        contestants.push(Contestant::new(SPACK, move |_| {
            let scope = around.spack_scope(&around.fresh("spack-store"), Some(&url))?;
            Ok(around.time(&spack_install(around, &scope, &specs)?)?.into())
        }));
    }
    let what = format!("install of {} packages from a registry", around.store.packages.len());
    let rows = vec![
        Row::clock(&what, SPACK, Aim::Times(8.0)),
        Row::clock(&what, FLOOR, Aim::Within(1.5)),
        Row::alone(&what, Quantity::PeakMib, Aim::AtMost(256.0)),
    ];
    Ok(Contest { contestants, rows, once: false })
}

fn from_cache(around: &Surroundings) -> Outcome<Contest<'_>> {
    let url = filled(around)?;
    let specs = around.store.specs();
    let layers = floors::layers(around, &around.store)?;
    let cache = around.fresh("cache");
    // The warm-up leaves all blobs in the cache.
    let strata = move |_| {
        let command = install(around, &cache, &around.fresh("store"), &url, &specs);
        Ok(around.time(&command)?.into())
    };
    let tar = move |_| Ok(around.time(&floors::tar(around, &layers)?)?.into());
    let what = format!("install of {} packages, blobs in the local cache", around.store.packages.len());
    let rows = vec![Row::clock(&what, TAR, Aim::Times(1.0))];
    let contestants = vec![Contestant::new(STRATA, strata), Contestant::new(TAR, tar)];
    Ok(Contest { contestants, rows, once: false })
}

/// python alone: what it needs is there before the clock starts.
fn python(around: &Surroundings) -> Outcome<Contest<'_>> {
    let url = filled(around)?;
    let python = around.store.package(PYTHON)?;
    let specs = [python.spec()];
    let mut layers = floors::layers(around, &around.store)?;
    let at = around.store.packages.iter().position(|package| package.name == PYTHON).unwrap_or_default();
    let layer = [layers.swap_remove(at)];
    let strata = move |_| {
        let (cache, root) = (around.fresh("cache"), around.fresh("store"));
        let mut needed = install(around, &cache, &root, &url, &specs);
        around.prepare(only(&mut needed, "dependencies"))?;
        let mut command = install(around, &cache, &root, &url, &specs);
        Ok(around.time(&only(&mut command, "package"))?.into())
    };
    let floor = move |_| {
        let command = floors::install(around, &layer, &[&python.prefix])?;
        Ok(around.time(&command)?.into())
    };
    let rows = vec![Row::clock("install of python alone, from a registry", FLOOR, Aim::Within(1.5))];
    let contestants = vec![Contestant::new(STRATA, strata), Contestant::new(FLOOR, floor)];
    Ok(Contest { contestants, rows, once: false })
}

fn only(command: &mut Command, which: &str) -> Command {
    command.args(["--only", which]);
    std::mem::replace(command, Command::new("true"))
}

/// What it costs that everything is on the disk before the database names it.
fn flushed(around: &Surroundings) -> Outcome<Contest<'_>> {
    if !around.knows(&["install"], "--fsync")? {
        return Err("not available: this strata has no install --fsync".into());
    }
    let url = filled(around)?;
    let cache = around.fresh("cache");
    let specs = around.store.specs();
    let run = |options: &'static [&'static str]| {
        let (url, cache, specs) = (url.clone(), cache.clone(), specs.clone());
        move |_| -> Outcome<Reading> {
            let mut command = install(around, &cache, &around.fresh("store"), &url, &specs);
            Ok(around.time(command.args(options))?.into())
        }
    };
    let contestants = vec![Contestant::new(STRATA, run(&["--fsync"])), Contestant::new(NO_FSYNC, run(&[]))];
    let rows = vec![Row::clock("install --fsync, blobs in the local cache", NO_FSYNC, Aim::Known)];
    Ok(Contest { contestants, rows, once: false })
}
