//! How long it takes to do next to nothing.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, Quantity, Reading, Row, STRATA};
use super::surroundings::Surroundings;
use std::fs;
use std::process::Command;

pub(super) const CASES: [Case; 2] =
    [Case { name: "startup_version", prepare: version }, Case { name: "startup_find", prepare: find }];

/// The clock of a process's processor time is too coarse for one start.
const STARTS: usize = 100;

fn version(around: &Surroundings) -> Outcome<Contest<'_>> {
    let mut command = around.strata(&around.fresh("cache"), &around.fresh("store"));
    command.arg("--version");
    Ok(contest(around, command, "strata --version", 10.0))
}

fn find(around: &Surroundings) -> Outcome<Contest<'_>> {
    let store = around.directory("store")?;
    fs::create_dir(store.join(".spack-db"))?;
    fs::write(store.join(".spack-db/index.json"), r#"{"database":{"version":"8","installs":{}}}"#)?;
    let mut command = around.strata(&around.fresh("cache"), &store);
    command.arg("find");
    Ok(contest(around, command, "strata find, empty store", 20.0))
}

fn contest<'s>(around: &'s Surroundings, command: Command, what: &str, most: f64) -> Contest<'s> {
    let strata = Contestant::new(STRATA, move |_| {
        let mut starts = Command::new("sh");
        starts.args(["-c", &format!("set -e; for i in $(seq {STARTS}); do \"$0\" \"$@\"; done")]);
        starts.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => starts.env(name, value),
                None => starts.env_remove(name),
            };
        }
        let sample = around.time(&starts)?;
        let each = sample.cpu_seconds * 1000.0 / STARTS as f64;
        Ok(Reading::default().with(Quantity::ProcessorMs, each))
    });
    let rows = vec![Row::alone(what, Quantity::ProcessorMs, Aim::AtMost(most))];
    Contest { contestants: vec![strata], rows, once: false }
}
