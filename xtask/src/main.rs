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
        ["bench", "index", rest @ ..] => bench::index::run(rest),
        ["bench", "image", rest @ ..] => bench::build::run(rest),
        // What the benchmark times, as a process of its own.
        ["bench-push", layout, url, tags @ ..] => bench::transfer::push(layout, url, tags),
        ["bench-pull", url, directory, tags @ ..] => bench::transfer::pull(url, directory, tags),
        ["seeds"] => seeds::write(),
        _ => {
            Err("usage: cargo xtask demo | seeds | bench transport [PAIRS] | bench index [--specs N] [--rounds N] [--spack PATH] | bench image --store ROOT [--rounds N] [--spack PATH]"
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
