//! The crate from outside: one contract over every backend, what is special about each, and real peers.

// In a test binary every function is part of a test; clippy allows it only within those marked as one.
#![allow(clippy::unwrap_used)]

mod contract;
mod fault_server;
mod golden;
mod image;
mod layout;
mod remote_downloads;
mod remote_errors;
mod remote_uploads;
mod skopeo;
