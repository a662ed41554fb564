//! Stores as a whole: against real processes, real databases, and what goes wrong.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod database;
mod locks;
mod manifest;
mod projections;
mod records;
mod sbang;
mod staging;
mod support;
mod upstreams;
mod views;
