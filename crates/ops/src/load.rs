//! `load`, `unload` and `activate`: what puts installed packages into the environment of a shell, and takes them out again.
//!
//! Which changes there are is told by [`run_environment`](crate::run_environment), for what is installed: computed where
//! prefixes say all, taken from what was kept of the config when a package was installed from a cache, or asked of a Spack.
//! `SPACK_LOADED_HASHES` names what is loaded, as it does for Spack.

mod activation;
mod kept;
mod packages;
mod prompt;
mod shell;

pub use crate::run_environment::{Edit, Modification, Variables, differences};
pub use activation::{Activation, active_view, temporary_directory};
pub(crate) use kept::{forget, keep, read as read_kept};
pub use packages::{Changed, Sources, load, loaded, unload};
pub use shell::{Shell, is_name};
