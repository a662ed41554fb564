//! Concrete specs: every format they come in, their hashes, and how they are written out.

#![allow(clippy::unwrap_used)]

mod formats;
mod hashes;
mod templates;
