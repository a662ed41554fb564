//! `cargo xtask bench image --store ROOT [--spack PATH] [--rounds N]`: an image of python and vim from a cache that has
//! them, in a docker-registry on loopback.
//!
//! `strata image build` knows the cache alone, with nothing kept and with what the round before kept; `buildcache push --tag`
//! has everything installed as well, and is measured for strata and, with `--spack`, for the Spack whose store it is. Each
//! round asks all of them, beginning with another one. Every image has a tag of its own, and nothing has a base.

use super::Outcome;
use super::counted::{Counted, Traffic};
use super::statistics::median;
use super::timed::{Sample, timed};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_oci::{ManifestRef, Transport, image_manifest, open};

/// What the images are of.
const ROOTS: [&str; 2] = ["python", "vim"];

struct Arguments {
    store: PathBuf,
    spack: Option<PathBuf>,
    rounds: usize,
}

impl Arguments {
    fn read(mut words: &[&str]) -> Outcome<Self> {
        let (mut store, mut spack, mut rounds) = (None, None, 5);
        loop {
            words = match words {
                [] => break,
                ["--store", path, rest @ ..] => {
                    store = Some(path.into());
                    rest
                }
                ["--spack", path, rest @ ..] => {
                    spack = Some(path.into());
                    rest
                }
                ["--rounds", count, rest @ ..] => {
                    rounds = count.parse()?;
                    rest
                }
                [other, ..] => return Err(format!("what is {other}?").into()),
            };
        }
        Ok(Self { store: store.ok_or("--store ROOT: a store that has python and vim")?, spack, rounds })
    }
}

/// A way to the image, and what it took each time.
struct Row {
    what: &'static str,
    /// The command for the image of that tag.
    command: Box<dyn Fn(&str) -> Command>,
    /// Removed before each time.
    forget: Option<PathBuf>,
    measured: Vec<Measured>,
}

struct Measured {
    sample: Sample,
    traffic: Traffic,
    requests: usize,
    /// Bodies of layers that were fetched.
    layers: usize,
}

/// Measures everything.
#[allow(clippy::print_stdout)]
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    let arguments = Arguments::read(arguments)?;
    let strata = super::strata()?;
    let directory = tempfile::tempdir()?;
    let registry = Counted::start()?;
    let url = registry.url("cache");
    let fill = strata_command(&strata, &arguments.store, &directory.path().join("filling"));
    timed(&with(fill, &["buildcache", "push", &url], &ROOTS), &[0])?;
    let layers = layers(&url)?;
    println!("{} layers, {} requests to fill the cache", layers.len(), registry.requests().len());
    println!();
    let mut rows = rows(&arguments, &strata, directory.path(), &url)?;
    let count = rows.len();
    for round in 0..arguments.rounds {
        for at in 0..count {
            let row = &mut rows[(round + at) % count];
            if let Some(kept) = row.forget.as_ref().filter(|path| path.exists()) {
                fs::remove_dir_all(kept)?;
            }
            let command = (row.command)(&format!("image-{round}-{at}"));
            row.measured.push(measured(&registry, &command, &layers)?);
        }
    }
    println!(
        "| image of python and vim | seconds, in order | median | processor, s | peak, MiB | requests | layers fetched | bytes sent | bytes received |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in &rows {
        println!("{}", line(row));
    }
    Ok(())
}

fn rows(arguments: &Arguments, strata: &Path, directory: &Path, url: &str) -> Outcome<Vec<Row>> {
    let row = |what, command: Box<dyn Fn(&str) -> Command>, forget| Row {
        what,
        command,
        forget,
        measured: Vec::new(),
    };
    let build = |kept: &Path| -> Box<dyn Fn(&str) -> Command> {
        // A store that is not there: nothing is installed.
        let (strata, kept, nowhere) = (strata.to_owned(), kept.to_owned(), directory.join("no-store"));
        let url = url.to_owned();
        Box::new(move |tag| {
            let command = strata_command(&strata, &nowhere, &kept);
            with(command, &["image", "build", "--mirror", &url, "--tag", tag], &ROOTS)
        })
    };
    let (first, again, pushing) = (directory.join("first"), directory.join("again"), directory.join("push"));
    let mut rows = vec![
        row("`strata image build`, nothing kept", build(&first), Some(first)),
        row("`strata image build`, kept", build(&again), None),
    ];
    let (program, store, pushed) = (strata.to_owned(), arguments.store.clone(), url.to_owned());
    let push = move |tag: &str| {
        let command = strata_command(&program, &store, &pushing);
        with(command, &["buildcache", "push", "--no-update-index", "--tag", tag, &pushed], &ROOTS)
    };
    rows.push(row("`strata buildcache push --tag`, everything installed", Box::new(push), None));
    if let Some(spack) = &arguments.spack {
        let (spack, pushed) = (spack.clone(), url.to_owned());
        let specs = hashes(strata, &arguments.store)?;
        let push = move |tag: &str| {
            let words = ["buildcache", "push", "--unsigned", "--without-build-dependencies", "--tag", tag];
            let mut command = Command::new(&spack);
            command.args(words).arg(&pushed).args(&specs);
            command
        };
        rows.push(row("`spack buildcache push --tag`, everything installed", Box::new(push), None));
    }
    Ok(rows)
}

