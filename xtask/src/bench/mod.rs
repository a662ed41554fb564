//! Benchmarks against what people use otherwise; `BENCHMARKS.md` has the method and the figures.

mod image;
pub(crate) mod index;
mod served;
mod timed;
pub(crate) mod transfer;
pub(crate) mod transport;

/// What goes wrong ends the benchmark.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
