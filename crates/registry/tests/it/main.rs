//! The registry over real HTTP: the specification's conformance points, what goes beyond them, and real clients.

// In a test binary every function is part of a test; clippy allows it only within those marked as one.
#![allow(clippy::unwrap_used)]

mod access;
mod certificates;
mod directories;
mod discovery;
mod documentation;
mod hostile;
mod management;
mod peers;
mod pull;
mod push;
mod raw;
mod resumption;
mod served;
