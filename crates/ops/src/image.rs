//! Container images made of the layers that a cache has.
//!
//! `assemble` turns layers, a base, an environment and runtime options into a config and a manifest;
//! `buildcache push` uses it for what it tags, [`build`] for what is in a cache already. [`index`] puts images of several
//! platforms under one tag, [`inspect`] says what is in one, [`archive`] writes images to files.

pub mod archive;
pub(crate) mod assemble;
pub(crate) mod base;
pub(crate) mod budget;
pub mod build;
mod error;
pub(crate) mod history;
pub mod index;
pub mod inspect;
pub(crate) mod kept;
pub(crate) mod layer_type;
pub(crate) mod libc;
pub(crate) mod merged;
pub(crate) mod view;

pub use assemble::Runtime;
pub use base::BaseSource;
pub use budget::Budget;
pub use error::ImageError;
