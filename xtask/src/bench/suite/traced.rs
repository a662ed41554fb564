//! System calls, counted by strace: of push and install, per file of the packages; and which files were opened.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, Quantity, Reading, Row, SPACK, STRATA};
use super::install::{filled, install, spack_install};
use super::push::spack_push;
use super::surroundings::Surroundings;
use std::fs;
use std::path::Path;
use std::process::Command;

pub(super) const CASES: [Case; 2] =
    [Case { name: "calls_push", prepare: push }, Case { name: "calls_install", prepare: calls_of_install }];

/// Spack makes three times as many.
const THIRD: Aim = Aim::Within(1.0 / 3.0);

fn push(around: &Surroundings) -> Outcome<Contest<'_>> {
    let store = &around.store;
    let files = store.files()?;
    let strata = move |_| {
        let url = format!("oci+http://{}/strata", around.registry()?);
        calls(around, &around.strata_push(&around.fresh("cache"), store, &url), files)
    };
    let mut contestants = vec![Contestant::new(STRATA, strata)];
    if around.options.spack.is_some() {
        let scope = around.spack_scope(&store.root, None)?;
        contestants.push(Contestant::new(SPACK, move |_| {
            let url = format!("oci+http://{}/spack", around.registry()?);
            calls(around, &spack_push(around, &scope, store, &url)?, files)
        }));
    }
    let row = Row::clock("system calls per file, push", SPACK, THIRD).by(Quantity::CallsPerFile);
    Ok(Contest { contestants, rows: vec![row], once: true })
}

fn calls_of_install(around: &Surroundings) -> Outcome<Contest<'_>> {
    let url = filled(around)?;
    let (specs, files) = (around.store.specs(), around.store.files()?);
    let mut contestants = Vec::new();
    {
        let (url, specs) = (url.clone(), specs.clone());
        contestants.push(Contestant::new(STRATA, move |_| {
            let command = install(around, &around.fresh("cache"), &around.fresh("store"), &url, &specs);
            calls(around, &command, files)
        }));
    }
    if around.options.spack.is_some() {
        contestants.push(Contestant::new(SPACK, move |_| {
            let scope = around.spack_scope(&around.fresh("spack-store"), Some(&url))?;
            calls(around, &spack_install(around, &scope, &specs)?, files)
        }));
    }
    let row = Row::clock("system calls per file, install", SPACK, THIRD).by(Quantity::CallsPerFile);
    Ok(Contest { contestants, rows: vec![row], once: true })
}

/// All calls of all threads and processes, by the number of files.
fn calls(around: &Surroundings, command: &Command, files: usize) -> Outcome<Reading> {
    let summary = around.fresh("calls");
    around.prepare(traced(&["-c"], &summary, command))?;
    let count = count(&fs::read_to_string(&summary)?).ok_or("strace says something else")?;
    Ok(Reading::default().with(Quantity::CallsPerFile, count as f64 / files as f64))
}

/// How many files of these prefixes the command opens; directories may be read.
pub(super) fn files_opened(around: &Surroundings, command: &Command, prefixes: &[&Path]) -> Outcome<usize> {
    let log = around.fresh("opened");
    around.prepare(traced(&["-y", "-e", "trace=open,openat,openat2"], &log, command))?;
    // Names are not always UTF-8; strace escapes what is not ASCII.
    let log = fs::read_to_string(&log)?;
    Ok(log
        .lines()
        .filter_map(opened)
        .filter(|path| prefixes.iter().any(|p| Path::new(path).starts_with(p)))
        // Where a call is interrupted by another thread's, its flags are on another line than its result.
        .filter(|path| !Path::new(path).is_dir())
        .count())
}

fn traced(options: &[&str], output: &Path, command: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.arg("-f").args(options).arg("-o").arg(output);
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

/// The number in the line of the total: `% time  seconds  usecs/call  calls  [errors]  total`.
fn count(summary: &str) -> Option<u64> {
    let total = summary.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

/// The path of a file that a line of `strace -y` says was opened: `openat(…) = 7</path>`.
fn opened(line: &str) -> Option<&str> {
    if line.contains("O_DIRECTORY") {
        return None;
    }
    line.rsplit_once(" = ")?.1.split_once('<')?.1.strip_suffix('>')
}

#[cfg(test)]
mod tests {
    use super::{count, opened};

    #[test]
    fn the_total_of_a_summary_is_found() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
                       ------ ----------- ----------- --------- --------- ------------------\n \
                       60.00    0.000060           1        42         2 openat\n\
                       ------ ----------- ----------- --------- --------- ------------------\n\
                       100.00    0.000100           1      1042         2 total\n";
        assert_eq!(count(summary), Some(1042));
        assert_eq!(count("strace: exec: No such file\n"), None);
    }

    #[test]
    fn files_that_were_opened_are_told_from_directories_and_failures() {
        let line = r#"123 openat(9</store/linux/zlib-1>, "lib/libz.so", O_RDONLY|O_CLOEXEC) = 7</store/linux/zlib-1/lib/libz.so>"#;
        assert_eq!(opened(line), Some("/store/linux/zlib-1/lib/libz.so"));
        assert_eq!(opened(r#"openat(AT_FDCWD</>, "/store", O_RDONLY|O_DIRECTORY) = 7</store>"#), None);
        assert_eq!(
            opened(r#"openat(AT_FDCWD</>, "/no", O_RDONLY) = -1 ENOENT (No such file or directory)"#),
            None
        );
    }
}
