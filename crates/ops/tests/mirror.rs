//! Who to be for a mirror: its access pair for the direction, else what the caller brings.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use strata_config::{Asked, Configuration, Surroundings};
use strata_oci::{Credentials, Identity, Secret, Transport};
use strata_ops::mirror::{Caches, Direction};

const MIRRORS: &str = "mirrors:
  named: {url: 'oci://h.example/n', access_pair: {id: joe, secret_variable: PW}}
  two:
    fetch: oci://h.example/two
    push: {url: 'oci://h.example/two', access_pair: {id_variable: WHO, secret_variable: PUSH}}
  old: {url: 'oci://h.example/old', access_pair: [ann, plain text]}
  none: oci://h.example/none
";

fn variable(name: &str) -> Option<String> {
    match name {
        "PW" => Some("from PW".to_owned()),
        "WHO" => Some("pusher".to_owned()),
        _ => None,
    }
}

/// The configuration whose user scope is the directory of `file`.
fn configuration(file: &Path) -> Configuration {
    let mut surroundings = Surroundings::default();
    let variables = [
        ("SPACK_USER_CONFIG_PATH", file.parent().unwrap().to_str().unwrap()),
        ("SPACK_SYSTEM_CONFIG_PATH", "/nowhere"),
    ];
    surroundings.variables.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Configuration::load(surroundings, &Asked::default()).unwrap()
}

fn credentials(file: &Path, mirror: &str, direction: Direction) -> Result<Credentials, String> {
    let transport = Transport::default();
    let brought = Credentials::password("env", Secret::new("brought"), "the environment");
    let configuration = configuration(file);
    let caches = Caches {
        configuration: &configuration,
        transport: &transport,
        variable: &variable,
        credentials: Some(brought),
    };
    let address = caches.address(mirror, direction).map_err(|e| e.to_string())?;
    assert!(address.registry().is_some_and(|registry| registry.ends_with("://h.example")));
    Ok(caches.credentials(&address).map_err(|e| e.to_string())?.unwrap())
}

#[test]
fn the_access_pair_of_the_direction_comes_before_what_is_brought() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mirrors.yaml");
    std::fs::write(&file, MIRRORS).unwrap();
    let who = |mirror, direction| {
        let credentials = credentials(&file, mirror, direction).unwrap();
        let Identity::Password { username, password } = credentials.identity else { panic!("a password") };
        (username, password.expose().to_owned(), credentials.origin)
    };
    let expected =
        |user: &str, password: &str, origin: &str| (user.to_owned(), password.to_owned(), origin.to_owned());
    let named = expected("joe", "from PW", "the access pair of mirror named");
    assert_eq!(who("named", Direction::Fetch), named);
    assert_eq!(who("named", Direction::Push), named);
    assert_eq!(who("oci://h.example/n", Direction::Update), named, "the URL of a mirror stands for it");
    let old = expected("ann", "plain text", "the access pair of mirror old");
    assert_eq!(who("old", Direction::Fetch), old);
    let brought = expected("env", "brought", "the environment");
    for (mirror, direction) in [
        ("two", Direction::Fetch),
        ("none", Direction::Push),
        ("oci://h.example/other", Direction::Fetch),
        ("oci+http://h.example/n", Direction::Fetch),
    ] {
        assert_eq!(who(mirror, direction), brought, "{mirror}");
    }
    let error = credentials(&file, "two", Direction::Push).unwrap_err();
    assert!(
        error.contains("the mirror two takes its password from the environment variable PUSH"),
        "{error}"
    );
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn what_else_is_configured_at_a_registry_is_where_blobs_may_be_mounted_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mirrors.yaml");
    let transport = Transport::default();
    let configuration = configuration(&file);
    let caches = Caches {
        configuration: &configuration,
        transport: &transport,
        variable: &variable,
        credentials: None,
    };
    let sibling = |url: &str| caches.sibling(&caches.address(url, Direction::Push).unwrap());
    assert_eq!(sibling("oci://h.example/new"), None, "nothing is configured");
    std::fs::write(&file, MIRRORS).unwrap();
    assert_eq!(sibling("oci://h.example/new").as_deref(), Some("n"));
    assert_eq!(sibling("named").as_deref(), Some("two"), "not itself");
    for elsewhere in ["oci+http://h.example/new", "oci://h.example:5000/new", "oci+file:///n"] {
        assert_eq!(sibling(elsewhere), None, "{elsewhere}");
    }
}

#[test]
fn a_layout_needs_no_configuration_and_a_registry_needs_none_that_exists() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mirrors.yaml");
    let transport = Transport::default();
    let configuration = configuration(&file);
    let caches = Caches {
        configuration: &configuration,
        transport: &transport,
        variable: &variable,
        credentials: None,
    };
    let address = caches.address("oci://h.example/n", Direction::Fetch).unwrap();
    assert!(caches.credentials(&address).unwrap().is_none());
    std::fs::write(&file, "mirrors: [not, a, mapping]\n").unwrap();
    let layout = caches.address("oci+file:///some/cache", Direction::Fetch).unwrap();
    assert_eq!(layout.registry(), None);
    let address = caches.address("oci://h.example/n", Direction::Fetch).unwrap();
    assert!(address.unread().is_some_and(|reason| reason.contains(file.to_str().unwrap())), "{address:?}");
    assert!(caches.address("ours", Direction::Fetch).is_err());
}
