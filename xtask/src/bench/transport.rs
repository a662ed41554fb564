//! `cargo xtask bench transport`: 1 × 1 GiB and 2,000 × 20 KiB, against skopeo and curl, in alternation.
//!
//! The small blobs are the layers of twenty images: with as many as 2,000 in one, skopeo is busy with other things.

use super::Outcome;
use super::image::{self, Case};
use super::served::Served;
use super::statistics::median;
use super::timed::{Sample, timed};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use strata_oci::{RepositoryUrl, TagName, Transport, open_or_create};
use strata_testkit::docker_registry::DockerRegistry;

const CASES: [Case; 2] = [
    Case { name: "1 GiB", images: 1, layers: 1, size: 1 << 30 },
    Case { name: "2,000 × 20 KiB", images: 20, layers: 100, size: 20 << 10 },
];

/// A registry of nobody's but one pair's.
enum Server {
    Reference(DockerRegistry),
    Ours(Served),
}

impl Server {
    const KINDS: [&str; 2] = ["docker-registry", "strata serve"];

    fn start(kind: &str, strata: &Path, directory: &Path) -> Outcome<Self> {
        if kind == Self::KINDS[0] {
            return Ok(Self::Reference(DockerRegistry::start().ok_or("docker-registry is not installed")?));
        }
        Ok(Self::Ours(Served::start(strata, &directory.join("served"), &[])?))
    }

    fn port(&self) -> u16 {
        match self {
            Self::Reference(registry) => registry.port(),
            Self::Ours(served) => served.port,
        }
    }
}

/// The pairs of each row.
#[derive(Default)]
struct Rows(Vec<(String, Vec<(Sample, Sample)>)>);

impl Rows {
    fn keep(&mut self, what: String, pair: (Sample, Sample)) {
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, samples)) => samples.push(pair),
            None => self.0.push((what, vec![pair])),
        }
    }
}

/// Runs all cases; the argument is the number of pairs, 5 if there is none.
#[allow(clippy::print_stdout)]
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    let pairs: usize = arguments.first().map_or(Ok(5), |text| text.parse())?;
    let this = std::env::current_exe()?;
    let strata = this.with_file_name("strata");
    if !strata.is_file() {
        return Err(format!("{}: build it first: cargo build --release", strata.display()).into());
    }
    println!(
        "| case | server | strata, s | other, s | ratio of each pair | median | peak strata / other, MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut peak = 0;
    for kind in Server::KINDS {
        for case in &CASES {
            let mut rows = Rows::default();
            for round in 0..pairs {
                // With an image and a registry of its own: skopeo remembers which registry has a blob in which
                // repository, and would have it mounted there.
                let directory = tempfile::tempdir()?;
                let server = Server::start(kind, &strata, directory.path())?;
                let bench = Bench { this: &this, directory: directory.path(), case, port: server.port() };
                bench.round(round, &mut rows)?;
                if let Server::Ours(served) = &server {
                    peak = peak.max(served.peak_kib()?);
                }
            }
            for (what, samples) in rows.0 {
                println!("{}", row(&what, kind, &samples));
            }
        }
    }
    println!();
    println!("peak of strata serve: {} MiB", peak / 1024);
    Ok(())
}

/// One pair of each row.
struct Bench<'a> {
    this: &'a Path,
    directory: &'a Path,
    case: &'a Case,
    port: u16,
}

