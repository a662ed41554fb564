//! `strata mirror …` in all scopes, and in an environment.

use crate::support::exit_code::USAGE;
use crate::support::{World, text};
use std::fs;

fn read(world: &World, file: &str) -> String {
    fs::read_to_string(world.path(file)).unwrap_or_default()
}

/// An environment in `env`.
fn environment(world: &World, manifest: &str) {
    fs::create_dir_all(world.path("env")).unwrap();
    fs::write(world.path("env/spack.yaml"), manifest).unwrap();
}

#[test]
fn a_mirror_is_changed_where_it_is_and_all_else_stays() {
    let world = World::new();
    world.ok(["mirror", "add", "--autopush", "--type", "binary", "ours", "oci://h.example/ours"]);
    let file = "user-scope/mirrors.yaml";
    let expected = "mirrors:\n  ours:\n    url: oci://h.example/ours\n    binary: true\n    source: false\n    \
                    autopush: true\n";
    assert_eq!(read(&world, file), expected);
    fs::write(world.path(file), format!("# mine\n{expected}  plain: 'oci://h.example/plain' # so\n"))
        .unwrap();
    world.ok(["mirror", "set", "ours", "--no-autopush", "--unsigned"]);
    world.ok(["mirror", "set-url", "--push", "plain", "oci://h.example/pushed"]);
    world.ok(["mirror", "rename", "ours", "theirs"]);
    let expected = "# mine\nmirrors:\n  theirs:\n    url: oci://h.example/ours\n    binary: true\n    source: false\n    \
                    autopush: false\n    signed: false\n  plain: # so\n    url: 'oci://h.example/plain'\n    \
                    push: oci://h.example/pushed\n";
    assert_eq!(read(&world, file), expected);
    let listed = world.ok(["mirror", "list"]);
    assert_eq!(
        listed,
        "theirs [ b] oci://h.example/ours\nplain  [sb] fetch: oci://h.example/plain push: oci://h.example/pushed\n"
    );
    let same = world.ok(["mirror", "set", "theirs", "--unsigned"]);
    assert!(same.contains("says that already"), "{same}");
    let rows = &world.run(["--json", "mirror", "list"]).json()["result"]["mirrors"];
    assert_eq!((&rows[1]["scope"], &rows[1]["file"]), (&"user".into(), &text(&world.path(file)).into()));
    assert_eq!((&rows[0]["autopush"], &rows[0]["source"]), (&false.into(), &false.into()));
}

#[test]
fn an_environment_has_mirrors_of_its_own() {
    let world = World::new();
    environment(&world, "spack:\n  specs: [zlib] # few\n  view: true\n");
    let env = world.path("env");
    let env = text(&env);
    world.ok(["mirror", "add", "low", "oci://h.example/low"]);
    world.ok(["-e", env, "mirror", "add", "high", "oci://h.example/high"]);
    let with = "spack:\n  specs: [zlib] # few\n  view: true\n  mirrors:\n    high: oci://h.example/high\n";
    assert_eq!(read(&world, "env/spack.yaml"), with);
    let both = "high [sb] oci://h.example/high\nlow  [sb] oci://h.example/low\n";
    assert_eq!(world.ok(["-e", env, "mirror", "list"]), both);
    assert_eq!(world.ok(["-e", env, "mirror", "list", "--scope", "user"]), "low [sb] oci://h.example/low\n");
    assert_eq!(world.ok(["mirror", "list"]), "low [sb] oci://h.example/low\n");
    // It is said where the mirror is that is not where it was looked for.
    let elsewhere = ["no mirror named low in", "spack.yaml", "the scope user has it", "--scope"];
    world.run(["-e", env, "mirror", "set-url", "low", "oci://h.example/x"]).fails(USAGE, &elsewhere);
    world.ok(["-e", env, "mirror", "set-url", "--scope", "user", "low", "oci://h.example/x"]);
    // The same name twice: the highest is removed first.
    let twice = world.run(["-e", env, "mirror", "add", "low", "oci://h.example/mine"]);
    assert!(twice.stderr.contains("low is configured in user too"), "{}", twice.stderr);
    let removed = world.run(["-e", env, "mirror", "remove", "low"]);
    assert!(removed.stderr.contains("still configured in user"), "{}", removed.stderr);
    assert_eq!(read(&world, "env/spack.yaml"), with);
    world.ok(["-e", env, "mirror", "add", "low", "oci://h.example/mine"]);
    world.ok(["-e", env, "mirror", "rm", "--all-scopes", "low"]);
    assert_eq!(world.ok(["-e", env, "mirror", "list"]), "high [sb] oci://h.example/high\n");
    assert_eq!(read(&world, "user-scope/mirrors.yaml"), "mirrors: {}\n");
}

#[test]
fn what_means_nothing_is_refused_and_writes_nothing() {
    let world = World::new();
    world.ok(["mirror", "add", "ours", "oci://h.example/ours"]);
    let before = read(&world, "user-scope/mirrors.yaml");
    for (arguments, expected) in [
        (vec!["set", "ours"], "nothing is said"),
        (vec!["set", "gone", "--unsigned"], "no mirror named gone in"),
        (vec!["set", "ours", "--oci-username", "joe"], "both parts of the access pair"),
        (vec!["set", "ours", "--url", "https://h.example/x"], "https://h.example/x"),
        (vec!["set", "ours", "--push", "--signed"], "cannot be used with"),
        (vec!["set", "ours", "--push", "--fetch", "--url", "oci://h.example/x"], "cannot be used with"),
        (vec!["set", "ours", "--oci-password-variable", "not a name"], "name of an environment variable"),
        (vec!["add", "s3", "oci://h.example/x", "--s3-profile", "p"], "S3"),
        (vec!["add", "ours", "oci://h.example/x"], "already exists in"),
        (vec!["add", "new", "oci://h.example/x", "--scope", "nowhere"], "no configuration scope `nowhere`"),
        (vec!["add", "new", "oci://h.example/x", "--type", "other"], "other"),
        (vec!["rename", "gone", "new"], "no mirror named gone in"),
        (vec!["rename", "ours", "a\nb"], "cannot be the name"),
        (vec!["remove", "gone"], "no mirror named gone is configured; there are: ours"),
        (vec!["list", "--scope", "nowhere"], "there are: "),
    ] {
        let arguments: Vec<&str> = ["mirror"].into_iter().chain(arguments).collect();
        world.run(&arguments).fails(USAGE, &[expected]);
        assert_eq!(read(&world, "user-scope/mirrors.yaml"), before, "{arguments:?}");
    }
}

#[test]
fn an_access_pair_is_changed_part_by_part() {
    let world = World::new();
    let file = "user-scope/mirrors.yaml";
    world.ok([
        "mirror",
        "add",
        "m",
        "oci://h.example/m",
        "--oci-username",
        "joe",
        "--oci-password-variable",
        "PW",
    ]);
    world.ok(["mirror", "set", "m", "--oci-username-variable", "WHO"]);
    world.ok(["mirror", "set", "m", "--push", "--oci-password-variable", "PUSH"]);
    let expected = "mirrors:\n  m:\n    url: oci://h.example/m\n    access_pair:\n      id_variable: WHO\n      \
                    secret_variable: PW\n    push:\n      access_pair:\n        id_variable: WHO\n        \
                    secret_variable: PUSH\n";
    assert_eq!(read(&world, file), expected);
    let unset = world.run(["buildcache", "list", "--mirror", "m"]);
    unset.fails(USAGE, &["the mirror m takes its user from the environment variable WHO", file]);
}
