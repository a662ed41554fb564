//! `cargo xtask bench scale`: how time and memory grow with files, bytes, packages and the size of an index, over two orders
//! of magnitude. Plots go to `docs/plots/`, slopes to `docs/performance.md`.

mod plot;

use super::super::statistics::{Spread, slope};
use super::super::{Outcome, generate, markers};
use super::filled_layout::FilledLayout;
use super::indexes::serve;
use super::install::install;
use super::machine;
use super::options::Options;
use super::resolve::put_index;
use super::store::Store;
use super::surroundings::{Surroundings, hollow_out};
use plot::{Plot, Series};
use std::fs;
use std::path::Path;
use std::process::Command;
use strata_testkit::sample_store::{SampleStore, Shape};

/// What the table in `docs/performance.md` says that it was made by.
const COMMAND: &str = "cargo xtask bench scale";

struct Arguments {
    runs: usize,
    quick: bool,
}

impl Arguments {
    fn read(mut words: &[&str]) -> Outcome<Self> {
        let mut arguments = Self { runs: 3, quick: false };
        loop {
            words = match words {
                [] => return Ok(arguments),
                ["--quick", rest @ ..] => {
                    arguments.quick = true;
                    rest
                }
                ["--runs", count, rest @ ..] => {
                    arguments.runs = count.parse().map_err(|_| format!("--runs {count}: not a number"))?;
                    rest
                }
                [other, ..] => {
                    return Err(format!("what is {other}? usage: {COMMAND} [--runs N] [--quick]").into());
                }
            };
        }
    }
}

/// What grows, and what is done the more of it there is.
struct Axis {
    /// For file names.
    name: &'static str,
    label: &'static str,
    sizes: [usize; 5],
    measure: fn(&Bench<'_>, usize) -> Outcome<Vec<Point>>,
}

/// Three of a decade would be too many, and the ends alone would not show a bend.
const AXES: [Axis; 5] = [
    Axis {
        name: "files",
        label: "files of one package of 50 MB",
        sizes: [200, 630, 2_000, 6_300, 20_000],
        measure: |bench, files| bench.packages(Shape { packages: 1, files, bytes: 50_000_000 }),
    },
    Axis {
        name: "bytes",
        label: "bytes of one package of 100 files",
        sizes: [10_000_000, 32_000_000, 100_000_000, 320_000_000, 1_000_000_000],
        measure: |bench, bytes| bench.packages(Shape { packages: 1, files: 100, bytes: bytes as u64 }),
    },
    Axis {
        name: "packages",
        label: "packages of 10 files and 100 kB",
        sizes: [10, 32, 100, 320, 1_000],
        measure: |bench, packages| {
            bench.packages(Shape { packages, files: 10 * packages, bytes: 100_000 * packages as u64 })
        },
    },
    Axis {
        name: "index-update",
        label: "specs in the cache",
        sizes: [100, 320, 1_000, 3_200, 10_000],
        measure: |bench, specs| bench.update_index(specs),
    },
    Axis {
        name: "index-resolve",
        label: "specs in the index",
        sizes: [1_000, 3_200, 10_000, 32_000, 100_000],
        measure: |bench, specs| bench.resolve(specs),
    },
];

/// What one command took at one size.
struct Point {
    command: &'static str,
    seconds: f64,
    peak_mib: f64,
}

/// Measures, and writes plots and table.
#[allow(clippy::print_stdout, clippy::print_stderr)]
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    let arguments = Arguments::read(arguments)?;
    let around = Surroundings::new(Options::read(&[])?, Store::none())?;
    let machine = machine::describe(&around.strata, &around.directory("first")?)?;
    let plots = super::workspace().join("docs/plots");
    fs::create_dir_all(&plots)?;
    let mut table = String::from("| command | grows with | time | memory |\n|---|---|---|---|\n");
    for axis in &AXES {
        let sizes = if arguments.quick { &axis.sizes[..3] } else { &axis.sizes[..] };
        let (mut time, mut memory): (Vec<Series>, Vec<Series>) = (Vec::new(), Vec::new());
        for size in sizes {
            eprintln!("{size} {}", axis.label);
            let bench = Bench { around: &around, runs: arguments.runs };
            for point in (axis.measure)(&bench, *size)? {
                keep(&mut time, point.command, (*size as f64, point.seconds));
                keep(&mut memory, point.command, (*size as f64, point.peak_mib));
            }
        }
        for (seconds, peak) in time.iter().zip(&memory) {
            let power =
                |series: &Series| slope(&series.points).map_or("?".to_owned(), |power| format!("{power:.2}"));
            let row =
                format!("| `{}` | {} | {} | {} |\n", seconds.name, axis.label, power(seconds), power(peak));
            print!("{row}");
            table.push_str(&row);
        }
        for (what, label, series) in [("time", "seconds", time), ("memory", "MiB at most", memory)] {
            let plot = Plot { x_label: axis.label, y_label: label, series };
            fs::write(plots.join(format!("{}-{what}.svg", axis.name)), plot.svg())?;
        }
    }
    let word = |key: &str| machine[key].as_str().unwrap_or("unknown").to_owned();
    let (runs, quick) = (arguments.runs, if arguments.quick { ", `--quick`" } else { "" });
    let text = format!(
        "Slopes on {} at commit {}, {} cores, medians of {runs} runs{quick}:\n\n{table}",
        word("date"),
        word("commit"),
        machine["cores"],
    );
    markers::write(&super::workspace().join("docs/performance.md"), COMMAND, &text)
}

