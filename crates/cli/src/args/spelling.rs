//! Options that are one thing before a command and another after it.
//!
//! `-e` and `-E` are about the environment that a command works in, wherever they are, and `-c` is a setting. But Spack has them
//! after `gc`, `mark` and `find` for something else, and scripts say `spack gc -yE`. So there, and only there, these short options are spelled out
//! before the command line is parsed.

use clap::{ArgAction, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What the short options of a command are short for.
const SPELLED_OUT: [(&str, u8, &str); 4] = [
    ("gc", b'e', "--except-environment"),
    ("gc", b'E', "--except-any-environment"),
    ("mark", b'e', "--explicit"),
    ("find", b'c', "--show-concretized"),
];

/// The command line with those options spelled out. `command` makes what knows which options take values.
pub(crate) fn spell_out(command: fn() -> Command, arguments: Vec<OsString>) -> Vec<OsString> {
    // That takes longer than anything else before the command begins, and most are not about it.
    if !arguments.iter().any(|argument| SPELLED_OUT.iter().any(|(of, ..)| argument == of)) {
        return arguments;
    }
    let command = &command();
    let Some(at) = command_at(command, &arguments) else { return arguments };
    let Some(name) = arguments[at].to_str() else { return arguments };
    let long = |short: u8| {
        let found = SPELLED_OUT.iter().find(|(of, letter, _)| *of == name && *letter == short);
        found.map(|(_, _, long)| OsString::from(long))
    };
    let Some(subcommand) = command.find_subcommand(name).filter(|_| SPELLED_OUT.iter().any(|s| s.0 == name))
    else {
        return arguments;
    };
    let takes_value = |short: u8| {
        takes_value(subcommand, |arg| arg.get_short() == Some(char::from(short)))
            || takes_value(command, |arg| arg.get_short() == Some(char::from(short)))
    };
    let mut spelled = arguments[..=at].to_vec();
    let mut rest = arguments[at + 1..].iter();
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            spelled.push(argument.clone());
            break;
        }
        let is_cluster = bytes.len() > 1 && bytes[0] == b'-' && bytes[1] != b'-';
        if !is_cluster {
            spelled.push(argument.clone());
            // The value of a long option may look like a short one.
            if bytes.starts_with(b"--") && long_takes_next(&[command, subcommand], argument) {
                spelled.extend(rest.next().cloned());
            }
            continue;
        }

        for (position, letter) in bytes[1..].iter().copied().enumerate() {
            let value = &bytes[position + 2..];
            // No option is like that: what it is, is for the parser to say.
            if !letter.is_ascii() {
                spelled.push(OsString::from_vec([b"-", &bytes[position + 1..]].concat()));
                break;
            }
            match long(letter) {
                Some(long) if takes_long_value(subcommand, &long) && !value.is_empty() => {
                    let value = value.strip_prefix(b"=").unwrap_or(value);
                    let mut joined = long.into_vec();
                    joined.push(b'=');
                    joined.extend(value);
                    spelled.push(OsString::from_vec(joined));
                    break;
                }
                Some(long) => {
                    let waits = takes_long_value(subcommand, &long);
                    spelled.push(long);
                    if waits {
                        spelled.extend(rest.next().cloned());
                    }
                }
                None if takes_value(letter) => {
                    spelled.push(OsString::from_vec([b"-", &[letter][..], value].concat()));
                    if value.is_empty() {
                        spelled.extend(rest.next().cloned());
                    }
                    break;
                }
                None => spelled.push(OsString::from_vec(vec![b'-', letter])),
            }
        }
    }
    spelled.extend(rest.cloned());
    spelled
}

/// Where in the command line the name of the command is.
fn command_at(command: &Command, arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let argument = arguments.get(at)?;
        let bytes = argument.as_bytes();
        if bytes.len() < 2 || bytes[0] != b'-' {
            return Some(at);
        }
        let waits = if bytes[1] == b'-' {
            long_takes_next(&[command], argument)
        } else {
            // The first letter that takes a value takes the rest, or the next argument where there is no rest.
            let short =
                |letter: &u8| takes_value(command, |arg| arg.get_short() == Some(char::from(*letter)));
            bytes[1..].iter().position(short) == Some(bytes.len() - 2)
        };
        at += if waits { 2 } else { 1 };
    }
}

/// Whether a long option has its value in the next argument.
pub(super) fn long_takes_next(commands: &[&Command], argument: &OsStr) -> bool {
    let Some(name) = argument.to_str().and_then(|text| text.strip_prefix("--")) else { return false };
    let named = |arg: &clap::Arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    };
    commands.iter().any(|command| takes_value(command, named))
}

fn takes_long_value(command: &Command, long: &OsStr) -> bool {
    long_takes_next(&[command], long)
}

/// Whether the option that is meant has a value.
pub(super) fn takes_value(command: &Command, is_meant: impl Fn(&clap::Arg) -> bool) -> bool {
    let takes = |arg: &clap::Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    command.get_arguments().any(|arg| !arg.is_positional() && is_meant(arg) && takes(arg))
}

#[cfg(test)]
mod tests {
    use super::spell_out;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn spelled(line: &str) -> String {
        let words = line.split(' ').map(Into::into).collect();
        let words = spell_out(Cli::command, words);
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn after_gc_and_mark_only() {
        for (line, expected) in [
            ("strata gc -yE", "strata gc -y --except-any-environment"),
            (
                "strata -e a gc -e b -eb -e=b",
                "strata -e a gc --except-environment b --except-environment=b --except-environment=b",
            ),
            ("strata --store gc -E gc -be b", "strata --store gc -E gc -b --except-environment b"),
            ("strata -qe gc gc -E", "strata -qe gc gc --except-any-environment"),
            ("strata -egc gc -E", "strata -egc gc --except-any-environment"),
            ("strata mark -ae zlib", "strata mark -a --explicit zlib"),
            ("strata mark -E -e zlib", "strata mark -E --explicit zlib"),
            ("strata gc -C -e -e b", "strata gc -C -e --except-environment b"),
            ("strata gc -C-e -- -e", "strata gc -C-e -- -e"),
            (
                "strata gc --store -e --cache-dir=x -E",
                "strata gc --store -e --cache-dir=x --except-any-environment",
            ),
            ("strata find -lé", "strata find -l -é"),
            ("strata find -ce x -c", "strata find --show-concretized -e x --show-concretized"),
            ("strata find -- -c", "strata find -- -c"),
            ("strata find --config a:b -c", "strata find --config a:b --show-concretized"),
            ("strata find -e gc", "strata find -e gc"),
            ("strata install -E gc -e x", "strata install -E gc -e x"),
            ("strata -c a:b find -lc", "strata -c a:b find -l --show-concretized"),
            ("strata", "strata"),
            ("strata -e", "strata -e"),
            ("strata gc -e", "strata gc --except-environment"),
        ] {
            assert_eq!(spelled(line), expected, "{line}");
        }
    }
}
