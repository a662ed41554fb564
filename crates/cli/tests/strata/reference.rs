//! `docs/cli.md` is what the command says of itself. `STRATA_BLESS=1 cargo test -p strata-cli reference` writes it.

use crate::support::World;
use std::path::Path;

/// Where the options begin that every command takes.
const COMMON: &str = "\nGlobal options:\n";

/// The help of a command and of every command below it, as Markdown.
fn describe(world: &World, path: &[&str], out: &mut String) {
    let help = world.ok(path.iter().chain(&["--help"]));
    let title = ["strata"].iter().chain(path).copied().collect::<Vec<_>>().join(" ");
    // What all commands have in common is said once.
    let own = match help.split_once(COMMON) {
        Some((own, _)) if !path.is_empty() => own,
        _ => &help,
    };
    out.push_str(&format!("## {title}\n\n```text\n{}\n```\n\n", own.trim_end()));
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
    for line in commands.lines().take_while(|line| line.starts_with("  ")) {
        match line.split_whitespace().next() {
            Some("help") | None => {}
            // A longer description goes on in the next line, further to the right.
            Some(_) if line.starts_with("   ") => {}
            Some(name) => describe(world, &[path, &[name]].concat(), out),
        }
    }
}

#[test]
fn the_reference_is_what_the_command_says() {
    let mut text = "# Command reference\n\nWhat `strata … --help` prints, for every command. Global options and those for registries, which every command takes, are \
        listed once, with `strata` itself.\n\n".to_owned();
    describe(&World::new(), &[], &mut text);
    let text = text.trim_end().to_owned() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if std::env::var_os("STRATA_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(written, text, "docs/cli.md is out of date: run with STRATA_BLESS=1");
}
