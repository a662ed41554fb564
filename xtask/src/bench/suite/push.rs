//! Pushing the store of real packages: cold, with nothing to do, and after it was installed from a cache.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, FLOOR, Quantity, Reading, Row, SPACK, STRATA};
use super::store::Store;
use super::surroundings::Surroundings;
use super::{floors, traced};
use std::path::Path;
use std::process::Command;
use strata_oci::{ManifestRef, Transport, image_manifest, open};

pub(super) const CASES: [Case; 3] = [
    Case { name: "push_cold", prepare: cold },
    Case { name: "push_nothing", prepare: nothing },
    Case { name: "push_again", prepare: again },
];

const SCRIPT: &str = "tar, pigz, curl";

fn cold(around: &Surroundings) -> Outcome<Contest<'_>> {
    let store = &around.store;
    let strata = move |_| {
        let url = format!("oci+http://{}/strata", around.registry()?);
        let sample = around.time(&around.strata_push(&around.fresh("cache"), store, &url))?;
        Ok(Reading::from(sample).with(Quantity::Bytes, layer_bytes(&url)?))
    };
    let script = move |_| {
        let registry = format!("http://{}", around.registry()?);
        let mut command = Command::new("bash");
        command.args(["-c", include_str!("push.sh"), "push.sh", &registry, "script"]);
        command.arg(around.directory("script")?).args(store.prefixes());
        Ok(around.time(&command)?.into())
    };
    let floor = move |_| Ok(around.time(&floors::pack(around, &store.prefixes()))?.into());
    let mut contestants =
        vec![Contestant::new(STRATA, strata), Contestant::new(SCRIPT, script), Contestant::new(FLOOR, floor)];
    if around.options.spack.is_some() {
        let scope = around.spack_scope(&store.root, None)?;
        contestants.push(Contestant::new(SPACK, move |_| {
            let url = format!("oci+http://{}/spack", around.registry()?);
            let sample = around.time(&spack_push(around, &scope, store, &url)?)?;
            Ok(Reading::from(sample).with(Quantity::Bytes, layer_bytes(&url)?))
        }));
    }
    let what = format!("push of {} packages, cold", store.packages.len());
    let rows = vec![
        Row::clock(&what, SPACK, Aim::Times(8.0)),
        Row::clock(&what, SPACK, Aim::Within(1.0)).by(Quantity::Bytes),
        Row::clock(&what, SCRIPT, Aim::Times(1.0)),
        Row::clock(&what, FLOOR, Aim::Within(1.25)),
        Row::alone(&what, Quantity::PeakMib, Aim::AtMost(256.0)),
    ];
    Ok(Contest { contestants, rows, once: false })
}

fn nothing(around: &Surroundings) -> Outcome<Contest<'_>> {
    let store = &around.store;
    let url = format!("oci+http://{}/strata", around.registry()?);
    let cache = around.fresh("cache");
    around.prepare(around.strata_push(&cache, store, &url))?;
    let command = around.strata_push(&cache, store, &url);
    let mut contestants = vec![Contestant::new(STRATA, move |_| Ok(around.time(&command)?.into()))];
    if around.options.spack.is_some() {
        let url = format!("oci+http://{}/spack", around.registry()?);
        let scope = around.spack_scope(&store.root, None)?;
        let command = spack_push(around, &scope, store, &url)?;
        // The first of its rounds, which is the warm-up, fills the cache.
        contestants.push(Contestant::new(SPACK, move |_| Ok(around.time(&command)?.into())));
    }
    let rows = vec![Row::clock("push, nothing to do", SPACK, Aim::Times(30.0))];
    Ok(Contest { contestants, rows, once: false })
}

/// Everything is installed from one cache and pushed into another registry, which has nothing.
fn again(around: &Surroundings) -> Outcome<Contest<'_>> {
    let url = format!("oci+http://{}/first", around.registry()?);
    let (root, cache) = (around.fresh("installed"), around.fresh("cache"));
    around.prepare(around.strata_push(&cache, &around.store, &url))?;
    let mut install = around.strata(&cache, &root);
    install.args(["install", "--mirror", &url]).args(around.store.specs());
    around.prepare(install)?;
    let store = Store::read(&root)?;
    let scope = around.spack_scope(&store.root, None)?;
    let root = store.root.clone();
    let strata = move |_| {
        let url = format!("oci+http://{}/second", around.registry()?);
        let push = around.strata_push(&cache, &store, &url);
        let opened = traced::files_opened(around, &push, &store.prefixes())?;
        let url = format!("oci+http://{}/third", around.registry()?);
        let sample = around.time(&around.strata_push(&cache, &store, &url))?;
        Ok(Reading::from(sample).with(Quantity::Opened, opened as f64))
    };
    let mut contestants = vec![Contestant::new(STRATA, strata)];
    if around.options.spack.is_some() {
        let store = Store::read(&root)?;
        contestants.push(Contestant::new(SPACK, move |_| {
            let url = format!("oci+http://{}/spack", around.registry()?);
            Ok(around.time(&spack_push(around, &scope, &store, &url)?)?.into())
        }));
    }
    let what = "push of what was installed from a cache, to another registry";
    let rows =
        vec![Row::alone(what, Quantity::Opened, Aim::AtMost(0.0)), Row::clock(what, SPACK, Aim::Known)];
    Ok(Contest { contestants, rows, once: false })
}

/// Spack's push of the same. Without what packages were built with, which is not installed.
pub(super) fn spack_push(around: &Surroundings, scope: &Path, store: &Store, url: &str) -> Outcome<Command> {
    let mut command = around.spack(scope).ok_or("no --spack")?;
    command.args(["buildcache", "push", "--unsigned", "--without-build-dependencies", "--update-index", url]);
    command.args(store.specs());
    Ok(command)
}

/// The sizes of all layers in a cache, each counted once.
pub(super) fn layer_bytes(url: &str) -> Outcome<f64> {
    let repository = open(&url.parse()?, &Transport::default(), None)?;
    let mut layers = std::collections::HashMap::new();
    for tag in repository.tags()?.iter().filter(|tag| *tag != "index.spack") {
        let found = image_manifest(&*repository, &ManifestRef::Tag(tag.parse()?))?;
        let (_, manifest) = found.ok_or_else(|| format!("no {tag}"))?;
        layers.extend(manifest.layers.iter().map(|layer| (layer.digest, layer.size)));
    }
    Ok(layers.values().sum::<u64>() as f64)
}
