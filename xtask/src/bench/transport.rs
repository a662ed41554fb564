//! `cargo xtask bench transport`: 1 × 1 GiB and 2,000 × 20 KiB, against skopeo and curl, in alternation.

use super::Outcome;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use strata_oci::{
    BlobSource, Descriptor, Manifest, RepositoryUrl, TagName, Transport, media_type, open_or_create,
};
use strata_testkit::docker_registry::DockerRegistry;

/// An image: how many layers, and of how many bytes each.
struct Case {
    tag: &'static str,
    layers: usize,
    size: usize,
}

const CASES: [Case; 2] =
    [Case { tag: "big", layers: 1, size: 1 << 30 }, Case { tag: "small", layers: 2000, size: 20 << 10 }];

/// One measured process.
struct Sample {
    seconds: f64,
    peak_kib: u64,
}

/// Runs all cases; the argument is the number of pairs, 5 if there is none.
#[allow(clippy::print_stdout)]
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    let pairs: usize = arguments.first().map_or(Ok(5), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let layout = directory.join("layout");
    for case in &CASES {
        make_image(&layout, case)?;
    }
    let this = std::env::current_exe()?;
    let strata = this.with_file_name("strata");
    if !strata.is_file() {
        return Err(format!("{}: build it first: cargo build --release", strata.display()).into());
    }
    let registry = DockerRegistry::start().ok_or("docker-registry is not installed")?;
    let served = Served::start(&strata, &directory.join("served"))?;
    let servers = [("docker-registry", registry.port()), ("strata serve", served.port)];

    println!(
        "| case | server | strata, s | other, s | ratio of each pair | median | peak strata / other, MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (server, port) in servers {
        for case in &CASES {
            let mut rows: Vec<(String, Vec<(Sample, Sample)>)> = Vec::new();
            let mut keep = |what: String, pair| match rows.iter_mut().find(|(name, _)| *name == what) {
                Some((_, samples)) => samples.push(pair),
                None => rows.push((what, vec![pair])),
            };
            for round in 0..pairs {
                let place = |who: &str| format!("127.0.0.1:{port}/{who}{}{round}", case.tag);
                let (ours, theirs) = (place("strata"), place("skopeo"));
                let from = format!("oci:{}:{}", layout.display(), case.tag);
                let push = timed(Command::new(&this).args([
                    "bench-push",
                    &layout.to_string_lossy(),
                    &format!("oci+http://{ours}"),
                    case.tag,
                ]))?;
                let other = timed(skopeo(&from, &format!("docker://{theirs}:{}", case.tag)))?;
                keep(format!("push {}, skopeo copy", case.tag), (push, other));

                let cache = directory.join("cache");
                let pulled = directory.join("pulled");
                let pull = timed(Command::new(&this).args([
                    "bench-pull",
                    &format!("oci+http://{ours}"),
                    case.tag,
                    &cache.to_string_lossy(),
                ]))?;
                let other = timed(skopeo(
                    &format!("docker://{theirs}:{}", case.tag),
                    &format!("dir:{}", pulled.display()),
                ))?;
                keep(format!("pull {}, skopeo copy", case.tag), (pull, other));
                fs::remove_dir_all(&cache)?;
                fs::remove_dir_all(&pulled)?;

                let pull = timed(Command::new(&this).args([
                    "bench-pull",
                    &format!("oci+http://{ours}"),
                    case.tag,
                    &cache.to_string_lossy(),
                ]))?;
                let list = curl_list(&layout, case, &ours, &pulled)?;
                let other = timed(Command::new("curl").args([
                    "--silent",
                    "--fail",
                    "--parallel",
                    "--parallel-max",
                    "16",
                    "--config",
                    &list,
                ]))?;
                keep(format!("pull {}, curl without digests", case.tag), (pull, other));
                fs::remove_dir_all(&cache)?;
                fs::remove_dir_all(&pulled)?;
            }
            for (what, samples) in rows {
                println!("{}", row(&what, server, &samples));
            }
        }
    }
    println!();
    println!("peak of strata serve: {} MiB", served.peak_kib()? / 1024);
    Ok(())
}

/// An image layout's image of pseudo-random layers.
fn make_image(layout: &Path, case: &Case) -> Outcome<()> {
    let url = RepositoryUrl::from_directory(layout)?;
    let repository = open_or_create(&url, &Transport::default(), None)?;
    let mut state = case.size as u64;
    let mut layers = Vec::new();
    for _ in 0..case.layers {
        let mut bytes = Vec::with_capacity(case.size);
        while bytes.len() < case.size {
            // xorshift64: cheap, and nothing that compresses.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        let blob = BlobSource::bytes(bytes);
        let _ = repository.put_blob(&blob)?;
        layers.push(blob.descriptor(media_type::OCI_LAYER_GZIP));
    }
    let config = BlobSource::bytes(config(&layers).into_bytes());
    let _ = repository.put_blob(&config)?;
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers);
    let tag: TagName = case.tag.parse()?;
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes()?)?;
    Ok(())
}

/// A config that skopeo takes: as many diff ids as layers.
fn config(layers: &[Descriptor]) -> String {
    let ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", layer.digest)).collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    )
}

fn skopeo(from: &str, to: &str) -> Command {
    let mut command = Command::new("skopeo");
    command.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
    ]);
    command.args(["--preserve-digests", from, to]);
    command
}

/// A file that tells curl to fetch every layer into a file of `directory`.
fn curl_list(layout: &Path, case: &Case, place: &str, directory: &Path) -> Outcome<String> {
    fs::create_dir_all(directory)?;
    let (host, name) = place.split_once('/').ok_or("a place without a name")?;
    let repository = open_or_create(&RepositoryUrl::from_directory(layout)?, &Transport::default(), None)?;
    let tag: TagName = case.tag.parse()?;
    let (_, manifest) = strata_oci::image_manifest(&*repository, &tag.into())?.ok_or("no such image")?;
    let path = directory.join("list");
    let mut list = fs::File::create(&path)?;
    for layer in &manifest.layers {
        writeln!(list, "url = \"http://{host}/v2/{name}/blobs/{}\"", layer.digest)?;
        writeln!(list, "output = \"{}\"", directory.join(layer.digest.hex()).display())?;
    }
    Ok(path.display().to_string())
}

/// Runs a command to its end; `time` tells its peak memory.
fn timed(command: impl std::borrow::BorrowMut<Command>) -> Outcome<Sample> {
    let mut command = command;
    let command = command.borrow_mut();
    let mut measured = Command::new("/usr/bin/time");
    measured.args(["--format", "%M"]).arg(command.get_program()).args(command.get_args());
    let begun = Instant::now();
    let output = measured.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let seconds = begun.elapsed().as_secs_f64();
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{measured:?}: {words}").into());
    }
    let peak_kib = words.lines().last().unwrap_or_default().trim().parse()?;
    Ok(Sample { seconds, peak_kib })
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
        ratios.get(ratios.len() / 2).copied().unwrap_or_default(),
        peak(|pair| &pair.0),
        peak(|pair| &pair.1),
    )
}

/// `strata serve` on a port of its own.
struct Served {
    child: Child,
    port: u16,
}

impl Served {
    fn start(strata: &Path, directory: &Path) -> Outcome<Self> {
        let mut child = Command::new(strata)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line
            .split("127.0.0.1:")
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let port = port.and_then(|digits| digits.parse().ok()).ok_or(format!("no port in {line:?}"))?;
        Ok(Self { child, port })
    }

    /// The most memory it had so far.
    fn peak_kib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
