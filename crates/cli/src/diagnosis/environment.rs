//! What kind of failure it is that an environment could not be found, made, removed or renamed, and what to do about it.

use super::{KIND_CORRUPT, KIND_FAILED, KIND_NOT_FOUND, KIND_USAGE, Kind, refused};
use strata_ops::environment::managed::ManagedError;
use strata_spec::lockfile::InvalidLockfile;

pub(super) fn kind(error: &ManagedError) -> Kind {
    match error {
        ManagedError::Name { .. }
        | ManagedError::NoSuch { .. }
        | ManagedError::NotOne { .. }
        | ManagedError::Gone { .. }
        | ManagedError::Exists { .. }
        | ManagedError::NotADirectory { .. }
        | ManagedError::IncludesAlready { .. }
        | ManagedError::NotConcrete { .. } => KIND_USAGE,
        ManagedError::NoOrigin { .. } => KIND_NOT_FOUND,
        ManagedError::Active { .. } | ManagedError::Included { .. } => KIND_FAILED,
        ManagedError::Lockfile { .. } => KIND_CORRUPT,
        ManagedError::Io { source, .. } => refused(source),
    }
}

pub(super) fn hint(error: &ManagedError) -> Option<String> {
    let hint = match error {
        ManagedError::Name { name } if name.contains(['/', '.']) => {
            "a directory is made into an environment with `strata env create --dir DIRECTORY`"
        }
        ManagedError::NoSuch { .. } => {
            "see which there are with `strata env list`, or name a directory that has a spack.yaml or a spack.lock in it"
        }
        ManagedError::NotOne { .. } => "make it one with `strata env create --dir DIRECTORY`",
        ManagedError::Exists { .. } => {
            "name another, or remove that one first: `strata env remove`; `env rename` replaces it with --force"
        }
        ManagedError::Gone { .. } => "leave it out with -E, or unset SPACK_ENV",
        ManagedError::NoOrigin { .. } => {
            "name a spack.yaml, a file whose name ends in .lock or .json, or an environment"
        }
        ManagedError::IncludesAlready { .. } => "write it into the manifest, as `include_concrete`",
        ManagedError::NotConcrete { .. } => "make its specs concrete first: `strata -e ENV concretize`",
        ManagedError::Active { .. } => "deactivate it first: `eval \"$(strata env deactivate)\"`",
        ManagedError::Included { .. } => "remove those first, or use --force",
        ManagedError::Lockfile { source: InvalidLockfile::UnknownVersion(_), .. } => {
            "it was written by a newer Spack; a newer version of strata may read it"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
