//! Abstract specs answered from the indexes of real caches: image layouts with an `index.spack` and no binaries.

#![allow(clippy::unwrap_used)]

mod resolve {
    pub(crate) mod caches;
    mod explanations;
    mod golden;
    mod machines;
    mod mirrors;
    mod together;
}
