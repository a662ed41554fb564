//! The index of caches that are written to by many, that are big, and that hold all kinds of things.

#![allow(clippy::unwrap_used)]

mod bad_tags;
mod downloads;
mod packages;
mod requests;
mod writers;
