//! `strata find …` and `strata location …`: what is installed, and where.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Specs of packages to list; all if none is given
    pub(crate) specs: Vec<String>,
    /// Show the first characters of the hash of each package
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Show all of the hash of each package
    #[arg(short = 'L', long)]
    pub(crate) very_long: bool,
    /// Show the variants of each package; -v does the same, as in Spack
    #[arg(long)]
    pub(crate) variants: bool,
    /// Show where each package is installed
    #[arg(short, long)]
    pub(crate) paths: bool,
    /// Show what each package depends on, as a tree
    #[arg(short, long)]
    pub(crate) deps: bool,
    /// Packages that were asked for, and not only needed by others
    #[arg(short = 'x', long)]
    pub(crate) explicit: bool,
    /// Packages that were not asked for
    #[arg(short = 'X', long, conflicts_with = "explicit")]
    pub(crate) implicit: bool,
    /// In an environment: packages that are concrete and not installed, too; -c does the same after `find`
    #[arg(long)]
    pub(crate) show_concretized: bool,
    /// In an environment: what was asked for, and nothing else
    #[arg(short = 'r', long, conflicts_with_all = ["specs", "show_concretized", "format", "deps"])]
    pub(crate) only_roots: bool,
    /// Show where each package is, with Spack's signs: + here, ^ in an upstream, e an external, - not installed
    #[arg(short = 'I', long)]
    pub(crate) install_status: bool,
    /// Which install trees: all, local, upstream, or the name or the root of an upstream
    #[arg(long, value_name = "TREE", default_value = "all")]
    pub(crate) install_tree: String,
    /// Show this of each package: Spack's format strings, such as '{name}{@version}{/hash:7}'
    #[arg(long, value_name = "FORMAT", conflicts_with = "variants")]
    pub(crate) format: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Location {
    /// Print the prefix of the package (the default)
    #[arg(short, long)]
    pub(crate) install_dir: bool,
    /// Spec of the package; without one, the directory of the environment is printed
    pub(crate) spec: Option<String>,
}
