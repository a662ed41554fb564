//! What is printed to be evaluated by a shell.

use crate::args::env::Shell as Wanted;
use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use crate::settings::ShellVariables;
use serde_json::{Map, Value};
use std::io::{IsTerminal, stdout};
use strata_ops::load::{Shell, Variables, differences, is_name};
use strata_ops::{Event, Reporter};

/// For which shell, and from which variables on.
pub(crate) struct ShellCode {
    pub(crate) shell: Shell,
    before: ShellVariables,
    /// Whether JSON is printed instead.
    json: bool,
}

impl ShellCode {
    pub(crate) fn new(wanted: &Wanted, before: ShellVariables, json: bool) -> Self {
        let shell = match wanted {
            Wanted { csh: true, .. } => Shell::Csh,
            Wanted { fish: true, .. } => Shell::Fish,
            _ => Shell::Sh,
        };
        Self { shell, before, json }
    }

    /// The code that makes the variables these, and what it does, for programs: values by name, null for what goes.
    ///
    /// # Errors
    /// If a variable that would change has a value that is no text.
    pub(crate) fn changes(
        &self,
        after: &Variables,
        console: &Console,
    ) -> Result<(String, Map<String, Value>), Diagnosis> {
        let changes = differences(&self.before.known, after);
        if let Some((name, _)) = changes.iter().find(|(name, _)| self.before.unreadable.contains(name)) {
            let text = format!("the value of {name} is not UTF-8, and cannot be changed");
            return Err(Diagnosis::misuse(text, format!("unset {name} first, or set it anew")));
        }
        for (name, _) in changes.iter().filter(|(name, _)| !is_name(name)) {
            let text = format!("leaving out `{}`: no shell has variables of that name", name.escape_debug());
            console.event(Event::Warning(&text));
        }
        let values = changes.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
        Ok((self.shell.code(&changes), values.collect()))
    }

    /// Says how to have the code evaluated, if it ends up before somebody's eyes.
    pub(crate) fn explain(&self, command: &str, console: &Console) {
        if !stdout().is_terminal() || self.json {
            return;
        }
        let command = command.trim_end();
        let line = match self.shell {
            Shell::Sh => format!("eval \"$(strata {command})\""),
            Shell::Csh => {
                let (name, rest) = split(command);
                format!("eval `strata {name} --csh {rest}`")
            }
            Shell::Fish => {
                let (name, rest) = split(command);
                format!("strata {name} --fish {rest} | source")
            }
        };
        let text = format!("this only prints code; to have a shell run it: {line}");
        console.event(Event::Warning(&text));
    }
}

/// The words of a command, and its arguments.
fn split(command: &str) -> (&str, &str) {
    let words = if command.starts_with("env ") { 2 } else { 1 };
    let end = command.match_indices(' ').nth(words - 1).map_or(command.len(), |(at, _)| at);
    (&command[..end], command[end..].trim_start())
}

/// Arguments as they are written on a command line.
pub(crate) fn words(arguments: &[String]) -> String {
    arguments.iter().map(|argument| Shell::Sh.quoted(argument)).collect::<Vec<_>>().join(" ")
}
