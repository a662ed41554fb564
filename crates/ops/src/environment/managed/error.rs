//! What can be wrong with an environment as a directory.

use std::path::{Path, PathBuf};

/// An environment could not be found, made, removed or renamed.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// A name that environments cannot have.
    #[error(
        "`{name}` cannot be the name of an environment: letters, digits, `_`, `-` and `/` can be in one, and it cannot \
             begin with `-` or `/`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There is no environment of that name, and no directory either.
    #[error("there is no environment `{name}`: it is no directory{}", if *is_name { format!(", and none in {} is called that", root.display()) } else { String::new() })]
    NoSuch {
        /// What it was called.
        name: String,
        /// Where those with names are.
        root: PathBuf,
        /// Whether it could be a name.
        is_name: bool,
    },
    /// A directory that is no environment.
    #[error("{} is no environment: it has neither a spack.yaml nor a spack.lock", directory.display())]
    NotOne {
        /// The directory.
        directory: PathBuf,
    },
    /// The environment that is active is not there any more.
    #[error("the active environment is gone: SPACK_ENV is {}, {reason}", directory.display())]
    Gone {
        /// What SPACK_ENV says.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is one already.
    #[error("there is an environment already: {}", path.display())]
    Exists {
        /// The file or directory that is in the way.
        path: PathBuf,
    },
    /// A file in place of a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// What an environment is to be made from is not there.
    #[error("there is no {}, neither as a file nor as an environment, to take what is wanted from", path.display())]
    NoOrigin {
        /// What was named.
        path: PathBuf,
    },
    /// A lockfile that an environment is to be made from, or that is to be included, cannot be used.
    #[error("cannot use {}", path.display())]
    Lockfile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: strata_spec::lockfile::InvalidLockfile,
    },
    /// What is included is said by the manifest that an environment is to be made from.
    #[error("what is included is for {} to say, which the environment is to be made from", path.display())]
    IncludesAlready {
        /// The manifest, or the environment that has it.
        path: PathBuf,
    },
    /// An environment that is to be included is not concrete.
    #[error("{} is not concrete: there is no spack.lock in it", directory.display())]
    NotConcrete {
        /// Its directory.
        directory: PathBuf,
    },
    /// The environment that a command is to remove or rename is the active one.
    #[error("environment `{name}` is active, and cannot be {what}")]
    Active {
        /// Its name.
        name: String,
        /// `removed` or `renamed`.
        what: &'static str,
    },
    /// Another environment includes it.
    #[error("environment `{name}` is included by {}", by.join(", "))]
    Included {
        /// Its name.
        name: String,
        /// The names of those that include it.
        by: Vec<String>,
    },
    /// Disk.
    #[error("{}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl ManagedError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}
