//! Reading layers: unpacking hostile ones, odd ones, and those that real Spack made; merging them; and going through those
//! of base images.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

#[path = "unpack/contents.rs"]
mod contents;
#[path = "unpack/golden.rs"]
mod golden;
#[path = "unpack/hostile.rs"]
mod hostile;
#[path = "unpack/legal.rs"]
mod legal;
#[path = "unpack/merged.rs"]
mod merged;
#[path = "unpack/random.rs"]
mod random;
#[path = "unpack/support.rs"]
mod support;
