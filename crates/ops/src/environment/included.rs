//! Environments whose concrete specs are part of another one (`include_concrete`).

use super::{Environment, read_lockfile};
use crate::error::Error;
use strata_config::Configuration;
use strata_spec::Lockfile;

/// The lockfiles of the environments that `environment` includes, by path, in order.
///
/// # Errors
/// If one of them is not concrete, or cannot be read.
pub(super) fn lockfiles(
    environment: &Environment,
    configuration: &Configuration,
) -> Result<Vec<(String, Lockfile)>, Error> {
    let directories = environment.manifest.included_environments(configuration)?;
    let lockfile = |directory: std::path::PathBuf| {
        let lockfile = read_lockfile(&directory)?;
        match lockfile {
            Some(lockfile) => Ok((directory.display().to_string(), lockfile)),
            None => Err(Error::NoLockfile { directory }),
        }
    };
    directories.into_iter().map(lockfile).collect()
}
