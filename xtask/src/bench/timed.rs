//! Processes that are measured: whole, by the clock.

use super::Outcome;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One measured process.
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Of all threads together. On a machine that others use it says more than the clock does.
    pub(super) cpu_seconds: f64,
    pub(super) peak_kib: u64,
}

/// Runs a command to its end, which is to be one of these exit codes; `time` tells its peak memory and its processor time.
pub(super) fn timed(command: &Command, codes: &[i32]) -> Outcome<Sample> {
    let mut measured = Command::new("/usr/bin/time");
    measured.args(["--format", "%M %U %S"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => measured.env(name, value),
            None => measured.env_remove(name),
        };
    }
    let begun = Instant::now();
    let output = measured.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let seconds = begun.elapsed().as_secs_f64();
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.code().is_some_and(|code| codes.contains(&code)) {
        return Err(format!("{measured:?}: {words}").into());
    }
    let mut numbers = words.lines().last().unwrap_or_default().split_whitespace();
    let mut number = || numbers.next().ok_or("time says nothing");
    let peak_kib = number()?.parse()?;
    let cpu_seconds = number()?.parse::<f64>()? + number()?.parse::<f64>()?;
    Ok(Sample { seconds, cpu_seconds, peak_kib })
}

/// The middle of sorted numbers, or of the two there.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = |index: usize| sorted.get(index).copied().unwrap_or_default();
    (middle(sorted.len().saturating_sub(1) / 2) + middle(sorted.len() / 2)) / 2.0
}
