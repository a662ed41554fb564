//! Unpacking layers: hostile ones, odd ones, and those that real Spack made.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

#[path = "unpack/golden.rs"]
mod golden;
#[path = "unpack/hostile.rs"]
mod hostile;
#[path = "unpack/legal.rs"]
mod legal;
#[path = "unpack/random.rs"]
mod random;
#[path = "unpack/support.rs"]
mod support;
