//! Who strata is for a registry: where credentials come from, in which order, and where they do not go.

use crate::support::exit_code::{NOT_ALLOWED, UNREACHABLE, USAGE};
use crate::support::{Ran, World, text};
use std::path::PathBuf;
use strata_testkit::certificates::Authority;
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;

const USER: &str = "joe";
const PASSWORD: &str = "correct horse";

/// A registry for one user, and surroundings with an empty cache to list in them.
fn private() -> Option<(World, DockerRegistry)> {
    let Some(registry) = DockerRegistry::builder().user(USER, PASSWORD).start() else {
        golden::skipped("credentials", "docker-registry is not installed");
        return None;
    };
    Some((World::new(), registry))
}

/// What Docker and podman keep for a password.
fn auth_file(registry: &DockerRegistry, password: &str) -> String {
    let pair = data_encoding::BASE64.encode(format!("{USER}:{password}").as_bytes());
    format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}\n", registry.host())
}

fn write(path: PathBuf, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Lists a cache with these environment variables.
fn list(world: &World, mirror: &str, environment: &[(&str, &str)]) -> Ran {
    let mut command = world.command();
    command.args(["buildcache", "list", "--mirror", mirror]).envs(environment.iter().copied());
    command.output().unwrap().into()
}

#[track_caller]
fn works(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_mirror_with_an_access_pair_is_pushed_to_and_installed_from() {
    let Some((world, registry)) = private() else { return };
    let store = world.sample_store();
    let add = ["mirror", "add", "ours", &registry.url("cache"), "--oci-username", USER];
    world.ok([&add[..], &["--oci-password-variable", "OUR_PASSWORD"]].concat());
    let run = |arguments: &[&str], password: Option<&str>| -> Ran {
        let mut command = world.command();
        command.args(arguments).envs(password.map(|value| ("OUR_PASSWORD", value)));
        command.output().unwrap().into()
    };
    let push = ["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", "ours"];
    let unset = run(&push, None);
    unset.fails(
        2,
        &["the mirror ours takes its password from the environment variable OUR_PASSWORD", "hint:"],
    );
    assert!(unset.stderr.contains(text(&world.path("user-scope/mirrors.yaml"))), "{}", unset.stderr);
    let wrong = run(&push, Some("wrong"));
    wrong.fails(NOT_ALLOWED, &["as joe", "the access pair of mirror ours", "strata login", &registry.host()]);
    works(&run(&push, Some(PASSWORD)));
    let root = world.path("root");
    works(&run(&["--store", text(&root), "install", "greet"], Some(PASSWORD)));
    // Its URL stands for it.
    works(&run(&["buildcache", "list", "--mirror", &registry.url("cache")], Some(PASSWORD)));
    list(&world, &registry.url("other"), &[("OUR_PASSWORD", PASSWORD)])
        .fails(NOT_ALLOWED, &["without credentials", "STRATA_USERNAME"]);
}

#[test]
fn the_access_pair_comes_before_the_environment_and_that_before_files() {
    let Some((world, registry)) = private() else { return };
    let url = registry.url("cache");
    world.ok(["mirror", "add", "open", &url]);
    list(&world, "open", &[]).fails(NOT_ALLOWED, &[]);

    let (right, wrong) = (("STRATA_PASSWORD", PASSWORD), ("STRATA_PASSWORD", "wrong"));
    let user = ("STRATA_USERNAME", USER);
    works(&list(&world, "open", &[user, right]));
    list(&world, "open", &[user, wrong]).fails(NOT_ALLOWED, &["STRATA_USERNAME and STRATA_PASSWORD"]);
    list(&world, "open", &[user]).fails(2, &["STRATA_USERNAME is given, and STRATA_PASSWORD is not"]);

    // A file has the right ones, and is asked only if nobody else knows any.
    write(world.path("home/.docker/config.json"), &auth_file(&registry, PASSWORD));
    works(&list(&world, "open", &[]));
    list(&world, "open", &[user, wrong]).fails(NOT_ALLOWED, &["STRATA_USERNAME and STRATA_PASSWORD"]);

    let add = ["mirror", "add", "pair", &registry.url("paired"), "--oci-username", USER];
    world.ok([&add[..], &["--oci-password-variable", "PAIR"]].concat());
    works(&list(&world, "pair", &[user, wrong, ("PAIR", PASSWORD)]));
    list(&world, "pair", &[user, right, ("PAIR", "wrong")]).fails(NOT_ALLOWED, &["mirror pair"]);
}

#[test]
fn credential_files_are_asked_in_their_order() {
    let Some((world, registry)) = private() else { return };
    let url = registry.url("cache");
    let configured = world.path("xdg");
    let docker = world.path("docker");
    let named = world.path("named.json");
    let places = [
        ("DOCKER_CONFIG", docker.clone(), docker.join("config.json")),
        ("XDG_CONFIG_HOME", configured.clone(), configured.join("containers/auth.json")),
        ("XDG_RUNTIME_DIR", world.path("runtime"), world.path("runtime/containers/auth.json")),
        ("REGISTRY_AUTH_FILE", named.clone(), named),
    ];
    let environment: Vec<(&str, &str)> = places.iter().map(|(name, value, _)| (*name, text(value))).collect();
    for (name, _, file) in &places {
        // Each is asked before those that were written so far, whether it is right or not.
        write(file.clone(), &auth_file(&registry, "wrong"));
        let refused = list(&world, &url, &environment);
        refused.fails(NOT_ALLOWED, &[text(file)]);
        assert!(!refused.stderr.contains("wrong\""), "{}", refused.stderr);
        write(file.clone(), &auth_file(&registry, PASSWORD));
        let ran = list(&world, &url, &environment);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_file_or_helper_that_cannot_be_used_is_named_with_what_comes_before_it() {
    let Some((world, registry)) = private() else { return };
    let (url, file) = (registry.url("cache"), world.path("home/.docker/config.json"));
    let missing = r#"{"credsStore": "of-no-such-name"}"#;
    for (content, problem) in
        [("{hush", "not JSON"), (missing, "docker-credential-of-no-such-name: no such program")]
    {
        write(file.clone(), content);
        let ran = list(&world, &url, &[]);
        ran.fails(USAGE, &[text(&file), problem, "STRATA_USERNAME with STRATA_PASSWORD"]);
        assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
        works(&list(&world, &url, &[("STRATA_USERNAME", USER), ("STRATA_PASSWORD", PASSWORD)]));
    }
}

#[test]
fn the_environment_is_not_for_a_second_registry() {
    let Some((world, registry)) = private() else { return };
    let Some(other) = DockerRegistry::builder().user(USER, PASSWORD).start() else { return };
    let environment = [("STRATA_USERNAME", USER), ("STRATA_PASSWORD", PASSWORD)];
    for (name, url) in [("one", registry.url("a")), ("same", registry.url("b"))] {
        world.ok(["mirror", "add", name, &url]);
    }
    let all =
        || -> Ran { world.command().args(["buildcache", "list"]).envs(environment).output().unwrap().into() };
    works(&all());
    world.ok(["mirror", "add", "two", &other.url("c")]);
    all().fails(
        NOT_ALLOWED,
        &[
            "warning: not using STRATA_USERNAME and STRATA_PASSWORD",
            &registry.host(),
            &other.host(),
            "without",
        ],
    );
    // What is meant for TLS does not go without it.
    world.ok(["mirror", "remove", "two"]);
    world.ok(["mirror", "add", "two", &registry.url("c").replace("oci+http://", "oci://")]);
    assert!(all().stderr.contains("warning: not using STRATA_USERNAME and STRATA_PASSWORD"));
    // A directory is no registry.
    world.ok(["mirror", "remove", "two"]);
    let (_, layout) = world.sample_cache();
    world.ok(["mirror", "add", "disk", &layout]);
    works(&all());
}

#[test]
fn a_registry_whose_certificate_only_a_private_authority_knows() {
    let authority = Authority::new();
    let Some(registry) = DockerRegistry::builder().user(USER, PASSWORD).tls(&authority).start() else {
        return golden::skipped("private authority", "docker-registry is not installed");
    };
    let world = World::new();
    let url = registry.url("cache");
    let environment = [("STRATA_USERNAME", USER), ("STRATA_PASSWORD", PASSWORD)];
    list(&world, &url, &environment).fails(UNREACHABLE, &["--ca-file", "certs.d"]);
    let ca_file = authority.ca_file();
    works(&list(&world, &url, &[&environment[..], &[("STRATA_CA_FILE", text(&ca_file))]].concat()));
    let directory = world.path("home/.config/containers/certs.d").join(registry.host());
    write(directory.join("ca.crt"), &std::fs::read_to_string(&ca_file).unwrap());
    works(&list(&world, &url, &environment));
    let missing = list(&world, &url, &[("STRATA_CA_FILE", "/no/such/file.pem")]);
    missing.fails(2, &["/no/such/file.pem", "--ca-file"]);
    list(&world, &url, &[("STRATA_CLIENT_CERT", "/x.pem")]).fails(2, &["--client-key is not"]);
}
