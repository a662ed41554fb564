//! `cargo xtask bench`: every case against real Spack, against what a careful person would script and against the floor
//! below which no program can go, in one run.
//!
//! `BENCHMARKS.md` says how to read the table. A case lies in the file of its group; `case` says what one is, `rounds` how
//! it is played, and `report` what is made of it.

mod case;
mod compression;
mod filled_layout;
mod floors;
mod indexes;
mod install;
mod large;
mod machine;
mod options;
mod push;
mod pyc;
mod report;
mod resolve;
mod rounds;
pub(crate) mod scale;
mod startup;
mod store;
mod surroundings;
mod traced;

use super::{Outcome, markers};
use case::Case;
use options::Options;
use report::{HEADER, Line};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use store::Store;
use surroundings::Surroundings;

/// What the table in `BENCHMARKS.md` says that it was made by.
const COMMAND: &str = "cargo xtask bench --write";

/// All cases, in the order of the table.
fn cases() -> impl Iterator<Item = &'static Case> {
    let groups: [&[Case]; 9] = [
        &push::CASES,
        &install::CASES,
        &large::CASES,
        &traced::CASES,
        &compression::CASES,
        &pyc::CASES,
        &indexes::CASES,
        &resolve::CASES,
        &startup::CASES,
    ];
    groups.into_iter().flatten()
}

/// Runs what is asked for.
#[allow(clippy::print_stdout)]
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    let names: Vec<&str> = cases().map(|case| case.name).collect();
    if let Some(unknown) =
        options.only.iter().find(|only| !names.iter().any(|name| name.starts_with(&***only)))
    {
        return Err(format!("no case is called {unknown}; there are {}", names.join(", ")).into());
    }
    let store = Store::find(options.store.as_deref())?;
    let surroundings = Surroundings::new(options, store)?;
    let machine = machine::describe(&surroundings.strata, &surroundings.directory("first")?)?;
    println!("{HEADER}");
    let mut lines = Vec::new();
    for case in cases().filter(|case| surroundings.options.wants(case.name)) {
        for line in measured(case, &surroundings) {
            println!("{}", line.markdown());
            lines.push(line);
        }
    }
    let results = keep(&machine, &surroundings.options, &lines)?;
    println!("\nraw results: {}", results.display());
    if surroundings.options.write {
        markers::write(
            &workspace().join("BENCHMARKS.md"),
            COMMAND,
            &page(&machine, &surroundings.options, &lines),
        )?;
    }
    Ok(())
}

/// The rows of one case. Whatever goes wrong is a row as well, and does not keep the next case from being measured.
#[allow(clippy::print_stderr)]
fn measured(case: &Case, surroundings: &Surroundings) -> Vec<Line> {
    let mut contest = match (case.prepare)(surroundings) {
        Ok(contest) => contest,
        Err(error) => {
            eprintln!("{}: {error}", case.name);
            return vec![Line::failed(case.name, error.to_string())];
        }
    };
    let say = |text: &str| eprintln!("{}: {text}", case.name);
    let played = rounds::play(&mut contest, surroundings.options.pairs, &say);
    let lines: Vec<Line> = contest.rows.iter().map(|row| Line::of(case.name, row, &played)).collect();
    for failure in lines.iter().filter_map(Line::failure) {
        say(failure);
    }
    lines
}

/// Writes the raw results to a file of their own, and says where.
fn keep(machine: &Value, options: &Options, lines: &[Line]) -> Outcome<PathBuf> {
    let directory = workspace().join("benches/results");
    fs::create_dir_all(&directory)?;
    let word = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    let stem = format!("{}-{}", word("date"), word("commit"));
    let path = (1..)
        .map(|number| if number == 1 { format!("{stem}.json") } else { format!("{stem}-{number}.json") })
        .map(|name| directory.join(name))
        .find(|path| !path.exists())
        .ok_or("no name is left for the results")?;
    let rows: Vec<Value> = lines.iter().map(Line::json).collect();
    let results = json!({"machine": machine, "pairs": options.pairs, "quick": options.quick, "rows": rows});
    fs::write(&path, serde_json::to_string_pretty(&results)? + "\n")?;
    Ok(path)
}

/// What `BENCHMARKS.md` gets: the machine, and the table.
fn page(machine: &Value, options: &Options, lines: &[Line]) -> String {
    let word = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    let (pairs, s) = (options.pairs, if options.pairs == 1 { "" } else { "s" });
    let quick = if options.quick {
        " `--quick`: smaller data, and figures that only show that it works."
    } else {
        ""
    };
    let rows: Vec<String> = lines.iter().map(Line::markdown).collect();
    format!(
        "Measured on {} at commit {}: {} ({} cores), {}, {}; {pairs} pair{s} each.{quick}\n\n{HEADER}\n{}",
        word("date"),
        word("commit"),
        word("processor"),
        machine["cores"],
        word("kernel"),
        word("file_system"),
        rows.join("\n"),
    )
}

/// The directory of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
