//! `strata config`: what the scopes say, who says it, and what is wrong with them.

use crate::support::{World, exit_code};
use std::fs;

/// A world with these files of the user scope.
fn world(files: &[(&str, &str)]) -> World {
    let world = World::new();
    fs::create_dir_all(world.path("user-scope")).unwrap();
    for (name, text) in files {
        fs::write(world.path("user-scope").join(name), text).unwrap();
    }
    world
}

const NO_SYSTEM: [&str; 2] = ["config", "get"];

#[test]
fn values_are_printed_as_spack_prints_them() {
    let text = "# mine\nmirrors:\n  a: 'oci://h/a'\n  b: {url: \"oci://h/b\", signed: false}\n";
    let world = world(&[("mirrors.yaml", text), ("config.yaml", "config:\n  build_jobs: 3\n")]);
    let printed = world.ok(["config", "get", "mirrors"]);
    assert_eq!(printed, "mirrors:\n  a: oci://h/a\n  b:\n    url: oci://h/b\n    signed: false\n");
    assert_eq!(world.ok(["config", "get", "config:build_jobs"]), "3\n");
    assert_eq!(world.ok(["config", "get", "mirrors:b"]), "b:\n  url: oci://h/b\n  signed: false\n");
    assert_eq!(world.ok(["config", "get", "mirrors:a", "--scope", "user"]), "oci://h/a\n");
    assert_eq!(world.ok(["config", "get", "mirrors", "--scope", "command_line"]), "mirrors: {}\n");
    let all = world.ok(NO_SYSTEM);
    assert!(
        all.starts_with("spack:\n  compilers: {}\n") && all.contains("\n  mirrors:\n    a: oci://h/a\n"),
        "{all}"
    );
    let json = world.run(["--json", "config", "get", "mirrors"]).json();
    assert_eq!(json["result"]["value"]["b"]["signed"], false);
    assert_eq!(json["result"]["path"], "mirrors");
}

#[test]
fn blame_says_file_and_line() {
    let world = world(&[("mirrors.yaml", "# mine\nmirrors:\n  a: oci://h/a\n")]);
    let printed = world.ok(["-c", "mirrors:b:'oci://h/b'", "config", "blame", "mirrors"]);
    let file = world.path("user-scope/mirrors.yaml");
    let width = file.display().to_string().len() + 2;
    let expected = format!(
        "{:width$}  mirrors:\n{:width$}    b: oci://h/b\n{}:3    a: oci://h/a\n",
        "---",
        "command_line",
        file.display()
    );
    assert_eq!(printed, expected);
    let json = world.run(["--json", "config", "blame", "mirrors"]).json();
    let line = &json["result"]["lines"][1];
    assert_eq!((line["line"].as_u64(), line["scope"].as_str()), (Some(3), Some("user")));
    assert_eq!(line["file"].as_str(), file.to_str());
}

#[test]
fn scopes_are_listed_the_highest_first() {
    let world = world(&[("mirrors.yaml", "mirrors: {}\n")]);
    fs::create_dir_all(world.path("site")).unwrap();
    let site = world.path("site");
    let site = site.to_str().unwrap();
    assert_eq!(
        world.ok(["-C", site, "config", "scopes"]),
        "command_line\ncmd_scope_0\nuser\nsystem\n_builtin\n"
    );
    let long = world.ok(["-C", site, "config", "scopes", "--long", "mirrors"]);
    assert!(
        long.contains(&format!(
            "user          path      active  {}/mirrors.yaml\n",
            world.path("user-scope").display()
        )),
        "{long}"
    );
    assert!(long.contains("command_line  internal  absent\n"), "{long}");
    assert_eq!(world.ok(["config", "scopes", "-t", "internal"]), "command_line\n_builtin\n");
    assert!(world.ok(["config", "list"]).contains(" mirrors "));
}

