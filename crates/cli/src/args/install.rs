//! `strata install …`, and how several specs relate to each other, which other commands ask too.

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// What to install: specs as Spack knows them, or /HASH; in an environment those of its packages that satisfy them, or
    /// all of it if there are none
    pub(crate) specs: Vec<String>,
    #[command(flatten)]
    pub(crate) from: super::From,
    /// In an environment: add the specs to it, then install it
    #[arg(long, overrides_with = "no_add")]
    pub(crate) add: bool,
    /// In an environment: do not add the specs to it (the default)
    #[arg(long)]
    pub(crate) no_add: bool,
    /// In an environment: install what its spack.lock says, whatever its spack.yaml says
    #[arg(long, conflicts_with = "add")]
    pub(crate) only_concrete: bool,
    /// Install what is installed already once more, in place of what is there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Install the packages alone, or what they need alone
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) only: Option<InstallOnly>,
    /// Accepted for the sake of scripts written for Spack; strata never asks
    #[arg(short = 'y', long)]
    pub(crate) yes_to_all: bool,
    /// How several specs relate to each other
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) unify: Unify,
    /// Packages installed at the same time [default: number of cores]
    #[arg(short, long, value_name = "N", alias = "concurrent-packages")]
    pub(crate) jobs: Option<usize>,
    /// Have the contents of all files on the disk before a package is recorded, so that they outlast a power failure
    #[arg(long, env = "STRATA_FSYNC", value_parser = FalseyValueParser::new())]
    pub(crate) fsync: bool,
    /// How files are installed that another package of the store has as well
    #[arg(long, env = "STRATA_LINK_MODE", value_enum, default_value_t, value_name = "HOW")]
    pub(crate) link_mode: LinkMode,
    /// Say what would be installed, and install nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Accepted for command lines written for Spack: strata installs from caches only
    #[arg(long)]
    pub(crate) cache_only: bool,
    /// Accepted for command lines written for Spack: packages in OCI caches are never signed
    #[arg(long)]
    pub(crate) no_check_signature: bool,
    /// Accepted for command lines written for Spack, as far as it allows caches
    #[arg(long, value_name = "POLICY", value_parser = super::values::buildcache_policy)]
    pub(crate) use_buildcache: Option<String>,
    /// Accepted for command lines written for Spack
    #[arg(long, hide = true)]
    pub(crate) use_cache: bool,
    /// Accepted for command lines written for Spack: what does not need the package that failed is installed all the same
    #[arg(long, hide = true)]
    pub(crate) fail_fast: bool,
}

/// What of a package and its dependencies is to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InstallOnly {
    /// What is asked for; what that needs has to be installed
    Package,
    /// What that needs to run
    Dependencies,
}

/// How a file is installed that another package of the store has as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinkMode {
    /// Cloned where the file system can do that, else written
    Auto,
    /// Written
    #[default]
    Copy,
    /// As another name of the same file: who edits it in one package edits it in all
    Hardlink,
    /// Cloned: both use the same blocks of the disk until one is written to (XFS, Btrfs)
    Reflink,
}

/// How several specs that are asked for at once relate to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unify {
    /// All use the same packages, or it is an error
    #[default]
    True,
    /// As many as possible use the same packages
    #[value(alias = "when_possible")]
    WhenPossible,
    /// Each is looked at alone
    False,
}
