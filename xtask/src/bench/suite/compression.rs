//! zstd instead of gzip, for caches of which all readers know it.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, Quantity, Reading, Row};
use super::install::install;
use super::push::layer_bytes;
use super::surroundings::Surroundings;

pub(super) const CASES: [Case; 2] = [
    Case { name: "compression_push", prepare: push },
    Case { name: "compression_install", prepare: install_each },
];

const GZIP: &str = "gzip";
/// With what gzip is compared.
const METHODS: [&str; 4] = ["zstd:1", "zstd:3", "zstd:9", "none"];

/// Fails where there is nothing to choose from.
fn check(around: &Surroundings) -> Outcome<()> {
    if around.knows(&["buildcache", "push"], "--compression")? {
        return Ok(());
    }
    Err("not available: this strata has no push --compression".into())
}

/// Each with gzip as 1.
fn rows(what: &str, quantity: Quantity) -> impl Iterator<Item = Row> {
    METHODS
        .map(|method| Row::clock(&format!("{what}, {method}"), GZIP, Aim::Known).of(method).by(quantity))
        .into_iter()
}

fn methods() -> impl Iterator<Item = &'static str> {
    std::iter::once(GZIP).chain(METHODS)
}

fn push(around: &Surroundings) -> Outcome<Contest<'_>> {
    check(around)?;
    let contestants = methods().map(|method| {
        Contestant::new(method, move |_| {
            let url = format!("oci+http://{}/cache", around.registry()?);
            let mut command = around.strata_push(&around.fresh("cache"), &around.store, &url);
            let sample = around.time(command.args(["--compression", method]))?;
            Ok(Reading::from(sample).with(Quantity::Bytes, layer_bytes(&url)?))
        })
    });
    let what = "push";
    let rows = rows(what, Quantity::Seconds)
        .chain(rows(what, Quantity::ProcessorMs))
        .chain(rows(what, Quantity::Bytes));
    Ok(Contest { contestants: contestants.collect(), rows: rows.collect(), once: false })
}

fn install_each(around: &Surroundings) -> Outcome<Contest<'_>> {
    check(around)?;
    let mut contestants = Vec::new();
    for method in methods() {
        let url = format!("oci+http://{}/cache", around.registry()?);
        let mut command = around.strata_push(&around.fresh("cache"), &around.store, &url);
        command.args(["--compression", method]);
        around.prepare(command)?;
        contestants.push(Contestant::new(method, move |_| {
            let specs = around.store.specs();
            let command = install(around, &around.fresh("cache"), &around.fresh("store"), &url, &specs);
            Ok(around.time(&command)?.into())
        }));
    }
    let what = "install from a registry";
    let rows = rows(what, Quantity::Seconds).chain(rows(what, Quantity::ProcessorMs));
    Ok(Contest { contestants, rows: rows.collect(), once: false })
}
