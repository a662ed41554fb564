//! kill -9 at any moment leaves a store or a cache as it was, or complete, and the next run finishes the job.

use crate::support::{World, text, tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use strata_oci::{ManifestRef, RepositoryUrl, image_config, image_manifest};
use strata_testkit::sample_store::SampleStore;

/// How often each command is killed.
const KILLS: u32 = 20;
/// Files added to one package, so that there is something to interrupt.
const FILES: u32 = 3000;

/// A sample store with a package that takes a while.
pub(crate) fn store_with_work(world: &World) -> SampleStore {
    let store = world.sample_store();
    for number in 0..FILES {
        let directory = store.package("greet").prefix.join(format!("share/greet/many/{}", number % 30));
        std::fs::create_dir_all(&directory).unwrap();
        let content = format!("{number} {}\n", store.package("greet").prefix.display()).repeat(20);
        std::fs::write(directory.join(format!("{number}.txt")), content).unwrap();
    }
    store
}

/// The paths below each prefix of a store, by the name of the prefix; temporary names would show.
fn prefixes(root: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    for platform in std::fs::read_dir(root).into_iter().flatten() {
        let platform = platform.unwrap();
        if platform.file_name().to_str().unwrap().starts_with("linux-") {
            for prefix in std::fs::read_dir(platform.path()).unwrap() {
                let prefix = prefix.unwrap().path();
                found.insert(prefix.strip_prefix(root).unwrap().to_owned(), tree(&prefix));
            }
        }
    }
    found
}

pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Moments spread over a run, each shifted a little: neither the first nor the last instant is left out.
struct Moments {
    /// How long a run takes at the most. A machine gets faster when others have done with it.
    whole: Duration,
    numbers: std::ops::Range<u32>,
}

impl Moments {
    /// Of a command, which is run once without being killed.
    fn of(command: &mut Command) -> Self {
        let started = Instant::now();
        assert!(start(command).wait().unwrap().success());
        Self { whole: started.elapsed(), numbers: 0..KILLS }
    }

    fn next(&mut self) -> Option<(u32, Duration)> {
        let number = self.numbers.next()?;
        let seed = std::process::id();
        let jitter = (seed.wrapping_mul(2654435761).wrapping_add(number.wrapping_mul(40503)) >> 16) % 100;
        let part = (f64::from(number) + f64::from(jitter) / 100.0) / f64::from(KILLS);
        Some((number, self.whole.mul_f64(part)))
    }

    /// Whether a run that was killed at `moment` was still going.
    fn was_in_time(&mut self, moment: Duration, killed: &mut Child) -> bool {
        let in_time = !killed.wait().unwrap().success();
        if !in_time {
            self.whole = self.whole.min(moment);
        }
        in_time
    }
}

#[test]
fn a_killed_install_leaves_the_store_whole() {
    let world = World::new();
    let store = store_with_work(&world);
    let cache = world.layout("cache");
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &cache]);
    let install = |root: &Path| {
        let mut command = world.command();
        command.args(["-q", "--store", text(root), "install", "--mirror", &cache, "hello"]);
        command
    };
    let reference = world.path("reference");
    let mut moments = Moments::of(&mut install(&reference));
    let complete = prefixes(&reference);
    assert_eq!(complete.len(), 3);

    let mut interrupted = 0;
    while let Some((number, moment)) = moments.next() {
        let root = world.path(&format!("killed-{number}"));
        let mut child = start(&mut install(&root));
        std::thread::sleep(moment);
        child.kill().unwrap();
        interrupted += u32::from(moments.was_in_time(moment, &mut child));

        // What is at its place is complete, recorded or not; what is recorded is at its place.
        for (prefix, files) in prefixes(&root) {
            assert_eq!(Some(&files), complete.get(&prefix), "killed after {moment:?}: {}", prefix.display());
        }
        if root.join(".spack-db/index.json").exists() {
            let found = world.run(["--json", "--store", text(&root), "find"]).json();
            for spec in found["result"]["specs"].as_array().unwrap() {
                assert!(Path::new(spec["prefix"].as_str().unwrap()).is_dir(), "killed after {moment:?}");
            }
        }
        let all_there = prefixes(&root) == complete;
        // And the next run finishes the job, and cleans up.
        assert!(install(&root).output().unwrap().status.success(), "killed after {moment:?}");
        assert_eq!(prefixes(&root), complete, "killed after {moment:?}");
        assert_eq!(world.installed(&root).len(), complete.len());
        if all_there {
            // It had nothing to do, and cleaning up is for the next one that has.
            world.ok(["--store", text(&root), "uninstall", "-y", "hello"]);
            assert!(install(&root).output().unwrap().status.success(), "killed after {moment:?}");
        }
        let left = tree(&root.join(".spack-db"));
        assert!(!left.iter().any(|path| path.starts_with("strata-stage")), "{left:?}");
    }
    assert!(
        interrupted > KILLS / 3,
        "only {interrupted} of {KILLS} runs were still going when they were killed"
    );
}

/// Every tag of a layout leads to blobs that are there and are what their digests say.
fn assert_whole(url: &str) -> usize {
    let parsed: RepositoryUrl = url.parse().unwrap();
    let repository = match strata_oci::open(&parsed, &strata_oci::Transport::default(), None) {
        // Killed before there was a layout at all.
        Err(strata_oci::Error::NoSuchCache { .. }) => return 0,
        repository => repository.unwrap(),
    };
    let tags = repository.tags().unwrap();
    for tag in &tags {
        let (_, manifest) =
            image_manifest(&*repository, &ManifestRef::Tag(tag.parse().unwrap())).unwrap().unwrap();
        if tag != "index.spack" {
            image_config(&*repository, &manifest).unwrap();
        }
        for layer in &manifest.layers {
            // Reading verifies.
            std::io::copy(&mut repository.blob(layer).unwrap(), &mut std::io::sink()).unwrap();
        }
    }
    tags.len()
}

#[test]
fn a_killed_push_leaves_the_cache_whole() {
    let world = World::new();
    let store = store_with_work(&world);
    let push = |cache: &str| {
        let mut command = world.command();
        let root = text(&store.unpadded_root);
        command.args(["-q", "--store", root, "buildcache", "push", "--update-index", cache]);
        command
    };
    let mut moments = Moments::of(&mut push(&world.layout("reference")));
    let complete = assert_whole(&world.layout("reference"));
    assert_eq!(complete, 4);

    let mut interrupted = 0;
    while let Some((number, moment)) = moments.next() {
        let name = format!("killed-{number}");
        let cache = world.layout(&name);
        let mut child = start(&mut push(&cache));
        std::thread::sleep(moment);
        child.kill().unwrap();
        interrupted += u32::from(moments.was_in_time(moment, &mut child));
        if world.path(&name).join("index.json").exists() {
            assert_whole(&cache);
        }
        assert!(push(&cache).output().unwrap().status.success(), "killed after {moment:?}");
        assert_eq!(assert_whole(&cache), complete, "killed after {moment:?}");
    }
    assert!(
        interrupted > KILLS / 3,
        "only {interrupted} of {KILLS} runs were still going when they were killed"
    );
}
