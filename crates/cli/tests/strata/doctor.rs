//! `strata doctor`: one line for each thing that a registry can do or not.

use crate::support::{Ran, World, text};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;
use strata_testkit::registry::TestRegistry;

/// The word before the check of that name.
fn word<'o>(output: &'o str, check: &str) -> Option<&'o str> {
    let line = output.lines().find(|line| line.split_whitespace().nth(1) == Some(check))?;
    line.split_whitespace().next()
}

#[test]
fn a_registry_that_can_do_everything() {
    let world = World::new();
    let store = world.sample_store();
    let registry = TestRegistry::start();
    let url = registry.url("cache");
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", &url]);
    let before = std::fs::read(registry.directory().join("cache/index.json")).unwrap();
    let output = world.ok(["doctor", &url]);
    assert!(output.starts_with(&format!("{url}\n")), "{output}");
    for check in ["reach", "api", "pull", "push", "delete", "referrers"] {
        assert_eq!(word(&output, check), Some("ok"), "{check}: {output}");
    }
    assert_eq!(std::fs::read(registry.directory().join("cache/index.json")).unwrap(), before);

    let json = world.run(["doctor", &url, "--json"]).json();
    let checks = json["result"]["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["name"].is_string() && check["detail"].is_string()), "{json}");
    assert!(checks.iter().any(|check| check["name"] == "pull" && check["outcome"] == "yes"), "{json}");
    assert_eq!(json["ok"], true);
}

#[test]
fn a_mirror_whose_credentials_are_right_or_wrong() {
    let Some(registry) = DockerRegistry::builder().user("joe", "correct horse").start() else {
        return golden::skipped("doctor", "docker-registry is not installed");
    };
    let world = World::new();
    let add = ["mirror", "add", "ours", &registry.url("cache"), "--oci-username", "joe"];
    world.ok([&add[..], &["--oci-password-variable", "PW"]].concat());
    let doctor = |password: &str| -> Ran {
        world.command().args(["doctor", "ours"]).env("PW", password).output().unwrap().into()
    };
    let fine = doctor("correct horse");
    assert_eq!(fine.code, Some(0), "{}{}", fine.stdout, fine.stderr);
    assert_eq!(word(&fine.stdout, "push"), Some("ok"), "{}", fine.stdout);
    let refused = doctor("wrong horse");
    assert_eq!(refused.code, Some(77), "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stdout.contains("joe"), "{}", refused.stdout);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains("wrong horse"));
}

#[test]
fn one_that_nobody_answers_at_and_one_on_disk() {
    let world = World::new();
    let nobody = world.run(["doctor", "oci+http://127.0.0.1:1/cache"]);
    assert_eq!(nobody.code, Some(69), "{}{}", nobody.stdout, nobody.stderr);
    assert_eq!(word(&nobody.stdout, "reach"), Some("FAILED"), "{}", nobody.stdout);
    let (_, layout) = world.sample_cache();
    let disk = world.run(["doctor", &layout]);
    assert_eq!(disk.code, Some(0), "{}{}", disk.stdout, disk.stderr);
    assert_eq!(word(&disk.stdout, "pull"), Some("ok"), "{}", disk.stdout);
}
