//! The strata command from the outside: real stores, real caches, real registries, and what can go wrong.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod commands;
mod golden_install;
mod golden_push;
mod hostile_layers;
mod kill;
mod reference;
mod support;
