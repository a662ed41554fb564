//! The crate from outside: one contract over every backend, what is special about each, and real peers.

// In a test binary every function is part of a test; clippy allows it only within those marked as one.
#![allow(clippy::unwrap_used)]

mod auth;
mod blob_cache;
mod changed_files;
mod client;
mod contract;
mod copies;
mod crowd;
mod cutting_proxy;
mod downloads_resumed;
mod fault_server;
mod flaky_registry;
mod golden;
mod image;
mod layout;
mod memory;
mod mounts;
mod ordeal;
mod probe;
mod proxy;
mod quirks;
mod real_registries;
mod redirects;
mod remote_downloads;
mod remote_errors;
mod remote_uploads;
mod retries;
mod secrecy;
mod skopeo;
mod tls;
mod tls_front;
mod uploads_resumed;
