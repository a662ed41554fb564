//! Chores of the workspace: `cargo xtask demo`, `cargo xtask bench`, `cargo xtask seeds`.

mod bench;
mod demo;
mod seeds;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result: bench::Outcome<()> = match arguments.as_slice() {
        ["demo"] => demo::run().map_err(|error| error.to_string().into()),
        ["bench", "transport", rest @ ..] => bench::transport::run(rest),
        ["bench", "image", rest @ ..] => bench::build::run(rest),
        ["bench", "scale", rest @ ..] => bench::suite::scale::run(rest),
        ["bench", rest @ ..] => bench::suite::run(rest),
        // What the benchmarks time, as processes of their own.
        ["bench-floor", "pack", directories @ ..] => bench::floor::pack(directories),
        ["bench-floor", "inflate", layers @ ..] => bench::floor::inflate(layers),
        ["bench-push", layout, url, tags @ ..] => bench::transfer::push(layout, url, tags),
        ["bench-pull", url, directory, tags @ ..] => bench::transfer::pull(url, directory, tags),
        ["seeds"] => seeds::write(),
        _ => {
            Err("usage: cargo xtask demo | seeds | bench [OPTIONS] | bench scale [--runs N] [--quick] | bench transport [PAIRS] | bench image --store ROOT [--rounds N] [--spack PATH]"
                .into())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        #[allow(clippy::print_stderr)]
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