fn strata_command(strata: &Path, store: &Path, kept: &Path) -> Command {
    let mut command = Command::new(strata);
    command.arg("--quiet").arg("--cache-dir").arg(kept).arg("--store").arg(store);
    command
}

fn with(mut command: Command, words: &[&str], specs: &[&str]) -> Command {
    command.args(words).args(specs);
    command
}

/// The roots as Spack is asked for them: by hash, so that it need not concretize.
fn hashes(strata: &Path, store: &Path) -> Outcome<Vec<String>> {
    let mut command = Command::new(strata);
    let output = command.arg("--json").arg("--store").arg(store).arg("find").args(ROOTS).output()?;
    let found: Value = serde_json::from_slice(&output.stdout)?;
    let specs = found["result"]["specs"].as_array().ok_or("find says nothing")?;
    Ok(specs.iter().filter_map(|spec| spec["hash"].as_str()).map(|hash| format!("/{hash}")).collect())
}

/// The digests of all layers in a cache.
fn layers(url: &str) -> Outcome<HashSet<String>> {
    let repository = open(&url.parse()?, &Transport::default(), None)?;
    let mut layers = HashSet::new();
    for tag in repository.tags()?.iter().filter(|tag| *tag != "index.spack") {
        let found = image_manifest(&*repository, &ManifestRef::Tag(tag.parse()?))?;
        let (_, manifest) = found.ok_or_else(|| format!("no {tag}"))?;
        layers.extend(manifest.layers.iter().map(|layer| layer.digest.to_string()));
    }
    Ok(layers)
}

fn measured(registry: &Counted, command: &Command, layers: &HashSet<String>) -> Outcome<Measured> {
    let (traffic, requests) = (registry.traffic(), registry.requests().len());
    let sample = timed(command, &[0])?;
    let (after, asked) = (registry.traffic(), registry.requests());
    let asked = asked.get(requests..).unwrap_or_default();
    let is_layer = |request: &&String| {
        let digest = request.strip_prefix("GET ").and_then(|path| path.rsplit('/').next());
        digest.is_some_and(|digest| layers.contains(digest))
    };
    Ok(Measured {
        sample,
        traffic: Traffic { sent: after.sent - traffic.sent, received: after.received - traffic.received },
        requests: asked.len(),
        layers: asked.iter().filter(is_layer).count(),
    })
}

fn line(row: &Row) -> String {
    let middle = |pick: &dyn Fn(&Measured) -> f64| {
        let mut sorted: Vec<f64> = row.measured.iter().map(pick).collect();
        sorted.sort_by(f64::total_cmp);
        median(&sorted)
    };
    let listed: Vec<String> =
        row.measured.iter().map(|measured| format!("{:.3}", measured.sample.seconds)).collect();
    let peak = row.measured.iter().map(|measured| measured.sample.peak_kib).max().unwrap_or_default() / 1024;
    format!(
        "| {} | {} | {:.3} | {:.2} | {peak} | {:.0} | {:.0} | {:.0} | {:.0} |",
        row.what,
        listed.join(", "),
        middle(&|measured| measured.sample.seconds),
        middle(&|measured| measured.sample.cpu_seconds),
        middle(&|measured| measured.requests as f64),
        middle(&|measured| measured.layers as f64),
        middle(&|measured| measured.traffic.sent as f64),
        middle(&|measured| measured.traffic.received as f64),
    )
}
