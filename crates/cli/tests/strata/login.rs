//! `strata login|logout`.

use crate::support::{Ran, World, text};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use strata_testkit::docker_registry::{DockerRegistry, find_program};
use strata_testkit::golden;

const PASSWORD: &str = "correct horse";

fn private() -> Option<(World, DockerRegistry)> {
    let Some(registry) = DockerRegistry::builder().user("joe", PASSWORD).start() else {
        golden::skipped("login", "docker-registry is not installed");
        return None;
    };
    Some((World::new(), registry))
}

/// Runs the command with something to read.
fn piped(command: &mut Command, input: &str) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that refuses its command line does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

fn login(world: &World, host: &str, input: &str, more: &[&str]) -> Ran {
    let mut command = world.command();
    command.args(["login", host, "--username", "joe", "--password-stdin", "--plain-http"]).args(more);
    piped(&mut command, input)
}

#[test]
fn credentials_are_checked_kept_used_and_forgotten() {
    let Some((world, registry)) = private() else { return };
    let (host, url) = (registry.host(), registry.url("cache"));
    let list = || world.run(["buildcache", "list", "--mirror", &url]);
    list().fails(77, &["strata login", &host]);

    let file = world.path("home/.docker/config.json");
    let wrong = login(&world, &host, "wrong\n", &[]);
    wrong.fails(77, &["401", "as joe", "hint: check the user and the password"]);
    assert!(!wrong.stderr.contains("strata login"), "{}", wrong.stderr);
    assert!(!file.exists(), "what is wrong is not kept");
    let ran = login(&world, &host, &format!("{PASSWORD}\n"), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains(&format!("logged in to {host} as joe")), "{}", ran.stdout);
    assert!(ran.stdout.contains(text(&file)), "{}", ran.stdout);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(list().code, Some(0));

    assert!(world.ok(["logout", &host]).contains(text(&file)));
    list().fails(77, &[]);
    assert_eq!(world.ok(["logout", &host]), format!("there were no credentials for {host}\n"));
}

#[test]
fn other_files_and_other_programs() {
    let Some((world, registry)) = private() else { return };
    let host = registry.host();
    let podman = world.path("runtime/containers/auth.json");
    let ran = login(&world, &host, PASSWORD, &["--authfile", text(&podman)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    match find_program("skopeo") {
        Some(skopeo) => {
            let mut command = Command::new(skopeo);
            command.args(["login", "--get-login", "--authfile", text(&podman), &host]);
            let known: Ran = command.output().unwrap().into();
            assert_eq!((known.code, &*known.stdout), (Some(0), "joe\n"), "{}", known.stderr);
        }
        None => golden::skipped("skopeo reads what strata keeps", "skopeo is not installed"),
    }
    // It is read, and forgetting it elsewhere says so.
    assert_eq!(world.run(["buildcache", "list", "--mirror", &registry.url("cache")]).code, Some(0));
    let elsewhere = world.run(["logout", &host]);
    assert_eq!(elsewhere.code, Some(0));
    assert!(elsewhere.stderr.contains("still has credentials"), "{}", elsewhere.stderr);
    let all = world.run(["logout", "--all", &host]);
    assert_eq!((all.code, &*all.stderr), (Some(0), ""), "{}", all.stdout);
    assert!(all.stdout.contains(text(&podman)), "{}", all.stdout);
    world.run(["buildcache", "list", "--mirror", &registry.url("cache")]).fails(77, &[]);

    let named = world.path("named.json");
    let mut command = world.command();
    command.args(["login", &host, "-u", "joe", "--password-stdin", "--plain-http", "--json"]);
    let ran = piped(command.env("REGISTRY_AUTH_FILE", &named), PASSWORD);
    assert_eq!(ran.json()["result"]["registry"], host, "{}", ran.stderr);
    assert!(named.exists());
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    let world = World::new();
    world.run(["login", "127.0.0.1:1"]).fails(2, &["no terminal", "--password-stdin"]);
    world.run(["login", "127.0.0.1:1", "--password-stdin"]).fails(2, &["needs a user", "--username"]);
    login(&world, "127.0.0.1:1", "\n", &[]).fails(2, &["one of them is empty"]);
    login(&world, "127.0.0.1:1/some/cache", PASSWORD, &[]).fails(2, &["name the registry alone"]);
    world.run(["login", "h.example", "-u", "joe", "-p", "x"]).fails(2, &["unexpected argument"]);
    world.run(["logout", "not a host"]).fails(2, &["is not a registry's name"]);
}

#[test]
fn a_registry_that_asks_for_nothing_proves_nothing() {
    let Some(registry) = DockerRegistry::start() else {
        return golden::skipped("login", "docker-registry is not installed");
    };
    let world = World::new();
    let ran = login(&world, &registry.host(), PASSWORD, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: ") && ran.stderr.contains("asks for no credentials"),
        "{}",
        ran.stderr
    );
}
