//! `strata env create`, `list`, `status`, `remove`, `rename`, and which environment a command is about.

use crate::support::{Ran, World, exit_code, is_root, text};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A lockfile without nodes.
const EMPTY_LOCK: &str = r#"{"_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
    "roots": [], "concrete_specs": {}}"#;

/// Where environments with names are in a world that has no Spack.
fn root(world: &World) -> PathBuf {
    world.path("home/.local/share/strata/environments")
}

fn list(world: &World) -> String {
    world.ok(["env", "list"])
}

/// Whether nothing was left in a directory by something that did not come to its end.
fn is_clean(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".strata"))
}

#[test]
fn environments_have_names_or_directories() {
    let world = World::new();
    assert_eq!(list(&world), "", "there is not even a directory for them");
    let made = world.ok(["env", "create", "mine"]);
    assert!(made.starts_with("created environment mine in "), "{made}");
    world.ok(["env", "create", "--without-view", "--dir", text(&world.path("group/other"))]);
    world.ok(["env", "create", "--dir", text(&root(&world).join("group/part"))]);
    assert_eq!(list(&world), "group/part\nmine\n");
    let listed = world.run(["--json", "env", "list"]).json();
    assert_eq!(
        listed["result"]["environments"][1],
        json!({"name": "mine", "directory": root(&world).join("mine"), "active": false})
    );
    let manifest = std::fs::read_to_string(root(&world).join("mine/spack.yaml")).unwrap();
    assert!(manifest.contains("  specs: []\n  view: true\n  concretizer:\n    unify: true\n"), "{manifest}");
    let other = std::fs::read_to_string(world.path("group/other/spack.yaml")).unwrap();
    assert!(other.contains("  view: false\n"), "{other}");
    let mode = world.path("group/other").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o700, 0o700);
    assert_ne!(mode & 0o055, 0, "others may look into it, as far as the umask says");

    assert_eq!(world.ok(["-e", "mine", "env", "status"]), "in environment mine, which is not concrete\n");
    assert_eq!(world.ok(["env", "status"]), "no environment is active\n");
    let by_directory = world.ok(["-D", text(&world.path("group/other")), "env", "status"]);
    assert!(by_directory.contains("group/other, which is not concrete"), "{by_directory}");

    world.ok(["env", "rename", "mine", "group/mine"]);
    assert_eq!(list(&world), "group/mine\ngroup/part\n");
    let taken = world.run(["env", "rename", "group/mine", "group/part"]);
    taken.fails(exit_code::USAGE, &["there is an environment already", "group/part"]);
    world.ok(["env", "rename", "-f", "group/mine", "group/part"]);
    world.ok(["env", "rm", "-y", "group/part"]);
    assert_eq!(list(&world), "");
    assert!(!root(&world).join("group").exists() && is_clean(&root(&world)));
}

