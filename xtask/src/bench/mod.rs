//! Benchmarks against what people use otherwise; `BENCHMARKS.md` has the method and the figures.

pub(crate) mod build;
mod counted;
pub(crate) mod floor;
mod generate;
mod image;
mod markers;
mod served;
mod statistics;
pub(crate) mod suite;
mod timed;
pub(crate) mod transfer;
pub(crate) mod transport;

/// What goes wrong ends the benchmark.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The `strata` beside this program: what is measured.
fn strata() -> Outcome<std::path::PathBuf> {
    let strata = std::env::current_exe()?.with_file_name("strata");
    if strata.is_file() {
        return Ok(strata);
    }
    Err(format!("{}: build it first: cargo build --release", strata.display()).into())
}
