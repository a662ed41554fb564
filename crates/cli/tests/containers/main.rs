//! Images that strata makes, pulled and run by container engines, from docker-registry and from `strata serve`.

#![allow(clippy::unwrap_used)]

mod archives;
mod compressions;
mod golden_images;
mod many;
mod platforms;
mod registries;
#[allow(dead_code)]
#[path = "../strata/support.rs"]
mod support;
mod tutorial;
