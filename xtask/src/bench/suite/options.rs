//! What the command line of the suite says.

use super::super::Outcome;
use std::path::PathBuf;
use std::time::Duration;

/// How the suite is to be run.
pub(crate) struct Options {
    /// Spack's directory, or its command.
    pub(super) spack: Option<PathBuf>,
    pub(super) store: Option<PathBuf>,
    pub(super) strata: Option<PathBuf>,
    /// Names of cases, or beginnings of names; all if there is none.
    pub(super) only: Vec<String>,
    pub(super) pairs: usize,
    /// Smaller data and fewer rounds: to see that it works.
    pub(super) quick: bool,
    /// What is not done after that long is not waited for.
    pub(super) patience: Duration,
    /// Whether `BENCHMARKS.md` gets the table.
    pub(super) write: bool,
}

pub(super) const USAGE: &str = "usage: cargo xtask bench [--spack DIR] [--store ROOT] [--strata BIN] [--only CASE,…] \
                                [--pairs N] [--quick] [--patience SECONDS] [--write]";

impl Options {
    pub(super) fn read(mut words: &[&str]) -> Outcome<Self> {
        let mut options = Self {
            spack: None,
            store: None,
            strata: None,
            only: Vec::new(),
            pairs: 0,
            quick: false,
            patience: Duration::from_secs(1800),
            write: false,
        };
        loop {
            words = match words {
                [] => break,
                ["--quick", rest @ ..] => {
                    options.quick = true;
                    rest
                }
                ["--write", rest @ ..] => {
                    options.write = true;
                    rest
                }
                ["--spack", path, rest @ ..] => {
                    options.spack = Some(path.into());
                    rest
                }
                ["--store", path, rest @ ..] => {
                    options.store = Some(path.into());
                    rest
                }
                ["--strata", path, rest @ ..] => {
                    options.strata = Some(path.into());
                    rest
                }
                ["--only", names, rest @ ..] => {
                    options.only.extend(names.split(',').map(str::to_owned));
                    rest
                }
                ["--pairs", count, rest @ ..] => {
                    options.pairs = count.parse().map_err(|_| format!("--pairs {count}: not a number"))?;
                    rest
                }
                ["--patience", seconds, rest @ ..] => {
                    let parsed =
                        seconds.parse().map_err(|_| format!("--patience {seconds}: not a number"))?;
                    options.patience = Duration::from_secs(parsed);
                    rest
                }
                [other, ..] => return Err(format!("what is {other}? {USAGE}").into()),
            };
        }
        if options.pairs == 0 {
            options.pairs = if options.quick { 1 } else { 5 };
        }
        Ok(options)
    }

    /// Whether the case is asked for.
    pub(super) fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| case.starts_with(&**name))
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_are_read() {
        let options = Options::read(&["--only", "push_cold,pyc", "--quick", "--patience", "60"]).unwrap();
        assert!(options.wants("push_cold") && options.wants("pyc") && !options.wants("startup"));
        assert_eq!((options.pairs, options.patience.as_secs()), (1, 60));
        assert_eq!(Options::read(&[]).unwrap().pairs, 5);
        assert!(Options::read(&[]).unwrap().wants("startup"));
        assert!(Options::read(&["--pairs"]).is_err(), "a number is missing");
        assert!(Options::read(&["--pairs", "many"]).is_err());
    }
}
