//! What is printed for shells is evaluated by shells: sh, dash, bash, zsh, csh, tcsh and fish, as far as they are there.

use crate::support::{World, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use strata_testkit::golden;

type Variables = BTreeMap<String, String>;

/// Where a shell is, if it is there.
fn shell(name: &str) -> Option<PathBuf> {
    let directories = ["/usr/bin", "/bin", "/usr/local/bin"];
    directories.iter().map(|directory| PathBuf::from(directory).join(name)).find(|path| path.exists())
}

/// The option for a shell.
fn option(name: &str) -> &'static str {
    match name {
        "csh" | "tcsh" => "--csh",
        "fish" => "--fish",
        _ => "--sh",
    }
}

/// The variables of what a shell starts at the end of a script, without those that it sets itself.
pub(crate) fn variables_of(name: &str, script: &str, before: &Variables) -> Variables {
    let mut command = Command::new(shell(name).unwrap());
    let quick: &[&str] = match name {
        "csh" | "tcsh" => &["-f"],
        "zsh" => &["-f"],
        "fish" => &["--no-config"],
        _ => &[],
    };
    command.args(quick).args(["-c", script]).env_clear().envs(before);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {stderr}\n{script}");
    let entries = String::from_utf8(output.stdout).unwrap();
    let entries = entries.split('\0').filter_map(|entry| entry.split_once('='));
    const OWN: [&str; 15] = [
        "PWD",
        "OLDPWD",
        "_",
        "SHLVL",
        "LOGNAME",
        "USER",
        "HOST",
        "HOSTTYPE",
        "VENDOR",
        "OSTYPE",
        "MACHTYPE",
        "GROUP",
        "REMOTEHOST",
        "TERM",
        "NLSPATH",
    ];
    let own = |name: &str| OWN.contains(&name) || (name == "HOME" && !before.contains_key(name));
    entries.filter(|(name, _)| !own(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The variables after a shell has evaluated what strata prints; none if there is no such shell.
pub(crate) fn evaluated(
    world: &World,
    name: &str,
    before: &Variables,
    arguments: &[&str],
) -> Option<Variables> {
    if shell(name).is_none() {
        golden::skipped(name, "there is no such shell");
        return None;
    }
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let strata = format!("{} {} {}", env!("CARGO_BIN_EXE_strata"), words.join(" "), option(name));
    let script = match name {
        "csh" | "tcsh" => format!("eval `{strata}`\nexec /usr/bin/env -0"),
        "fish" => format!("{strata} | source\nexec /usr/bin/env -0"),
        _ => format!("eval \"$({strata})\"\nexec /usr/bin/env -0"),
    };
    let mut before = before.clone();
    let own = [
        ("HOME", world.path("home")),
        ("SPACK_USER_CONFIG_PATH", world.path("user-scope")),
        ("SPACK_SYSTEM_CONFIG_PATH", world.path("system-scope")),
    ];
    for (variable, path) in &own {
        before.insert((*variable).to_owned(), text(path).to_owned());
    }
    let mut after = variables_of(name, &script, &before);
    for (variable, _) in own {
        after.remove(variable);
    }
    Some(after)
}

const HOSTILE: [(&str, &str); 14] = [
    ("Q1", "it's"),
    ("Q2", "say \"it\""),
    ("Q3", "'\"'\"''"),
    ("DOLLAR", "$HOME $(echo no) \\$x"),
    ("BACK", "`echo no`"),
    ("BANG", "hi! !! !x \\! a!"),
    ("SLASH", "\\ \\\\ a\\nb\\"),
    ("COMMA", "a,b c"),
    ("SEMI", "a;b & c | d > e < f # g"),
    ("EMPTY", ""),
    ("UNICODE", "größe → 日本"),
    ("PERCENT", "%s %% 50%"),
    ("EQUALS", "=ls a=b -n"),
    ("MY_PATH", "/a b:/c'd::/e"),
];
/// What only shells take that have a way to write it within backquotes.
const SPACES: [(&str, &str); 7] = [
    ("GLOB", "* ? [a] {a,b} ~ ~root"),
    ("BRACES", "${HOME} {} {x}"),
    ("ROWS", "one\ntwo\n\nfour"),
    ("TRAILING", "end\n"),
    ("BLANKS", "  a   b  "),
    ("TAB", "a\tb"),
    ("ALL", "\t'\"$`!\\\n*  é\u{1b}"),
];

#[test]
fn whatever_is_in_a_value_arrives_in_every_shell() {
    let world = World::new();
    let environment = world.path("environment");
    std::fs::create_dir_all(&environment).unwrap();
    for (name, values) in [
        ("sh", vec![&HOSTILE[..], &SPACES[..]]),
        ("dash", vec![&HOSTILE[..], &SPACES[..]]),
        ("bash", vec![&HOSTILE[..], &SPACES[..]]),
        ("zsh", vec![&HOSTILE[..], &SPACES[..]]),
        ("fish", vec![&HOSTILE[..], &SPACES[..]]),
        ("tcsh", vec![&HOSTILE[..], &SPACES[..]]),
        ("csh", vec![&HOSTILE[..]]),
    ] {
        let values: Vec<(&str, &str)> = values.concat();
        let lines: Vec<String> = values
            .iter()
            .map(|(variable, value)| format!("      {variable}: {}\n", serde_json::Value::from(*value)))
            .collect();
        let manifest = format!("spack:\n  view: false\n  env_vars:\n    set:\n{}", lines.concat());
        std::fs::write(environment.join("spack.yaml"), manifest).unwrap();
        // fish writes letters as its locale has them.
        let before = [("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8")];
        let before: Variables = before.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let arguments = ["env", "activate", text(&environment)];
        let Some(mut after) = evaluated(&world, name, &before, &arguments) else { continue };
        for (variable, value) in &values {
            assert_eq!(after.get(*variable).map(String::as_str), Some(*value), "{name}: {variable}");
        }
        assert_eq!(after.get("SPACK_ENV").map(String::as_str), Some(text(&environment)));
        after.retain(|variable, _| {
            variable.starts_with("SPACK_")
                || before.contains_key(variable)
                || values.iter().any(|(known, _)| known == variable)
        });
        let left = evaluated(&world, name, &after, &["env", "deactivate"]).unwrap();
        assert_eq!(left, before, "{name}");
    }
}

#[test]
fn the_prompt_is_changed_and_brought_back() {
    let world = World::new();
    let environment = world.path("with `touch hack` $(touch hack)");
    std::fs::create_dir_all(&environment).unwrap();
    std::fs::write(environment.join("spack.yaml"), "spack: {view: false}\n").unwrap();
    let strata = env!("CARGO_BIN_EXE_strata");
    let enter = format!("{strata} env activate -p -d \"$DIR\"");
    let base = Variables::from([
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
        ("HOME".to_owned(), text(&world.path("home")).to_owned()),
        ("DIR".to_owned(), text(&environment).to_owned()),
    ]);
    for name in ["sh", "bash", "zsh"] {
        if shell(name).is_none() {
            golden::skipped(name, "there is no such shell");
            continue;
        }
        let script = format!(
            "PS1='old> '; eval \"$({enter})\"; eval \"$({enter})\"; export A=\"$PS1\"; eval \"$({strata} env deactivate)\"; export B=\"$PS1\"; exec /usr/bin/env -0"
        );
        let after = variables_of(name, &script, &base);
        assert_eq!(after["A"], "[with _touch hack_ __touch hack_] old> ", "{name}");
        assert_eq!(after["B"], "old> ", "{name}");
        assert!(!after.contains_key("SPACK_OLD_PS1") && !after.contains_key("SPACK_ENV"), "{name}");
    }
    for name in ["csh", "tcsh"] {
        if shell(name).is_none() {
            golden::skipped(name, "there is no such shell");
            continue;
        }
        let script = format!(
            "set prompt='old> '\neval `{enter} --csh`\nsetenv A \"$prompt\"\neval `{strata} env deactivate --csh`\nsetenv B \"$prompt\"\nexec /usr/bin/env -0"
        );
        let after = variables_of(name, &script, &base);
        assert_eq!(after["A"], "[with _touch hack_ __touch hack_] old> ", "{name}");
        assert_eq!(after["B"], "old> ", "{name}");
        assert!(!after.contains_key("SPACK_OLD_PROMPT") && !after.contains_key("SPACK_ENV"), "{name}");
    }
}
