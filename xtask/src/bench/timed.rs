//! Processes that are measured: whole, by the clock.

use super::Outcome;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How `timeout` ends when it had to end the command.
const CUT: i32 = 124;

/// One measured process.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Of all threads together. On a machine that others use it says more than the clock does.
    pub(super) cpu_seconds: f64,
    /// The most memory that any of its processes had at once.
    pub(super) peak_kib: u64,
    /// Whether it was ended because it took too long: it would have taken more than this.
    pub(super) cut: bool,
}

/// Runs a command to its end, which is to be one of these exit codes; `time` tells its peak memory and its processor time.
pub(super) fn timed(command: &Command, codes: &[i32]) -> Outcome<Sample> {
    measured(command, &[], codes)
}

/// The same, but ends the command when it takes longer than that.
pub(super) fn timed_within(command: &Command, patience: Duration, codes: &[i32]) -> Outcome<Sample> {
    let seconds = patience.as_secs().max(1).to_string();
    measured(command, &["timeout", "--kill-after=10", &seconds], codes)
}

fn measured(command: &Command, wrapper: &[&str], codes: &[i32]) -> Outcome<Sample> {
    let mut measured = Command::new("/usr/bin/time");
    measured.args(["--quiet", "--format", "%M %U %S"]).args(wrapper);
    measured.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => measured.env(name, value),
            None => measured.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        measured.current_dir(directory);
    }
    let begun = Instant::now();
    let output = measured.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let seconds = begun.elapsed().as_secs_f64();
    let words = String::from_utf8_lossy(&output.stderr);
    let cut = !wrapper.is_empty() && output.status.code() == Some(CUT);
    if !cut && !output.status.code().is_some_and(|code| codes.contains(&code)) {
        return Err(format!("{command:?}: {}\n{}", output.status, end_of(&words)).into());
    }
    let mut numbers = words.lines().last().unwrap_or_default().split_whitespace();
    let mut number = || numbers.next().ok_or("time says nothing");
    let peak_kib = number()?.parse()?;
    let cpu_seconds = number()?.parse::<f64>()? + number()?.parse::<f64>()?;
    Ok(Sample { seconds, cpu_seconds, peak_kib, cut })
}

/// The last lines: what a program says when it fails comes last, and some say a lot before.
fn end_of(words: &str) -> String {
    let lines: Vec<&str> = words.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
