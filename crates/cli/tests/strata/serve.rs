//! `strata serve`: a registry that a script can start, use and stop.

use crate::support::{Ran, World, text};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use strata_testkit::certificates::Authority;
use strata_testkit::docker_registry::find_program;
use strata_testkit::golden;

/// A registry in a process of its own; killed if the test ends before it.
pub(crate) struct Served {
    child: Child,
    /// The line that it printed.
    url: String,
}

impl Served {
    pub(crate) fn start(world: &World, flags: &[&str]) -> Self {
        let mut command = world.command();
        command.args(["serve", text(&world.path("served")), "--listen", "127.0.0.1:0"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let served = Self { child, url: url.trim().to_owned() };
        assert!(!served.url.is_empty(), "{}", served.stop().stderr);
        served
    }

    fn host(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub(crate) fn cache(&self, name: &str) -> String {
        let scheme = if self.url.starts_with("https") { "oci" } else { "oci+http" };
        format!("{scheme}://{}/{name}", self.host())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(mut self) -> Ran {
        self.signal(Signal::TERM);
        self.ended()
    }

    fn ended(&mut self) -> Ran {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ran { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_store_goes_into_it_and_comes_out_again() {
    let world = World::new();
    let store = world.sample_store();
    let served = Served::start(&world, &[]);
    assert!(served.url.starts_with("http://127.0.0.1:") && !served.url.ends_with(":0"), "{}", served.url);
    let cache = served.cache("group/cache");
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &cache]);
    world.ok(["--store", text(&world.path("root")), "install", "--mirror", &cache, "hello"]);
    // What it keeps is a cache on disk.
    let layout = world.layout("served/group/cache");
    assert_eq!(world.ok(["buildcache", "list", "--mirror", &layout]).lines().count(), 3);
    match find_program("skopeo") {
        Some(skopeo) => {
            let image = format!("docker://{}/group/cache", served.host());
            let tags: Ran = Command::new(skopeo)
                .args(["list-tags", "--tls-verify=false", &image])
                .output()
                .unwrap()
                .into();
            assert_eq!(tags.json()["Tags"].as_array().unwrap().len(), 4, "{}", tags.stderr);
        }
        None => golden::skipped("skopeo lists what strata serves", "skopeo is not installed"),
    }
    let ran = served.stop();
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("/NAME"), "{}", ran.stderr);
}

#[test]
fn programs_are_told_too() {
    let world = World::new();
    let mut served = Served::start(&world, &["--json"]);
    let told: serde_json::Value = serde_json::from_str(&served.url).unwrap();
    assert_eq!((&told["command"], &told["ok"]), (&"serve".into(), &true.into()));
    let url = told["result"]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!(":{}", told["result"]["port"])), "{told}");
    served.signal(Signal::INT);
    let ran = served.ended();
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{}", ran.stderr);
}

#[test]
fn users_and_certificates() {
    let world = World::new();
    let store = world.sample_store();
    let authority = Authority::new();
    let identity = authority.server();
    let htpasswd = world.path("htpasswd");
    std::fs::write(&htpasswd, format!("joe:{}\n", bcrypt::hash("correct horse", 4).unwrap())).unwrap();
    let tls = ["--tls-cert", text(&identity.certificate), "--tls-key", text(&identity.key)];
    let served = Served::start(&world, &[&tls[..], &["--htpasswd", text(&htpasswd)]].concat());
    assert!(served.url.starts_with("https://"), "{}", served.url);
    let push = |password: &str| -> Ran {
        let mut command = world.command();
        command.args(["--store", text(&store.unpadded_root), "--ca-file", text(&authority.ca_file())]);
        command.args(["buildcache", "push", &served.cache("cache")]);
        command.env("STRATA_USERNAME", "joe").env("STRATA_PASSWORD", password).output().unwrap().into()
    };
    push("wrong").fails(77, &["as joe"]);
    let ran = push("correct horse");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(served.stop().code, Some(0));
}

#[test]
fn nobody_writes_to_what_is_read_only() {
    let world = World::new();
    let store = world.sample_store();
    let push = |cache: &str| world.run(["--store", text(&store.unpadded_root), "buildcache", "push", cache]);
    assert_eq!(push(&world.layout("served/cache")).code, Some(0));
    let served = Served::start(&world, &["--read-only"]);
    world.ok(["--store", text(&world.path("root")), "install", "--mirror", &served.cache("cache"), "greet"]);
    let refused = push(&served.cache("other"));
    assert!(refused.code != Some(0) && refused.stderr.contains("read-only"), "{}", refused.stderr);
}

#[test]
fn a_request_that_hangs_does_not_keep_it_for_ever() {
    let world = World::new();
    let mut served = Served::start(&world, &[]);
    let mut upload = TcpStream::connect(served.host()).unwrap();
    upload
        .write_all(
            b"POST /v2/a/blobs/uploads/?digest=sha256:0 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        )
        .unwrap();
    let mut waiting = String::new();
    served.signal(Signal::TERM);
    // It says that it waits; then it is told not to.
    let mut lines = BufReader::new(served.child.stderr.as_mut().unwrap());
    while !waiting.contains("Finishing") {
        assert!(lines.read_line(&mut waiting).unwrap() > 0, "{waiting}");
    }
    served.signal(Signal::TERM);
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_served_is_said() {
    let world = World::new();
    let taken = Served::start(&world, &[]);
    let directory = world.path("other");
    world
        .run(["serve", text(&directory), "--listen", taken.host()])
        .fails(74, &["cannot listen on", taken.host()]);
    world
        .run(["serve", text(&directory), "--listen", "192.0.2.1:0"])
        .fails(74, &["cannot listen on 192.0.2.1:0"]);
    world.run(["serve", text(&directory), "--tls-cert", "x.pem"]).fails(2, &["--tls-key"]);
    let htpasswd = world.path("htpasswd");
    std::fs::write(&htpasswd, "joe:{SHA}x\n").unwrap();
    let refused =
        world.run(["serve", text(&directory), "--listen", "127.0.0.1:0", "--htpasswd", text(&htpasswd)]);
    refused.fails(2, &[text(&htpasswd), "htpasswd -B"]);
}
