//! `cargo xtask bench index [--specs N] [--rounds N] [--spack PATH]`: questions to a cache of 100,000 specs.
//!
//! Each question is a process of its own, asked over https of `strata serve` on loopback, and of an image layout: with
//! nothing kept, and with what the one before kept. With `--spack`, Spack is asked in the same rounds, of the same server.

mod generate;

use super::Outcome;
use super::served::Served;
use super::timed::{Sample, median, timed};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_oci::{BlobSource, Manifest, RepositoryUrl, Transport, media_type, open_or_create};
use strata_testkit::certificates::Authority;
use strata_testkit::golden;

/// The real index that the large one is made of.
const REAL_INDEX: &str = "spec/index-750.json.zst";
/// A package with many versions in the index.
const PACKAGE: &str = "python";

struct Arguments {
    specs: usize,
    /// How often each question is asked.
    rounds: usize,
    spack: Option<PathBuf>,
}

impl Arguments {
    fn read(mut words: &[&str]) -> Outcome<Self> {
        let mut arguments = Self { specs: 100_000, rounds: 5, spack: None };
        loop {
            words = match words {
                [] => return Ok(arguments),
                ["--specs", count, rest @ ..] => {
                    arguments.specs = count.parse()?;
                    rest
                }
                ["--rounds", count, rest @ ..] => {
                    arguments.rounds = count.parse()?;
                    rest
                }
                ["--spack", path, rest @ ..] => {
                    arguments.spack = Some(path.into());
                    rest
                }
                [other, ..] => return Err(format!("what is {other}?").into()),
            };
        }
    }
}

/// A question, and how often it was measured.
struct Row {
    what: String,
    command: Command,
    /// How the process may end.
    codes: &'static [i32],
    /// Removed before each time.
    forget: Option<PathBuf>,
    samples: Vec<Sample>,
}

/// Asks all questions, the one after the other in each round.
#[allow(clippy::print_stdout)]
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    let arguments = Arguments::read(arguments)?;
    let strata = super::strata()?;
    let directory = tempfile::tempdir()?;
    let served = directory.path().join("served");
    let layout = served.join("cache");
    let bytes = put_index(&layout, arguments.specs)?;
    println!("index of {} specs, {} MB", arguments.specs, bytes / 1_000_000);
    println!();
    let authority = Authority::new();
    let identity = authority.server();
    let certificate = ["--tls-cert".as_ref(), identity.certificate.as_os_str()];
    let key = ["--tls-key".as_ref(), identity.key.as_os_str()];
    let options: Vec<&OsStr> = [certificate, key].concat();
    let server = Served::start(&strata, &served, &options)?;
    let bench = Bench { strata: &strata, directory: directory.path(), authority: &authority };
    let registry = format!("oci://127.0.0.1:{}/cache", server.port);
    let mut rows = bench.rows(&registry, &format!("oci+file://{}", layout.display()));
    if let Some(spack) = &arguments.spack {
        rows.extend(bench.spack_rows(spack, &registry)?);
    }
    for _ in 0..arguments.rounds {
        for row in &mut rows {
            if let Some(kept) = row.forget.as_ref().filter(|path| path.exists()) {
                fs::remove_dir_all(kept)?;
            }
            row.samples.push(timed(&row.command, row.codes)?);
        }
    }
    println!("| question | seconds, in order | median | processor, s, median | peak, MiB |");
    println!("|---|---|---|---|---|");
    for row in &rows {
        println!("{}", line(row));
    }
    Ok(())
}

/// Makes the index and puts it into an image layout; its size.
fn put_index(layout: &Path, specs: usize) -> Outcome<u64> {
    let real = golden::file(REAL_INDEX).ok_or("the golden data has no index")?;
    let blob = BlobSource::bytes(generate::index(&golden::text(&real), specs)?.into_bytes());
    let repository = open_or_create(&RepositoryUrl::from_directory(layout)?, &Transport::default(), None)?;
    let config = BlobSource::bytes(b"{}".to_vec());
    let _ = repository.put_blob(&blob)?;
    let _ = repository.put_blob(&config)?;
    let layers = vec![blob.descriptor(media_type::OCI_LAYER_GZIP)];
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers);
    repository.put_manifest(&"index.spack".parse()?, &manifest.media_type, &manifest.to_bytes()?)?;
    Ok(blob.size)
}

