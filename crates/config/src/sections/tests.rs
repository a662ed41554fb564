// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Asked, ConfigError, Configuration, Surroundings};
use std::path::PathBuf;
use std::time::Duration;

/// What a user's files and settings of the command line say.
fn configured(directory: &tempfile::TempDir, files: &[(&str, &str)], settings: &[&str]) -> Configuration {
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let path = directory.path().to_string_lossy().into_owned();
    let surroundings = Surroundings {
        home: "/home/me".into(),
        working_directory: "/work".into(),
        variables: [
            ("SPACK_USER_CONFIG_PATH".to_owned(), path),
            ("SPACK_SYSTEM_CONFIG_PATH".to_owned(), "/nowhere".to_owned()),
        ]
        .into(),
        ..Surroundings::default()
    };
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    Configuration::load(surroundings, &Asked { settings, ..Asked::default() }).unwrap()
}

fn tree(text: &str) -> Result<InstallTree, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    InstallTree::of(&configured(&directory, &[("config.yaml", text)], &[]))
}

#[test]
fn an_install_tree_has_old_forms_too() {
    let all = |format: &str| vec![("all".to_owned(), format.to_owned())];
    for (text, root, padded_length, projections) in [
        ("", None, None, Vec::new()),
        ("config:\n  install_tree:\n    root: ~/x/\n", Some("/home/me/x"), None, Vec::new()),
        (
            "config:\n  install_tree:\n    root: /x\n    padded_length: 128\n",
            Some("/x"),
            Some(128),
            Vec::new(),
        ),
        (
            "config:\n  install_tree:\n    root: /x\n    padded_length: true\n",
            Some("/x"),
            Some(3796),
            Vec::new(),
        ),
        ("config:\n  install_tree:\n    root: /x\n    padded_length: false\n", Some("/x"), None, Vec::new()),
        ("config:\n  install_tree:\n    root: /x/$padding:64\n", Some("/x"), Some(64), Vec::new()),
        ("config:\n  install_tree:\n    root: /x/${padding:64}\n", Some("/x"), Some(64), Vec::new()),
        ("config:\n  install_tree:\n    root: /x/${padding}\n", Some("/x"), Some(3796), Vec::new()),
        ("config:\n  install_tree: /x\n", Some("/x"), None, Vec::new()),
        ("config:\n  install_tree: /x\n  install_path_scheme: '{name}'\n", Some("/x"), None, all("{name}")),
        ("config:\n  install_tree:\n    projections:\n      all: '{hash}'\n", None, None, all("{hash}")),
    ] {
        let expected = InstallTree { root: root.map(PathBuf::from), padded_length, projections };
        assert_eq!(tree(text).unwrap(), expected, "{text}");
    }
    let error = tree("config:\n  install_tree:\n    root: $spack/opt\n").unwrap_err().to_string();
    assert!(error.contains("config.yaml:3:11: `$spack/opt` cannot be used"), "{error}");
    assert!(error.contains("SPACK_ROOT"), "{error}");
}

#[test]
fn relative_paths_start_at_their_file() {
    let directory = tempfile::tempdir().unwrap();
    let text = "config:\n  install_tree:\n    root: ../store\n";
    let configuration = configured(&directory, &[("config.yaml", text)], &[]);
    let expected = directory.path().parent().unwrap().join("store");
    assert_eq!(InstallTree::of(&configuration).unwrap().root, Some(expected));
    let configuration = configured(&directory, &[], &["config:install_tree:root:store"]);
    assert_eq!(InstallTree::of(&configuration).unwrap().root, Some("/work/store".into()));
}

#[test]
fn locks_are_as_configured() {
    let directory = tempfile::tempdir().unwrap();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let configuration = configured(&directory, &[], &[]);
    let expected = Locks { enabled: true, database_timeout: seconds(120), package_timeout: None };
    assert_eq!(Locks::of(&configuration).unwrap(), expected);
    let text = "config:\n  locks: false\n  db_lock_timeout: 3\n  package_lock_timeout: 7\n";
    let configuration = configured(&directory, &[("config.yaml", text)], &[]);
    let expected = Locks { enabled: false, database_timeout: seconds(3), package_timeout: seconds(7) };
    assert_eq!(Locks::of(&configuration).unwrap(), expected);
}

#[test]
fn upstreams_are_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let text = "upstreams:\n  b:\n    install_tree: /b\n  a:\n    install_tree: ~/a\n";
    let configuration = configured(&directory, &[("upstreams.yaml", text)], &[]);
    let upstream = |name: &str, tree: &str| Upstream { name: name.to_owned(), install_tree: tree.into() };
    assert_eq!(Upstream::all(&configuration).unwrap(), [upstream("b", "/b"), upstream("a", "/home/me/a")]);
    let configuration = configured(&directory, &[("upstreams.yaml", "upstreams:\n  b: {}\n")], &[]);
    assert!(Upstream::all(&configuration).unwrap_err().to_string().contains("2:6: the upstream `b`"));
}

#[test]
fn permissions_of_a_package_come_before_those_of_all() {
    let directory = tempfile::tempdir().unwrap();
    let text = "packages:\n  all:\n    permissions: {read: group, write: group, group: hpc}\n  vim:\n    permissions:\n      \
                read: world\n  gcc:\n    permissions:\n      read: user\n";
    let configuration = configured(&directory, &[("packages.yaml", text)], &[]);
    let of = |package| Permissions::of(&configuration, package);
    let some = |text: &str| Some(text.to_owned());
    let all = Permissions { group: some("hpc"), read: some("group"), write: some("group") };
    assert_eq!(of("zlib").unwrap(), all);
    assert_eq!(of("vim").unwrap(), Permissions { read: some("world"), ..all });
    let error = of("gcc").unwrap_err().to_string();
    assert!(error.contains("packages.yaml:3:") && error.contains("may write the package gcc"), "{error}");
}

#[test]
fn the_concretizer_is_as_configured() {
    let directory = tempfile::tempdir().unwrap();
    let of = |text: &str| {
        let configuration = configured(&directory, &[("concretizer.yaml", text)], &[]);
        Concretizer::of(&configuration).unwrap()
    };
    assert_eq!(of(""), Concretizer::default());
    assert_eq!(of("concretizer:\n  unify: when_possible\n").unify, Unify::WhenPossible);
    assert_eq!(of("concretizer:\n  unify: false\n").unify, Unify::Separately);
    assert!(!of("concretizer:\n  reuse: dependencies\n").reuse.roots);
    assert!(!of("concretizer:\n  reuse: false\n").reuse.dependencies);
    let text = "concretizer:\n  reuse:\n    exclude: [zlib]\n    from:\n    - type: buildcache\n      include: [vim]\n";
    let reuse = of(text).reuse;
    assert_eq!(reuse.exclude, ["zlib"]);
    assert_eq!(
        (reuse.sources[0].kind.as_str(), reuse.sources[0].include.as_slice()),
        ("buildcache", ["vim".to_owned()].as_slice())
    );
}

#[test]
fn externals_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let text = "packages:\n  all:\n    buildable: false\n  zlib:\n    buildable: true\n    externals:\n    - spec: zlib@1\n      \
                prefix: /usr\n  mpi:\n    externals:\n    - spec: openmpi@4\n      modules: [a, b]\n";
    let configuration = configured(&directory, &[("packages.yaml", text)], &[]);
    let found = External::all(&configuration).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].prefix.clone(), found[0].is_buildable), (Some("/usr".into()), true));
    assert_eq!(
        (found[1].modules.join(" "), found[1].is_buildable, found[1].origin.line),
        ("a b".to_owned(), false, 11)
    );
}