#[test]
fn an_environment_is_made_from_what_there_is() {
    let world = World::new();
    let given = world.path("given");
    std::fs::create_dir_all(given.join("conf.d")).unwrap();
    let manifest = "spack:\n  # kept as it is\n  include:\n  - conf.d\n  - config.yaml\n  - ../elsewhere.yaml\n  - gone.yaml\n  \
         specs: [zlib]\n";
    std::fs::write(given.join("spack.yaml"), manifest).unwrap();
    std::fs::write(given.join("config.yaml"), "config: {}\n").unwrap();
    std::fs::write(given.join("conf.d/mirrors.yaml"), "mirrors: {}\n").unwrap();
    let mut relative = world.command();
    relative.current_dir(&given).args(["env", "create", "copy", "spack.yaml"]);
    let ran = Ran::from(relative.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("includes gone.yaml, which is not there"), "{}", ran.stderr);
    let copy = root(&world).join("copy");
    assert_eq!(std::fs::read_to_string(copy.join("spack.yaml")).unwrap(), manifest);
    assert!(copy.join("config.yaml").is_file() && copy.join("conf.d/mirrors.yaml").is_file());

    // From another environment, by its name: all of it but for what was generated.
    std::fs::create_dir_all(copy.join(".spack-env/view")).unwrap();
    std::fs::write(copy.join("spack.lock"), EMPTY_LOCK).unwrap();
    let made = world.run(["--json", "env", "create", "again", "copy"]).json();
    assert_eq!(made["result"]["concrete"], true);
    let again = root(&world).join("again");
    assert!(again.join("conf.d/mirrors.yaml").is_file() && !again.join(".spack-env").exists());

    // From a lockfile: what was asked for is wanted. Into a directory that has other things in it.
    let lock = EMPTY_LOCK.replace(
        "\"roots\": []",
        r#""roots": [{"hash": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "spec": "%gcc"}]"#,
    );
    let lock = lock.replace(
        "\"concrete_specs\": {}",
        r#""concrete_specs": {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": {"name": "zlib", "version": "1.3",
            "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64"}, "namespace": "builtin",
            "parameters": {}, "hash": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}"#,
    );
    std::fs::write(world.path("some.lock"), lock).unwrap();
    let place = world.path("place");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("notes"), "mine").unwrap();
    world.ok(["env", "create", "-d", text(&place), text(&world.path("some.lock")), "--with-view", "~/view"]);
    let manifest = std::fs::read_to_string(place.join("spack.yaml")).unwrap();
    assert!(manifest.contains("  specs:\n  - '%gcc'\n"), "{manifest}");
    assert!(manifest.contains(&format!("  view: {}\n", world.path("home/view").display())), "{manifest}");
    assert!(place.join("spack.lock").is_file() && place.join("notes").is_file() && is_clean(&place));

    // With the packages of others.
    world.ok(["env", "create", "sum", "--include-concrete", "again", "--include-concrete", text(&place)]);
    let manifest = std::fs::read_to_string(root(&world).join("sum/spack.yaml")).unwrap();
    assert!(manifest.contains(&format!("  include_concrete:\n  - {}\n", again.display())), "{manifest}");
    let ran = world.run(["env", "rm", "again"]);
    ran.fails(exit_code::SOME_FAILED, &["environment `again` is included by sum", "--force"]);
    world.ok(["env", "rm", "--force", "again"]);
}

#[test]
fn what_cannot_be_an_environment_leaves_nothing_behind() {
    let world = World::new();
    std::fs::create_dir_all(root(&world)).unwrap();
    let create = |arguments: &[&str]| world.run([&["env", "create"], arguments].concat());
    for name in ["-x", "a.b", "a b"] {
        create(&["--", name]).fails(exit_code::USAGE, &["cannot be the name of an environment"]);
    }
    create(&["new", "no/such/file"]).fails(exit_code::NOT_FOUND, &["no/such/file"]);
    let newer = world.path("newer.lock");
    std::fs::write(&newer, EMPTY_LOCK.replace("\"lockfile-version\": 6", "\"lockfile-version\": 99"))
        .unwrap();
    create(&["new", text(&newer)]).fails(exit_code::CORRUPT, &["newer.lock", "version 99", "newer Spack"]);
    std::fs::write(world.path("half.json"), "{").unwrap();
    create(&["new", text(&world.path("half.json"))]).fails(exit_code::CORRUPT, &["half.json"]);
    create(&["new", "--include-concrete", "nowhere"]).fails(exit_code::USAGE, &["`nowhere`"]);
    world.ok(["env", "create", "abstract"]);
    create(&["new", "--include-concrete", "abstract"]).fails(exit_code::USAGE, &["is not concrete"]);
    create(&["abstract"]).fails(exit_code::USAGE, &["there is an environment already"]);
    let directory = root(&world).join("abstract");
    create(&["-d", text(&directory)]).fails(exit_code::USAGE, &["spack.yaml"]);
    create(&["-d", text(&newer)]).fails(exit_code::USAGE, &["is not a directory"]);
    assert_eq!(list(&world), "abstract\n");
    assert!(is_clean(&root(&world)) && is_clean(&directory));
    assert_eq!(std::fs::read_dir(root(&world)).unwrap().count(), 1);
}

