//! One package of 2 GB: all cores have to be busy with it, and memory must not grow with it.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, FLOOR, Quantity, Row, STRATA};
use super::floors;
use super::install::install;
use super::store::Store;
use super::surroundings::{Surroundings, hollow_out};
use strata_testkit::sample_store::{SampleStore, Shape};

pub(super) const CASES: [Case; 2] =
    [Case { name: "large_push", prepare: push }, Case { name: "large_install", prepare: install_large }];

const MEMORY: Aim = Aim::AtMost(256.0);

/// The store with the package, and how it is called in the table.
fn store(around: &Surroundings) -> Outcome<(Store, String)> {
    let megabytes = around.size(2000, 200);
    let shape = Shape { packages: 1, files: 1000, bytes: megabytes as u64 * 1_000_000 };
    let root = around.fresh("large");
    SampleStore::build_shaped(&root, 128, shape)?;
    Ok((Store::read(&root)?, format!("one package of {megabytes} MB")))
}

fn push(around: &Surroundings) -> Outcome<Contest<'_>> {
    let (store, name) = store(around)?;
    let floor = floors::pack(around, &store.prefixes());
    let strata = move |_| {
        let url = format!("oci+http://{}/large", around.registry()?);
        Ok(around.time(&around.strata_push(&around.fresh("cache"), &store, &url))?.into())
    };
    let floor = move |_| Ok(around.time(&floor)?.into());
    let what = format!("push of {name}");
    let rows =
        vec![Row::clock(&what, FLOOR, Aim::Within(1.25)), Row::alone(&what, Quantity::PeakMib, MEMORY)];
    let contestants = vec![Contestant::new(STRATA, strata), Contestant::new(FLOOR, floor)];
    Ok(Contest { contestants, rows, once: false })
}

fn install_large(around: &Surroundings) -> Outcome<Contest<'_>> {
    let (store, name) = store(around)?;
    let layers = floors::layers(around, &store)?;
    let url = format!("oci+http://{}/large", around.registry()?);
    around.prepare(around.strata_push(&around.fresh("cache"), &store, &url))?;
    let specs = store.specs();
    let strata = move |_| {
        let (cache, root) = (around.fresh("cache"), around.fresh("store"));
        let sample = around.time(&install(around, &cache, &root, &url, &specs))?;
        hollow_out(&root)?;
        hollow_out(&cache)?;
        Ok(sample.into())
    };
    let floor = move |_| {
        let command = floors::install(around, &layers, &store.prefixes())?;
        Ok(around.time(&command)?.into())
    };
    let what = format!("install of {name}");
    let rows = vec![Row::clock(&what, FLOOR, Aim::Within(1.5)), Row::alone(&what, Quantity::PeakMib, MEMORY)];
    let contestants = vec![Contestant::new(STRATA, strata), Contestant::new(FLOOR, floor)];
    Ok(Contest { contestants, rows, once: false })
}
