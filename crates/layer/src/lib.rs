//! Install prefix → layer, and layer → install prefix.
//!
//! This crate knows files and bytes: it packs a directory exactly as Spack does, and turns such a layer back
//! into a relocated directory. It knows nothing of registries, databases or the network.

mod blocks;
pub mod build_info;
pub mod compression;
pub mod contents;
pub mod gzip;
pub mod libraries;
pub mod links;
pub mod merge;
pub mod pack;
mod prefix_finder;
pub mod relocate;
pub mod unpack;
pub mod zstd;

pub use build_info::BuildInfo;