impl Bench<'_> {
    fn round(&self, round: usize, rows: &mut Rows) -> Outcome<()> {
        let (name, tags) = (self.case.name, self.case.tags());
        let layout = self.directory.join("layout");
        image::make(&layout, self.case, round as u64)?;
        let place = |who: &str| format!("127.0.0.1:{}/{who}", self.port);
        let ours = format!("oci+http://{}", place("strata"));
        let theirs = |tag: &str| format!("docker://{}:{tag}", place("skopeo"));
        let in_layout = |tag: &str| format!("oci:{}:{tag}", layout.display());
        let (cache, pulled) = (self.directory.join("cache"), self.directory.join("pulled"));
        let pull = || {
            let mut command = Command::new(self.this);
            command.args(["bench-pull", &ours]).arg(&cache).args(&tags);
            command
        };

        let mut push = Command::new(self.this);
        push.arg("bench-push").arg(&layout).arg(&ours).args(&tags);
        rows.keep(format!("push {name}, skopeo copy"), pair(round, push, skopeo(&tags, in_layout, theirs))?);

        fs::create_dir(&pulled)?;
        let in_directory = |tag: &str| format!("dir:{}/{tag}", pulled.display());
        let other = skopeo(&tags, theirs, in_directory);
        rows.keep(format!("pull {name}, skopeo copy"), pair(round, pull(), other)?);
        fs::remove_dir_all(&cache)?;
        fs::remove_dir_all(&pulled)?;

        let list = curl_list(&layout, self.case, &place("strata"), &pulled)?;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--parallel", "--parallel-max", "16", "--config", &list]);
        rows.keep(format!("pull {name}, curl without digests"), pair(round, pull(), curl)?);
        Ok(())
    }
}

/// Runs both, the one first in one round and the other in the next.
fn pair(round: usize, ours: Command, theirs: Command) -> Outcome<(Sample, Sample)> {
    if round.is_multiple_of(2) {
        return Ok((timed(&ours, &[0])?, timed(&theirs, &[0])?));
    }
    let theirs = timed(&theirs, &[0])?;
    Ok((timed(&ours, &[0])?, theirs))
}

/// Copies image after image: skopeo takes one at a time.
fn skopeo(tags: &[String], from: impl Fn(&str) -> String, to: impl Fn(&str) -> String) -> Command {
    const COPY: &str = "skopeo --insecure-policy copy --quiet --preserve-digests --src-tls-verify=false \
                        --dest-tls-verify=false";
    let mut command = Command::new("sh");
    let each = format!("set -e; while [ $# -gt 0 ]; do {COPY} \"$1\" \"$2\"; shift 2; done");
    command.args(["-c", &each, "skopeo"]);
    for tag in tags {
        command.args([from(tag), to(tag)]);
    }
    command
}

/// A file that tells curl to fetch every layer into a file of `directory`.
fn curl_list(layout: &Path, case: &Case, place: &str, directory: &Path) -> Outcome<String> {
    fs::create_dir_all(directory)?;
    let (host, name) = place.split_once('/').ok_or("a place without a name")?;
    let repository = open_or_create(&RepositoryUrl::from_directory(layout)?, &Transport::default(), None)?;
    let path = directory.join("list");
    let mut list = fs::File::create(&path)?;
    for tag in case.tags() {
        let tag: TagName = tag.parse()?;
        let (_, manifest) = strata_oci::image_manifest(&*repository, &tag.into())?.ok_or("no such image")?;
        for layer in &manifest.layers {
            writeln!(list, "url = \"http://{host}/v2/{name}/blobs/{}\"", layer.digest)?;
            writeln!(list, "output = \"{}\"", directory.join(layer.digest.hex()).display())?;
        }
    }
    Ok(path.display().to_string())
}

fn row(what: &str, server: &str, samples: &[(Sample, Sample)]) -> String {
    let seconds = |pick: fn(&(Sample, Sample)) -> &Sample| {
        let all: Vec<String> = samples.iter().map(|pair| format!("{:.2}", pick(pair).seconds)).collect();
        all.join(", ")
    };
    let mut ratios: Vec<f64> = samples.iter().map(|(ours, other)| other.seconds / ours.seconds).collect();
    let listed: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.1}")).collect();
    ratios.sort_by(f64::total_cmp);
    let peak = |pick: fn(&(Sample, Sample)) -> &Sample| {
        samples.iter().map(|pair| pick(pair).peak_kib).max().unwrap_or_default() / 1024
    };
    format!(
        "| {what} | {server} | {} | {} | {} | {:.2} | {} / {} |",
        seconds(|pair| &pair.0),
        seconds(|pair| &pair.1),
        listed.join(", "),
        median(&ratios),
        peak(|pair| &pair.0),
        peak(|pair| &pair.1),
    )
}