fn keep(all: &mut Vec<Series>, name: &'static str, point: (f64, f64)) {
    match all.iter_mut().find(|series| series.name == name) {
        Some(series) => series.points.push(point),
        None => all.push(Series { name, points: vec![point] }),
    }
}

struct Bench<'s> {
    around: &'s Surroundings,
    runs: usize,
}

impl Bench<'_> {
    /// The median time and the most memory of runs of a command, each of which is made anew.
    fn point(&self, name: &'static str, mut command: impl FnMut() -> Outcome<Command>) -> Outcome<Point> {
        let samples: Vec<_> =
            (0..self.runs.max(1)).map(|_| self.around.time(&command()?)).collect::<Outcome<_>>()?;
        let seconds = Spread::of(samples.iter().map(|sample| sample.seconds).collect());
        let peak_kib = samples.iter().map(|sample| sample.peak_kib).max().unwrap_or_default();
        Ok(Point {
            command: name,
            seconds: seconds.map_or(0.0, |seconds| seconds.median),
            peak_mib: peak_kib as f64 / 1024.0,
        })
    }

    /// Push and install of a store of that shape.
    fn packages(&self, shape: Shape) -> Outcome<Vec<Point>> {
        let around = self.around;
        let root = around.fresh("shaped");
        SampleStore::build_shaped(&root, 128, shape)?;
        let store = Store::read(&root)?;
        let mut url = String::new();
        let push = self.point("push", || {
            url = format!("oci+http://{}/cache", around.registry()?);
            Ok(around.strata_push(&around.fresh("cache"), &store, &url))
        })?;
        let mut roots = Vec::new();
        let specs = store.specs();
        let install = self.point("install", || {
            let (root, cache) = (around.fresh("store"), around.fresh("cache"));
            roots.push(root.clone());
            Ok(install(around, &cache, &root, &url, &specs))
        })?;
        roots.push(root);
        roots.iter().try_for_each(|root| hollow_out(root))?;
        Ok(vec![push, install])
    }

    /// From nothing, and with one new.
    fn update_index(&self, specs: usize) -> Outcome<Vec<Point>> {
        let around = self.around;
        let served = around.directory("served")?;
        let layout = FilledLayout::write(&served.join("cache"), &generate::index_of(specs)?)?;
        let server = serve(around, &served)?;
        let url = format!("oci://127.0.0.1:{}/cache", server.port);
        let cache = around.fresh("cache");
        let update = |cache: &Path| {
            let mut command = around.strata(cache, &around.fresh("store"));
            command.args(["buildcache", "update-index", &url]);
            command
        };
        layout.set_tags(layout.len() - 1, &[])?;
        around.prepare(update(&cache))?;
        let present = layout.index_entry()?;
        let nothing = self.point("update-index, from nothing", || {
            layout.set_tags(layout.len(), &[])?;
            Ok(update(&around.fresh("cache")))
        })?;
        let one = self.point("update-index, one new", || {
            layout.set_tags(layout.len(), std::slice::from_ref(&present))?;
            Ok(update(&cache))
        })?;
        Ok(vec![nothing, one])
    }

    /// With an index that was seen before, and with one that was not.
    fn resolve(&self, specs: usize) -> Outcome<Vec<Point>> {
        let around = self.around;
        let served = around.directory("served")?;
        put_index(&served.join("cache"), specs)?;
        let server = serve(around, &served)?;
        let url = format!("oci://127.0.0.1:{}/cache", server.port);
        let cache = around.fresh("cache");
        let question = |cache: &Path| {
            let mut command = around.strata(cache, &around.fresh("store"));
            command.args(["spec", "python", "--mirror", &url]);
            command
        };
        around.prepare(question(&cache))?;
        let kept = self.point("spec", || Ok(question(&cache)))?;
        let new = self.point("spec, index not seen before", || Ok(question(&around.fresh("cache"))))?;
        Ok(vec![kept, new])
    }
}
