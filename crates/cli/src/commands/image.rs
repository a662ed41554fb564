//! `strata image …`.

mod build;
mod index;
mod inspect;
mod words;

pub(crate) use build::build;
pub(crate) use index::index;
pub(crate) use inspect::inspect;
