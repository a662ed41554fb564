//! Chores of the workspace: `cargo xtask demo`.

mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some("demo") => demo::run(),
        _ => Err("usage: cargo xtask demo".into()),
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
