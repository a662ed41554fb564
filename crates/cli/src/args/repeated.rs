//! Options that may be given more than once, before the command and after it.
//!
//! The parser takes those after the command in the place of those before it, and would forget the first of
//! `strata -c A config get -c B`. So those before it are put right after it, where they count less than what follows.

use super::spelling::{long_takes_next, takes_value};
use clap::{Arg, ArgAction, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The command line with these options after the command. `command` makes what knows which they are.
pub(crate) fn put_after_command(command: fn() -> Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let may_be_one = |argument: &OsString| {
        let bytes = argument.as_bytes();
        bytes.starts_with(b"--c") || (bytes.starts_with(b"-") && bytes[1..].iter().any(|c| c | 0x20 == b'c'))
    };
    if !arguments.iter().any(may_be_one) {
        return arguments;
    }
    put_after(&command(), &arguments).unwrap_or(arguments)
}

/// None if there is no command, or something is not understood: the parser says what.
fn put_after(root: &Command, arguments: &[OsString]) -> Option<Vec<OsString>> {
    let mut line = vec![arguments.first()?.clone()];
    let mut repeated = Vec::new();
    let mut current = root;
    let mut at = 1;
    loop {
        let argument = arguments.get(at)?;
        let bytes = argument.as_bytes();
        at += 1;
        if bytes.len() < 2 || bytes[0] != b'-' {
            current = current.find_subcommand(argument.to_str()?)?;
            line.push(argument.clone());
            if !current.has_subcommands() {
                break;
            }
        } else if bytes == b"--" {
            return None;
        } else if bytes[1] == b'-' {
            let name = argument.to_str()?.strip_prefix("--")?;
            let (name, value) = name.split_once('=').map_or((name, None), |(n, v)| (n, Some(v.into())));
            let is_meant = |option: &Arg| option.get_long() == Some(name);
            let waits = value.is_none() && long_takes_next(&[root, current], argument);
            let value = if waits { Some(arguments.get(at)?.clone()) } else { value };
            at += usize::from(waits);
            match (repeated_option(root, is_meant), value) {
                (Some(long), Some(value)) => repeated.push(joined(long, &value)),
                (_, value) => {
                    line.push(argument.clone());
                    line.extend(value.filter(|_| waits));
                }
            }
        } else {
            let is_short = |letter: u8| move |option: &Arg| option.get_short() == Some(char::from(letter));
            let takes =
                |letter: &u8| takes_value(root, is_short(*letter)) || takes_value(current, is_short(*letter));
            let Some(position) = bytes[1..].iter().position(takes).map(|position| position + 1) else {
                line.push(argument.clone());
                continue;
            };
            let rest = &bytes[position + 1..];
            let waits = rest.is_empty();
            let next = if waits { Some(arguments.get(at)?.clone()) } else { None };
            at += usize::from(waits);
            match repeated_option(root, is_short(bytes[position])) {
                Some(long) => {
                    if position > 1 {
                        line.push(OsStr::from_bytes(&bytes[..position]).to_owned());
                    }
                    let written = OsStr::from_bytes(rest.strip_prefix(b"=").unwrap_or(rest)).to_owned();
                    repeated.push(joined(long, &next.unwrap_or(written)));
                }
                None => {
                    line.push(argument.clone());
                    line.extend(next);
                }
            }
        }
    }
    line.extend(repeated);
    line.extend_from_slice(&arguments[at..]);
    Some(line)
}

/// The long name of the option that is meant, if every command takes it and it may be given more than once.
fn repeated_option(root: &Command, is_meant: impl Fn(&Arg) -> bool) -> Option<&str> {
    let is_repeated = |option: &&Arg| {
        option.is_global_set() && matches!(option.get_action(), ArgAction::Append) && is_meant(option)
    };
    root.get_arguments().find(is_repeated).and_then(Arg::get_long)
}

fn joined(long: &str, value: &OsStr) -> OsString {
    OsString::from_vec([b"--", long.as_bytes(), b"=", value.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::put_after_command;
    use crate::args::Cli;
    use clap::{CommandFactory, Parser};
    use std::ffi::OsString;

    #[test]
    fn what_is_said_before_the_command_counts_too() {
        for (line, expected) in [
            ("strata -c a:b find -c x", "strata find --config=a:b -c x"),
            ("strata -c a:b config get -c c:d config", "strata config get --config=a:b -c c:d config"),
            ("strata config -ca:b get -C d", "strata config get --config=a:b -C d"),
            ("strata -qC=d --config x -e c find", "strata -q -e c find --config-scope=d --config=x"),
            ("strata --config=x=y --store -c find", "strata --store -c find --config=x=y"),
            ("strata -ec find -c", "strata -ec find -c"),
            ("strata install -c a -- -c", "strata install -c a -- -c"),
            ("strata -c", "strata -c"),
            ("strata -c a:b", "strata -c a:b"),
            ("strata -c a:b nothing", "strata -c a:b nothing"),
            ("strata -- -c a", "strata -- -c a"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            let words = put_after_command(Cli::command, words);
            let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(words.join(" "), expected, "{line}");
        }
        let line = ["strata", "-c", "a:b:1", "-C", "x", "config", "-c", "a:b:2", "get", "-c", "a:b:3"];
        let line = put_after_command(Cli::command, line.map(OsString::from).into());
        let cli = Cli::try_parse_from(line).unwrap();
        assert_eq!(cli.global.setting, ["a:b:1", "a:b:2", "a:b:3"]);
        assert_eq!(cli.global.config_scope.len(), 1);
    }
}
