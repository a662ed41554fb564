//! The user scope on disk: what an edit leaves behind, and several at once.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strata_config::{
    AccessPair, Asked, ConfigError, Configuration, Mirrors, NewMirror, PlainText, Surroundings,
};

/// The user scope in a directory.
struct UserScope {
    dir: PathBuf,
    configuration: Configuration,
}

impl UserScope {
    fn new(dir: PathBuf) -> Self {
        let mut surroundings = Surroundings::default();
        let variable = |name: &str, value: &Path| (name.to_owned(), value.to_str().unwrap().to_owned());
        surroundings.variables.extend([
            variable("SPACK_USER_CONFIG_PATH", &dir),
            variable("SPACK_SYSTEM_CONFIG_PATH", Path::new("/nowhere")),
        ]);
        let configuration = Configuration::load(surroundings, &Asked::default()).unwrap();
        Self { dir, configuration }
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn mirrors_path(&self) -> PathBuf {
        self.dir.join("mirrors.yaml")
    }

    fn mirrors(&self) -> Result<Mirrors, ConfigError> {
        Mirrors::of_scope(&self.configuration, self.configuration.scope("user")?)
    }

    fn add_mirror(&self, new: &NewMirror) -> Result<(), ConfigError> {
        self.configuration.add_mirror(None, new).map(drop)
    }

    fn remove_mirror(&self, name: &str) -> Result<(), ConfigError> {
        self.configuration.remove_mirror(Some("user"), name, false).map(drop)
    }
}

fn scope(dir: &Path) -> UserScope {
    UserScope::new(dir.join("spack/config"))
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_scope_that_does_not_exist_is_empty_until_something_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let scope = scope(dir.path());
    assert!(scope.mirrors().unwrap().is_empty());
    assert!(matches!(scope.remove_mirror("a"), Err(ConfigError::NoSuchMirror { .. })));
    assert!(!scope.dir().exists(), "reading makes nothing");

    scope.add_mirror(&NewMirror::new("a", "oci://h/a")).unwrap();
    scope.add_mirror(&NewMirror::new("b", "oci://h/b")).unwrap();
    let text = fs::read_to_string(scope.mirrors_path()).unwrap();
    assert_eq!(text, "mirrors:\n  b: oci://h/b\n  a: oci://h/a\n");
    assert_eq!(files(scope.dir()), ["mirrors.yaml"], "nothing is left beside it");
    scope.remove_mirror("a").unwrap();
    assert_eq!(scope.mirrors().unwrap().len(), 1);
    let error = scope.add_mirror(&NewMirror::new("b", "x")).unwrap_err();
    assert!(matches!(error, ConfigError::MirrorExists { .. }), "{error}");
}

#[test]
fn mode_and_symbolic_link_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let scope = scope(dir.path());
    fs::create_dir_all(scope.dir()).unwrap();
    fs::create_dir(dir.path().join("dotfiles")).unwrap();
    let real = dir.path().join("dotfiles/mirrors.yaml");
    fs::write(&real, "# mine\nmirrors: {}\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("../../dotfiles/mirrors.yaml", scope.mirrors_path()).unwrap();
    scope.add_mirror(&NewMirror::new("a", "oci://h/a")).unwrap();
    assert!(scope.mirrors_path().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "# mine\nmirrors:\n  a: oci://h/a\n");
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(files(&dir.path().join("dotfiles")), ["mirrors.yaml"]);
    assert_eq!(files(scope.dir()), ["mirrors.yaml"]);
}

#[test]
fn a_file_that_cannot_be_understood_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let scope = scope(dir.path());
    fs::create_dir_all(scope.dir()).unwrap();
    for text in [&b"mirrors:\n  a: [\n"[..], b"mirrors: text\n", b"mirrors:\n  a: \xff\n"] {
        fs::write(scope.mirrors_path(), text).unwrap();
        let error = scope.add_mirror(&NewMirror::new("b", "oci://h/b")).unwrap_err();
        assert!(error.to_string().contains("mirrors.yaml"), "{error}");
        assert!(scope.remove_mirror("a").is_err());
        assert_eq!(fs::read(scope.mirrors_path()).unwrap(), text);
        assert_eq!(files(scope.dir()), ["mirrors.yaml"]);
    }
    fs::remove_file(scope.mirrors_path()).unwrap();
    fs::create_dir(scope.mirrors_path()).unwrap();
    assert!(matches!(scope.mirrors(), Err(ConfigError::Read { .. })));
    std::os::unix::fs::symlink("nowhere/mirrors.yaml", dir.path().join("mirrors.yaml")).unwrap();
    let dangling = UserScope::new(dir.path().to_owned());
    let error = dangling.add_mirror(&NewMirror::new("b", "oci://h/b")).unwrap_err();
    assert!(matches!(error, ConfigError::Write { .. }), "{error}");
    let below_a_file = UserScope::new(dir.path().join("file/scope"));
    fs::write(dir.path().join("file"), "").unwrap();
    let error = below_a_file.add_mirror(&NewMirror::new("b", "oci://h/b")).unwrap_err();
    assert!(matches!(error, ConfigError::Write { .. }), "{error}");
}

const DIRECTORY: &str = "STRATA_TEST_SCOPE";

#[test]
fn several_processes_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4)
        .map(|child| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--ignored", "adds_in_a_child"])
                .env(DIRECTORY, dir.path())
                .env("STRATA_TEST_CHILD", child.to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mirrors = scope(dir.path()).mirrors().unwrap();
    assert_eq!(mirrors.len(), 40);
    for (child, number) in (0..4).flat_map(|child| (0..10).map(move |number| (child, number))) {
        assert!(mirrors.get(&format!("m{child}-{number}")).is_some());
    }
}

#[test]
#[ignore = "run by several_processes_at_once_lose_nothing"]
fn adds_in_a_child() {
    let dir = std::env::var_os(DIRECTORY).expect("set by the other test");
    let child = std::env::var("STRATA_TEST_CHILD").unwrap();
    for number in 0..10 {
        let new = NewMirror::new(format!("m{child}-{number}"), "oci://h/x");
        scope(Path::new(&dir)).add_mirror(&new).unwrap();
    }
}

#[test]
fn a_file_made_for_a_password_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let pair = AccessPair::PlainText { id: "joe".to_owned(), secret: PlainText::new("word") };
    let private = NewMirror { access_pair: Some(pair), ..NewMirror::new("a", "oci://h/a") };
    let scope = scope(dir.path());
    scope.add_mirror(&private).unwrap();
    let mode = || scope.mirrors_path().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    scope.add_mirror(&NewMirror::new("b", "oci://h/b")).unwrap();
    assert_eq!(mode(), 0o600, "it stays so");
    // What is there has the mode that somebody gave it.
    fs::set_permissions(scope.mirrors_path(), fs::Permissions::from_mode(0o640)).unwrap();
    scope.add_mirror(&NewMirror { name: "c".to_owned(), ..private }).unwrap();
    assert_eq!(mode(), 0o640);
}
