//! Relocation from outside: golden data of real Spack, whole trees, and programs that must still run.

// clippy.toml allows it in test functions; here the helpers around them are tests as well.
#![allow(clippy::unwrap_used)]

mod bytecode;
mod golden;
mod grow;
mod noted;
mod support;
mod tree;
