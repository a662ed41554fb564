//! `packages:permissions`, and stores that belong to somebody else.

use crate::support::exit_code::{NOT_ALLOWED, USAGE};
use crate::support::{Ran, World, install, is_root, text, tree};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use strata_testkit::golden;

fn configure(world: &World, permissions: &str) {
    let scope = world.path("user-scope");
    std::fs::create_dir_all(&scope).unwrap();
    std::fs::write(scope.join("packages.yaml"), format!("packages:\n{permissions}")).unwrap();
}

fn prefix(world: &World, root: &Path, spec: &str) -> PathBuf {
    world.ok(["--store", text(root), "location", "-i", spec]).trim().into()
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

#[test]
fn modes_are_what_is_configured_for_everything_in_a_prefix() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    configure(
        &world,
        "  all:\n    permissions: {read: group, write: group}\n  runner:\n    permissions: {read: world, write: user}\n",
    );
    let root = world.path("root");
    assert_eq!(install(&world, &root, &cache, "hello").code, Some(0));
    for (spec, directory, program, file) in
        [("hello", 0o2770, 0o770, 0o660), ("greet", 0o2770, 0o770, 0o660), ("runner", 0o2755, 0o755, 0o644)]
    {
        let prefix = prefix(&world, &root, spec);
        for path in tree(&prefix).iter().map(|path| prefix.join(path)).chain([prefix.clone()]) {
            let status = path.symlink_metadata().unwrap();
            let allowed: &[u32] = if status.is_dir() { &[directory] } else { &[program, file] };
            assert!(status.is_symlink() || allowed.contains(&mode(&path)), "{path:?} {:o}", mode(&path));
        }
        assert_eq!(mode(&prefix.join(".spack/spec.json")), file);
    }
    let above = prefix(&world, &root, "hello").parent().unwrap().to_owned();
    assert_eq!(mode(&above) & 0o777, mode(&root) & 0o777, "directories of the store are the store's");
}

#[test]
fn permissions_that_cannot_be_given_are_refused_before_anything_is_written() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    for (permissions, code, words) in [
        ("{group: no-such-group-of-anybody}", USAGE, "no group `no-such-group-of-anybody`"),
        ("{read: world, write: world}", USAGE, "allow_sgid"),
        ("{read: user, write: group}", USAGE, "both need to be able to read"),
        ("{read: everybody}", USAGE, "must be one of"),
    ] {
        configure(&world, &format!("  all:\n    permissions: {permissions}\n"));
        install(&world, &root, &cache, "hello").fails(code, &[words]);
        assert!(!root.exists(), "{permissions}");
    }
}

#[test]
fn a_store_of_another_user_and_a_group_that_one_is_not_in() {
    const TEST: &str = "a_store_of_another_user_and_a_group_that_one_is_not_in";
    if !is_root() {
        return golden::skipped(TEST, "only root can be somebody else");
    }
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    assert_eq!(install(&world, &root, &cache, "greet").code, Some(0));
    let before = tree(&root);
    // Everything of the test may be read, and nothing written, but for a home.
    let home = world.path("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::set_permissions(world.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let as_nobody = |store: &Path, arguments: &[&str]| -> Ran {
        let mut command = world.command();
        command.args(["--store", text(store)]).args(arguments).uid(65534).gid(65534);
        command.output().unwrap().into()
    };
    let found = as_nobody(&root, &["find"]);
    if found.stderr.contains("ermission denied (os error 13)") && found.code != Some(0) {
        return golden::skipped(TEST, "the program is where only root may look");
    }
    assert!(found.stdout.contains("greet@1.0"), "{}", found.stderr);
    as_nobody(&root, &["install", "-m", &cache, "hello"]).fails(NOT_ALLOWED, &[text(&root)]);
    as_nobody(&root, &["uninstall", "-y", "greet"]).fails(NOT_ALLOWED, &[text(&root)]);
    assert_eq!(tree(&root), before);

    configure(&world, "  all:\n    permissions: {group: root}\n");
    let own = home.join("store");
    let ran = as_nobody(&own, &["install", "-m", &cache, "hello"]);
    ran.fails(NOT_ALLOWED, &["the group `root`", "not in it", "hint:"]);
    assert!(!own.exists());
}