#[test]
fn without_a_spack_the_scopes_are_those_that_a_spack_would_have() {
    let world = world(&[]);
    let system = world.path("system");
    fs::create_dir_all(&system).unwrap();
    fs::write(system.join("mirrors.yaml"), "mirrors:\n  s: oci://h/s\n").unwrap();
    let run = |more: &[(&str, &str)]| {
        let mut command = world.command();
        command.env("SPACK_SYSTEM_CONFIG_PATH", &system).envs(more.iter().copied());
        let output = command.args(["config", "get", "mirrors"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&[]), "mirrors:\n  s: oci://h/s\n");
    assert_eq!(run(&[("SPACK_DISABLE_LOCAL_CONFIG", "1")]), "mirrors: {}\n");
    fs::create_dir_all(world.path("home/.spack")).unwrap();
    fs::write(world.path("home/.spack/mirrors.yaml"), "mirrors::\n  h: oci://h/h\n").unwrap();
    assert_eq!(run(&[("SPACK_USER_CONFIG_PATH", "~/.spack")]), "mirrors:\n  h: oci://h/h\n");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (file, text, place, part) in [
        ("config.yaml", "config:\n  locks: maybe\n", ":2:10: ", "`locks` must be true or false"),
        ("config.yaml", "config:\n  a: [1\n  b: 2\n", ":3:", ""),
        ("config.yaml", "mirrors: {}\n", ":1:1: ", "there is no section `mirrors` in this file"),
        ("include.yaml", "include:\n- nowhere\n", ":2:3: ", "`nowhere` is to be included and is not there"),
        ("include.yaml", "include:\n- path: x\n  when: os.system('x')\n", ":3:9: ", "`os.system('x')`"),
        (
            "include.yaml",
            "include:\n- path: https://h/x.yaml\n",
            ":2:3: ",
            "https://h/x.yaml is not fetched here",
        ),
        ("include.yaml", "include:\n- path: $spack/x\n", ":2:3: ", "SPACK_ROOT"),
        ("include.yaml", "include:\n- .\n", ":2:3: ", "includes itself"),
    ] {
        let world = world(&[(file, text)]);
        let ran = world.run(["config", "get", "config"]);
        assert_eq!(ran.code, Some(exit_code::USAGE), "{text}{}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("{file}{place}")) && ran.stderr.contains(part),
            "{text}{}",
            ran.stderr
        );
    }
    let world = world(&[("include.yaml", "include:\n- path: https://h/x.yaml\n  optional: true\n")]);
    let ran = world.run(["config", "get", "config"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("it is left out"), "{}", ran.stderr);
    for (arguments, part) in [
        (&["config", "get", "nothing"][..], "no configuration section `nothing`"),
        (&["config", "get", "config:nothing"], "`config:nothing` is not set"),
        (&["config", "get", "config", "--scope", "site"], "no configuration scope `site`"),
        (&["config", "get", "--scope", "user"], "without a section"),
        (&["-C", "/nowhere", "config", "get"], "no configuration in /nowhere"),
        (&["-c", "mirrors:a:oci://h/a", "config", "get"], "quotes of its own"),
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(exit_code::USAGE), "{}", ran.stderr);
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[test]
fn settings_before_and_after_a_command_count_together() {
    let world = world(&[("config.yaml", "config:\n  build_jobs: 3\n")]);
    let get = |after: &str, value: &str| {
        world.ok([
            "-c",
            "config:build_jobs:4",
            "config",
            "-c",
            "config:debug:true",
            "get",
            "-c",
            after,
            value,
        ])
    };
    assert_eq!(get("config:dirty:true", "config:build_jobs"), "4\n");
    assert_eq!(get("config:dirty:true", "config:debug"), "true\n");
    assert_eq!(get("config:dirty:true", "config:dirty"), "true\n");
    // The last one counts most.
    assert_eq!(get("config:build_jobs:5", "config:build_jobs"), "5\n");
}

#[test]
fn a_broken_file_stops_only_what_needs_it() {
    let place = "include.yaml:2:1: ";
    for broken in ["include: [\n", "include: [*x, [\n"] {
        let world = world(&[("include.yaml", broken)]);
        let (store, layout) = (world.path("store"), world.layout("cache"));
        for args in [vec!["cache", "path"], vec!["config", "list"], vec!["logout", "localhost:1"]] {
            world.ok(args);
        }
        let cache = world.run(["buildcache", "list", "--mirror", &*layout]);
        assert!(!cache.stderr.contains("include.yaml"), "{}", cache.stderr);
        let install = world.run(["find", "--store", store.to_str().unwrap()]);
        assert!(!install.stderr.contains("error: /"), "{}", install.stderr);
        assert_eq!(install.stderr.matches("include.yaml:").count(), 1, "{}", install.stderr);
        // What the command line says of configuration is to count.
        let asked = world.run(["-c", "config:locks:true", "find", "--store", store.to_str().unwrap()]);
        assert_eq!(asked.code, Some(exit_code::USAGE));
        for args in [vec!["find"], vec!["mirror", "list"], vec!["buildcache", "list", "--mirror", "name"]] {
            let ran = world.run(args);
            assert_eq!(ran.code, Some(exit_code::USAGE), "{}", ran.stderr);
            let is_placed = ran.stderr.contains(place) || broken.contains('*');
            assert!(is_placed && ran.stderr.contains("include.yaml:"), "{}", ran.stderr);
            assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
        }
    }
}

#[test]
fn a_root_that_is_about_a_spack_is_of_no_concern_where_a_store_is_named() {
    let world = world(&[("config.yaml", "config:\n  install_tree:\n    root: $spack/opt\n")]);
    let store = world.path("store");
    let named = world.run(["find", "--store", store.to_str().unwrap()]);
    assert!(!named.stderr.contains("$spack"), "{}", named.stderr);
    let configured = world.run(["find"]);
    assert_eq!(configured.code, Some(exit_code::USAGE));
    assert!(configured.stderr.contains("config.yaml:3:11: `$spack/opt`"), "{}", configured.stderr);
}

#[test]
fn what_is_left_out_is_told_once_by_every_command() {
    let world =
        world(&[("include.yaml", "include:\n- path: https://host.invalid/x.yaml\n  optional: true\n")]);
    for args in [vec!["mirror", "list"], vec!["config", "get", "mirrors"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("it is left out").count(), 1, "{}", ran.stderr);
    }
}
