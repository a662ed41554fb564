//! An installed python that cannot write starts as fast as where it was built: what it compiled there is still valid.

use super::super::Outcome;
use super::case::{Aim, Case, Contest, Contestant, Quantity, Reading, Row, STRATA};
use super::install::install;
use super::store::Store;
use super::surroundings::Surroundings;
use std::path::Path;
use std::process::Command;

pub(super) const CASES: [Case; 1] = [Case { name: "pyc", prepare: pyc }];

const HOME: &str = "where it was built";
/// Modules that load many others.
const IMPORT: &str =
    "import argparse, asyncio, email.message, http.client, json, logging.config, sqlite3, unittest";
/// How often python is started for one figure.
const STARTS: usize = 20;

fn pyc(around: &Surroundings) -> Outcome<Contest<'_>> {
    let url = format!("oci+http://{}/cache", around.registry()?);
    let (cache, root) = (around.fresh("cache"), around.fresh("store"));
    around.prepare(around.strata_push(&cache, &around.store, &url))?;
    let python = around.store.package("python")?;
    around.prepare(install(around, &cache, &root, &url, &[python.spec()]))?;
    let installed = Store::read(&root)?.package("python")?.prefix.clone();
    let contestant = |name, prefix: &Path| {
        let program = prefix.join("bin/python3");
        Contestant::new(name, move |_| started(around, &program))
    };
    let contestants = vec![contestant(STRATA, &installed), contestant(HOME, &python.prefix)];
    let what = "an installed python that may not write imports eight modules";
    let rows = vec![
        Row::alone(what, Quantity::Compiled, Aim::AtMost(0.0)),
        Row::clock(&format!("{what}, {STARTS} times"), HOME, Aim::Within(1.1)),
    ];
    Ok(Contest { contestants, rows, once: false })
}

/// A root user may write everywhere: python is told not to.
fn started(around: &Surroundings, program: &Path) -> Outcome<Reading> {
    let mut verbose = Command::new(program);
    let output = verbose.args(["-I", "-B", "-v", "-c", IMPORT]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{verbose:?}: {}\n{said}", output.status).into());
    }
    let compiled = said.lines().filter(|line| is_compiled(line)).count();
    let mut starts = Command::new("sh");
    let each = format!("set -e; for i in $(seq {STARTS}); do \"$0\" -I -B -c '{IMPORT}'; done");
    starts.args(["-c", &each]).arg(program);
    Ok(Reading::from(around.time(&starts)?).with(Quantity::Compiled, compiled as f64))
}

/// Whether a line of `python -v` is about a module that was made of its source.
fn is_compiled(line: &str) -> bool {
    line.strip_prefix("# code object from '").is_some_and(|path| path.trim_end_matches('\'').ends_with(".py"))
}

#[cfg(test)]
mod tests {
    use super::is_compiled;

    #[test]
    fn modules_that_were_compiled_are_told_from_those_that_were_read() {
        assert!(is_compiled("# code object from '/prefix/lib/python3.11/json/__init__.py'"));
        assert!(!is_compiled(
            "# code object from '/prefix/lib/python3.11/json/__pycache__/__init__.cpython-311.pyc'"
        ));
        assert!(!is_compiled("# /p/__pycache__/abc.cpython-311.pyc matches /p/abc.py"));
    }
}