struct Bench<'b> {
    strata: &'b Path,
    directory: &'b Path,
    authority: &'b Authority,
}

impl Bench<'_> {
    fn rows(&self, registry: &str, layout: &str) -> Vec<Row> {
        let missing = format!("{PACKAGE}@99");
        let mut rows = Vec::new();
        for (place, url) in [("https", registry), ("layout", layout)] {
            let cache = self.directory.join(format!("cache-{place}"));
            let row = |what: &str, words: &[&str], codes: &'static [i32], cold: bool| Row {
                what: format!("strata {}, {place}, {what}", words.join(" ")),
                command: self.strata(&cache, words, url),
                codes,
                forget: cold.then(|| cache.clone()),
                samples: Vec::new(),
            };
            rows.push(row("nothing kept", &["spec", PACKAGE], &[0], true));
            rows.push(row("kept", &["spec", PACKAGE], &[0], false));
            rows.push(row("kept", &["why", PACKAGE], &[0], false));
            rows.push(row("kept", &["why", &missing], &[3], false));
            rows.push(row("nothing kept", &["buildcache", "list", PACKAGE], &[0], true));
            rows.push(row("kept", &["buildcache", "list", PACKAGE], &[0], false));
        }
        rows
    }

    fn strata(&self, cache: &Path, words: &[&str], url: &str) -> Command {
        let mut command = Command::new(self.strata);
        command.args(["--quiet", "--cache-dir"]).arg(cache);
        command.arg("--store").arg(self.directory.join("store"));
        command.arg("--ca-file").arg(self.authority.ca_file()).args(words).args(["--mirror", url]);
        command
    }

    /// Spack with a configuration of its own, in which the registry is the only mirror.
    fn spack_rows(&self, spack: &Path, registry: &str) -> Outcome<Vec<Row>> {
        let (scope, kept) = (self.directory.join("spack-scope"), self.directory.join("spack-cache"));
        fs::create_dir(&scope)?;
        let mirrors = format!("mirrors:\n  cache:\n    url: {registry}\n    signed: false\n");
        fs::write(scope.join("mirrors.yaml"), mirrors)?;
        let row = |what: &str, words: &[&str], cold: bool| {
            let mut command = Command::new(spack);
            command.args(words);
            command.env("SPACK_USER_CONFIG_PATH", &scope).env("SPACK_USER_CACHE_PATH", &kept);
            command.env("SSL_CERT_FILE", self.authority.ca_file());
            let what = format!("spack {}, https, {what}", words.join(" "));
            let forget = cold.then(|| kept.join("cache/indices"));
            Row { what, command, codes: &[0], forget, samples: Vec::new() }
        };
        Ok(vec![
            row("nothing kept", &["buildcache", "list", PACKAGE], true),
            row("kept", &["buildcache", "list", PACKAGE], false),
        ])
    }
}

fn line(row: &Row) -> String {
    let middle = |pick: fn(&Sample) -> f64| {
        let mut sorted: Vec<f64> = row.samples.iter().map(pick).collect();
        sorted.sort_by(f64::total_cmp);
        median(&sorted)
    };
    let listed: Vec<String> = row.samples.iter().map(|sample| format!("{:.3}", sample.seconds)).collect();
    let peak = row.samples.iter().map(|sample| sample.peak_kib).max().unwrap_or_default() / 1024;
    let (clock, cpu) = (middle(|sample| sample.seconds), middle(|sample| sample.cpu_seconds));
    format!("| {} | {} | {clock:.3} | {cpu:.2} | {peak} |", row.what, listed.join(", "))
}
