//! A push to a real registry that is killed, and run again: counted in the requests that the registry saw.

use crate::kill::{start, store_with_work};
use crate::support::{World, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;

/// The requests in an access log: method, path and query, status.
fn requests(log: &str) -> Vec<(&str, &str, u16)> {
    log.lines().filter_map(request).collect()
}

fn request(line: &str) -> Option<(&str, &str, u16)> {
    let (request, rest) = line.split_once("] \"")?.1.split_once("\" ")?;
    let mut words = request.split(' ');
    Some((words.next()?, words.next()?, rest.split(' ').next()?.parse().ok()?))
}

/// The digest in the query of the request that ends an upload.
fn digest(target: &str) -> Option<String> {
    let (_, rest) = target.split_once("digest=")?;
    Some(rest.split('&').next()?.replace("%3A", ":"))
}

/// The digests of blobs whose upload the registry acknowledged.
fn uploaded(log: &str) -> BTreeSet<String> {
    let acknowledged =
        requests(log).into_iter().filter(|(method, _, status)| *method == "PUT" && *status == 201);
    acknowledged.filter_map(|(_, target, _)| digest(target)).collect()
}

/// A push of a whole store to one repository.
struct Push<'p> {
    world: &'p World,
    store: &'p Path,
    registry: &'p DockerRegistry,
    url: String,
}

impl Push<'_> {
    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.world.command();
        std::fs::create_dir_all(self.world.path("temporary")).unwrap();
        command.env("TMPDIR", self.world.path("temporary"));
        command.args(flags).args([
            "--store",
            text(self.store),
            "buildcache",
            "push",
            "--update-index",
            &self.url,
        ]);
        command
    }

    fn journal(&self) -> Option<PathBuf> {
        let mut files = std::fs::read_dir(self.world.path("home/.cache/strata/journal")).ok()?;
        files.next().map(|file| file.unwrap().path())
    }

    fn lines(&self) -> usize {
        let text = self.journal().and_then(|path| std::fs::read_to_string(path).ok());
        text.map_or(0, |text| text.lines().count())
    }

    /// Kills it when it is `ready` to be, and runs it again: what the registry had is neither sent nor packed. How many
    /// packages were gone on with.
    fn kill_and_go_on(&self, ready: impl Fn() -> bool) -> usize {
        let before = self.registry.access_log().len();
        let mut child = start(&mut self.command(&["-q"]));
        while !ready() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let until_kill = self.registry.access_log()[before..].to_owned();
        let (had, noted) = (uploaded(&until_kill), self.lines());

        let killed = self.registry.access_log().len();
        let output = self.command(&["-v", "--json"]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        for (method, target, _) in requests(&self.registry.access_log()[killed..]) {
            let again = digest(target).filter(|digest| had.contains(digest));
            let sends = matches!(method, "PUT" | "PATCH" | "POST");
            assert!(!sends || again.is_none(), "{method} {target}: the registry had it: {until_kill}");
        }
        let envelope: Value = serde_json::from_slice(&output.stdout).unwrap();
        let summary = &envelope["result"]["push"];
        let resumed = summary["resumed"].as_array().unwrap();
        for label in resumed {
            let packing = format!("pushing {}…", label.as_str().unwrap());
            assert!(!stderr.contains(&packing), "{label} was packed again: {stderr}");
        }
        let tagged = summary["present"].as_array().unwrap().len();
        assert!(resumed.len() + tagged >= noted, "{noted} were noted: {summary}");
        assert_eq!(
            stderr.contains("there already from an interrupted push"),
            !resumed.is_empty(),
            "{stderr}"
        );
        assert_eq!(self.journal(), None, "nothing is left of a push that is done");
        let temporary = std::fs::read_dir(self.world.path("temporary")).unwrap().count();
        let pushed = summary["pushed"].as_array().unwrap().len();
        assert!(
            temporary == 0 || pushed == 0,
            "nor of the one that was killed, if there was anything to push"
        );
        resumed.len()
    }
}

/// Kills pushes of a store as soon as two layers are there, and at moments that are spread over a whole push.
fn kill_pushes(world: &World, store: &Path) {
    let Some(registry) = DockerRegistry::start() else {
        return golden::skipped("push journal", "docker-registry is not installed");
    };
    let push = |name: &str| Push { world, store, registry: &registry, url: registry.url(name) };
    let begun = Instant::now();
    assert!(push("whole").command(&["-q"]).output().unwrap().status.success());
    let whole = begun.elapsed();
    let sent = uploaded(&registry.access_log()).len();
    assert!(sent >= 6, "{sent} blobs: the access log was not understood");

    let mut gone_on = 0;
    for number in 0..2 {
        let push = push(&format!("early-{number}"));
        gone_on += push.kill_and_go_on(|| push.lines() >= 2);
    }
    for number in 1..6 {
        let moment = Instant::now() + whole * number / 6;
        gone_on += push(&format!("moment-{number}")).kill_and_go_on(|| Instant::now() > moment);
    }
    assert!(gone_on > 0, "no kill came between an upload and its tag");
}

#[test]
fn what_the_registry_has_after_a_kill_is_neither_sent_nor_packed_again() {
    let world = World::new();
    let store = store_with_work(&world);
    kill_pushes(&world, &store.unpadded_root);
}

#[test]
fn so_it_is_with_a_store_that_spack_built() {
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped("push journal of a store that Spack built", "STRATA_STORES is not set");
    }
    for store in stores {
        kill_pushes(&World::new(), &store);
    }
}

#[test]
fn without_a_cache_there_is_no_journal() {
    let world = World::new();
    let store = world.sample_store();
    let push = ["--store", text(&store.unpadded_root), "--no-cache", "buildcache", "push"];
    world.ok([&push[..], &[&world.layout("cache")]].concat());
    assert!(!world.path("home/.cache").exists());
}
