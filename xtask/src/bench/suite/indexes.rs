//! `update-index` of large caches: from nothing, and with one new package.
//!
//! Spack begins from nothing each time, so there is one figure of it.

use super::super::Outcome;
use super::super::generate;
use super::super::served::Served;
use super::case::{Aim, Case, Contest, Contestant, Row, SPACK, STRATA};
use super::filled_layout::FilledLayout;
use super::surroundings::Surroundings;
use std::ffi::OsStr;
use std::path::Path;
use std::rc::Rc;

pub(super) const CASES: [Case; 2] = [
    Case { name: "update_index_thousand", prepare: |around| update(around, around.size(1_000, 200)) },
    Case { name: "update_index_ten_thousand", prepare: |around| update(around, around.size(10_000, 500)) },
];

const ONE_NEW: &str = "strata, one new";

fn update(around: &Surroundings, specs: usize) -> Outcome<Contest<'_>> {
    let served = around.directory("served")?;
    let layout = Rc::new(FilledLayout::write(&served.join("cache"), &generate::index_of(specs)?)?);
    let packages = layout.len();
    layout.set_tags(packages - 1, &[])?;
    let server = Rc::new(serve(around, &served)?);
    let url = format!("oci://127.0.0.1:{}/cache", server.port);
    let update = |cache: &Path| {
        let mut command = around.strata(cache, &around.fresh("store"));
        command.args(["buildcache", "update-index", &url]);
        command
    };
    let cache = around.fresh("cache");
    let again = update(&cache);
    around.prepare(update(&cache))?;
    let present = layout.index_entry()?;
    let (first, second, third) = (Rc::clone(&layout), Rc::clone(&layout), layout);
    let (serving, url) = (Rc::clone(&server), url.clone());
    let from_nothing = move |_| {
        first.set_tags(packages, &[])?;
        let url = format!("oci://127.0.0.1:{}/cache", serving.port);
        let mut command = around.strata(&around.fresh("cache"), &around.fresh("store"));
        command.args(["buildcache", "update-index", &url]);
        Ok(around.time(&command)?.into())
    };
    let one_new = move |_| {
        second.set_tags(packages, std::slice::from_ref(&present))?;
        Ok(around.time(&again)?.into())
    };
    let mut contestants = vec![Contestant::new(STRATA, from_nothing), Contestant::new(ONE_NEW, one_new)];
    if around.options.spack.is_some() {
        let scope = around.spack_scope(&around.fresh("spack-store"), None)?;
        contestants.push(Contestant::new(SPACK, move |_| {
            third.set_tags(packages, &[])?;
            let mut command = around.spack(&scope).ok_or("no --spack")?;
            command.args(["buildcache", "update-index", &url]);
            Ok(around.time(&command)?.into())
        }));
    }
    let rows = vec![
        Row::clock(&format!("update-index of {packages} specs, from nothing"), SPACK, Aim::Times(10.0)),
        Row::clock(&format!("update-index of {packages} specs, one of them new"), SPACK, Aim::Times(100.0))
            .of(ONE_NEW),
    ];
    Ok(Contest { contestants, rows, once: false })
}

/// `strata serve` behind TLS.
pub(super) fn serve(around: &Surroundings, directory: &Path) -> Outcome<Served> {
    let identity = around.authority.server();
    let certificate = ["--tls-cert".as_ref(), identity.certificate.as_os_str()];
    let key = ["--tls-key".as_ref(), identity.key.as_os_str()];
    let options: Vec<&OsStr> = [certificate, key].concat();
    Served::start(&around.strata, directory, &options)
}