#[test]
fn an_environment_that_is_not_there_is_said_to_be_so() {
    let world = World::new();
    let status = |arguments: &[&str]| world.run([arguments, &["env", "status"]].concat());
    status(&["-e", "nowhere"]).fails(exit_code::USAGE, &["no environment `nowhere`", "env list"]);
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    status(&["-D", text(&empty)]).fails(exit_code::USAGE, &["neither a spack.yaml nor a spack.lock"]);
    status(&["-e", text(&empty)]).fails(exit_code::USAGE, &["neither a spack.yaml nor a spack.lock"]);
    let active = |directory: &Path, arguments: &[&str]| {
        Ran::from(world.command().env("SPACK_ENV", directory).args(arguments).output().unwrap())
    };
    let gone = world.path("gone");
    active(&gone, &["env", "status"])
        .fails(exit_code::USAGE, &["the active environment is gone", "gone", "-E"]);
    active(&empty, &["find"]).fails(exit_code::USAGE, &["the active environment is gone", "spack.yaml"]);
    for arguments in [&["-E", "env", "status"][..], &["env", "list"], &["env", "create", "new"]] {
        let ran = active(&gone, arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    }
    let mine = root(&world).join("new");
    assert_eq!(active(&mine, &["env", "status"]).stdout, "in environment new, which is not concrete\n");
    active(&mine, &["env", "rm", "new"]).fails(exit_code::SOME_FAILED, &["is active", "env deactivate"]);
    active(&mine, &["env", "mv", "new", "old"]).fails(exit_code::SOME_FAILED, &["is active"]);
    let listed: serde_json::Value = active(&mine, &["--json", "env", "list"]).json();
    assert_eq!(listed["result"]["environments"][0]["active"], true);
    world.run(["env", "rm", "new", "absent"]).fails(exit_code::SOME_FAILED, &["no environment `absent`"]);
    assert_eq!(list(&world), "", "the one that is there was removed all the same");
}

#[test]
fn of_two_with_one_name_the_named_one_is_meant() {
    let world = World::new();
    world.ok(["env", "create", "twice"]);
    let here = world.path("here");
    world.ok(["env", "create", "-d", text(&here.join("twice"))]);
    let status = |named: &str| {
        Ran::from(world.command().current_dir(&here).args(["-e", named, "env", "status"]).output().unwrap())
    };
    let by_name = status("twice");
    assert_eq!(by_name.stdout, "in environment twice, which is not concrete\n");
    assert!(by_name.stderr.contains("the directory of that name is -e ./twice"), "{}", by_name.stderr);
    let by_path = status("./twice");
    assert!(by_path.stdout.contains(text(&here.join("twice"))), "{}", by_path.stdout);
    assert_eq!(by_path.stderr, "");
    // A link to a directory elsewhere is an environment of that name, and only the link goes.
    symlink(here.join("twice"), root(&world).join("tracked")).unwrap();
    assert_eq!(list(&world), "tracked\ntwice\n");
    let removed = world.ok(["env", "rm", "tracked"]);
    assert!(removed.contains("is still in") && here.join("twice/spack.yaml").is_file(), "{removed}");
}

#[test]
fn configuration_says_where_names_are() {
    let world = World::new();
    let elsewhere = world.path("elsewhere");
    std::fs::create_dir_all(world.path("user-scope")).unwrap();
    let config = format!("config:\n  environments_root: {}\n", elsewhere.display());
    std::fs::write(world.path("user-scope/config.yaml"), config).unwrap();
    world.ok(["env", "create", "mine"]);
    assert!(elsewhere.join("mine/spack.yaml").is_file());
    assert_eq!(list(&world), "mine\n");
    std::fs::write(world.path("user-scope/config.yaml"), "config: [\n").unwrap();
    world.run(["env", "list"]).fails(exit_code::USAGE, &["config.yaml"]);
    // Of a Spack.
    std::fs::remove_file(world.path("user-scope/config.yaml")).unwrap();
    let spack = world.path("spack");
    let mut command = world.command();
    command.env("SPACK_ROOT", &spack).args(["env", "create", "his"]);
    assert!(command.output().unwrap().status.success());
    assert!(spack.join("var/spack/environments/his/spack.yaml").is_file());
}

#[test]
fn a_directory_that_may_not_be_read() {
    if is_root() {
        return strata_testkit::golden::skipped(
            "a_directory_that_may_not_be_read",
            "root may read everything",
        );
    }
    let world = World::new();
    let closed = world.path("closed");
    world.ok(["env", "create", "-d", text(&closed)]);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    world.run(["-e", text(&closed), "find"]).fails(exit_code::NOT_ALLOWED, &["closed"]);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
}
