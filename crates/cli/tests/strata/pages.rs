//! The pages under `docs/` and the README: every command of ours that they show exists, and takes the options that it is shown with.
//! What the commands of `docs/tutorial.md` print is tested with it (`tests/containers/tutorial.rs`).

use crate::support::World;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Global options that take a value, as they stand before the name of a command.
const WITH_VALUE: [&str; 7] = ["-e", "-D", "-C", "-c", "--store", "--env", "--config-scope"];

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.retain(|path| !path.ends_with("cli.md"));
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// The commands of ours in the fenced blocks of a page, each with its line.
fn commands(page: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut inside = false;
    let mut continued: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside;
        }
        if !inside {
            continue;
        }
        let (at, text) = match continued.take() {
            Some((at, before)) => (at, before + " " + line.trim()),
            None => (number + 1, line.to_owned()),
        };
        if let Some(text) = text.strip_suffix('\\') {
            continued = Some((at, text.to_owned()));
            continue;
        }
        // A comment, and what stands before ours: a prompt, variables, `eval "$(`, the dash of a list.
        let text = text.split(" #").next().unwrap_or_default();
        for piece in text.split(['|', ';', '&', '(', '`']) {
            let words = piece.trim().trim_start_matches("- ").trim_start_matches("$ ");
            let words =
                words.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-'));
            let words = words.collect::<Vec<_>>().join(" ");
            if let Some(arguments) = words.strip_prefix("strata ") {
                commands.push((at, arguments.to_owned()));
            }
        }
    }
    commands
}

/// The words that name a command, and its options.
fn parts(arguments: &str) -> (Vec<String>, Vec<String>) {
    let (mut names, mut options) = (Vec::new(), Vec::new());
    let mut named = false;
    let mut words = arguments.split_whitespace().map(|word| word.trim_matches(['"', '\'', ')', ',']));
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        } else if word.starts_with('-') {
            let option = word.split('=').next().unwrap_or_default();
            if names.is_empty() && WITH_VALUE.contains(&option) && !word.contains('=') {
                words.next();
            }
            named = !names.is_empty();
            options.push(option.to_owned());
        } else if !named {
            names.push(word.to_owned());
        }
    }
    (names, options)
}

#[test]
fn pages_show_commands_and_options_that_there_are() {
    let world = World::new();
    let mut helps: HashMap<Vec<String>, Option<String>> = HashMap::new();
    let mut help = |path: &[String]| {
        let known = helps.entry(path.to_vec()).or_insert_with(|| {
            let ran = world.run(path.iter().map(String::as_str).chain(["--help"]));
            (ran.code == Some(0)).then_some(ran.stdout)
        });
        known.clone()
    };
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (line, arguments) in commands(&text) {
            looked_at += 1;
            let (names, options) = parts(&arguments);
            let place = format!("{}:{line}: strata {arguments}", page.file_name().unwrap().to_string_lossy());
            // `mirror add NAME`: two words name the command if there is one of that name.
            let help = help(&names[..names.len().min(1)]).and_then(|outer| {
                let has_commands = outer.contains("\nCommands:\n");
                if has_commands { help(&names[..names.len().min(2)]) } else { Some(outer) }
            });
            let Some(help) = help else {
                wrong.push(format!("{place}: no such command"));
                continue;
            };
            for option in options {
                let is_there = help.split([' ', '\n', ',']).any(|word| {
                    word == option
                        || word.strip_prefix(&option).is_some_and(|rest| rest.starts_with(['=', '[']))
                });
                if !is_there {
                    wrong.push(format!("{place}: no option {option}"));
                }
            }
        }
    }
    assert!(looked_at > 50, "{looked_at}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
