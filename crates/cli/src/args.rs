//! The command line, as clap reads it. Words and options are Spack's wherever Spack has them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Put what Spack installs into any OCI registry, and take it out again.
///
/// Neither Spack, Python nor Docker is needed. A cache is the name of a configured mirror, or a URL:
/// oci://HOST/NAME (https), oci+http://HOST/NAME, or oci+file:///DIR, an OCI image layout on disk.
#[derive(Debug, Parser)]
#[command(name = "strata", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Root of the install tree, as config:install_tree:root names it, padded underneath or not
    #[arg(long, global = true, value_name = "DIR", env = "STRATA_STORE")]
    pub(crate) store: Option<PathBuf>,
    /// Pad the root of a new install tree to this many bytes, as config:install_tree:padded_length does
    #[arg(long, global = true, value_name = "N")]
    pub(crate) padded_length: Option<usize>,
    /// Write one JSON document to standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How progress is told on standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) progress: Progress,
    /// Say less: warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// How progress is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// A line for each package, and a bar on a terminal
    #[default]
    Auto,
    /// One JSON document for each event
    Json,
    /// Not at all
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write to, list and index caches of binary packages
    #[command(subcommand)]
    Buildcache(Buildcache),
    /// Install packages and what they need at run time from a cache
    Install(Install),
    /// List installed packages
    Find(Find),
    /// Print where a package is installed
    Location(Location),
    /// Remove installed packages
    Uninstall(Uninstall),
    /// Manage the caches that are known by name
    #[command(subcommand)]
    Mirror(Mirror),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Buildcache {
    /// Push installed packages and what they need at run time into a cache
    Push(Push),
    /// Write the index that tells readers which packages a cache has
    UpdateIndex(UpdateIndex),
    /// List the packages of a cache
    List(List),
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Name of a mirror, or URL of a cache
    pub(crate) mirror: String,
    /// What to push: NAME, NAME@VERSION or /HASH; every explicitly installed package if none is given
    pub(crate) specs: Vec<String>,
    /// Push what the cache has already, too
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Push the packages named alone, or their dependencies alone
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) only: Option<Only>,
    /// Update the index of the cache afterwards
    #[arg(long, visible_alias = "rebuild-index")]
    pub(crate) update_index: bool,
    /// Packages packed at the same time [default: number of cores]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Say what would be pushed, and push nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Accepted for command lines written for Spack: packages in OCI caches are never signed
    #[arg(short, long)]
    pub(crate) unsigned: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Only {
    Package,
    Dependencies,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateIndex {
    /// Name of a mirror, or URL of a cache
    pub(crate) mirror: String,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Packages to list: NAME, NAME@VERSION or /HASH; all if none is given
    pub(crate) specs: Vec<String>,
    /// Name of a mirror, or URL of a cache; all configured mirrors if none is given
    #[arg(short, long, value_name = "MIRROR")]
    pub(crate) mirror: Vec<String>,
    /// Show the hash of each package
    #[arg(short, long)]
    pub(crate) long: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// What to install: NAME, NAME@VERSION or /HASH
    #[arg(required = true)]
    pub(crate) specs: Vec<String>,
    /// Name of a mirror, or URL of a cache; may be given more than once [default: all configured mirrors]
    #[arg(short, long, value_name = "MIRROR")]
    pub(crate) mirror: Vec<String>,
    /// Packages installed at the same time [default: number of cores]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Say what would be installed, and install nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Accepted for command lines written for Spack: strata installs from caches only
    #[arg(long)]
    pub(crate) cache_only: bool,
    /// Accepted for command lines written for Spack: packages in OCI caches are never signed
    #[arg(long)]
    pub(crate) no_check_signature: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Packages to list: NAME, NAME@VERSION or /HASH; all if none is given
    pub(crate) specs: Vec<String>,
    /// Show the hash of each package
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Show where each package is installed
    #[arg(short, long)]
    pub(crate) paths: bool,
    /// Packages that were asked for, and not only needed by others
    #[arg(short = 'x', long)]
    pub(crate) explicit: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Location {
    /// Print the prefix of the package (the only kind of location there is)
    #[arg(short, long)]
    pub(crate) install_dir: bool,
    /// NAME, NAME@VERSION or /HASH
    pub(crate) spec: String,
}

#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// NAME, NAME@VERSION or /HASH
    #[arg(required = true)]
    pub(crate) specs: Vec<String>,
    /// Accepted for the sake of scripts written for Spack; strata never asks
    #[arg(short = 'y', long)]
    pub(crate) yes_to_all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mirror {
    /// Give a cache a name
    Add(MirrorAdd),
    /// Forget a mirror
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
    /// List the mirrors that are configured
    List,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorAdd {
    /// The name
    pub(crate) name: String,
    /// Its URL
    pub(crate) url: String,
    /// Write down that packages from it must be signed
    #[arg(long, conflicts_with = "unsigned")]
    pub(crate) signed: bool,
    /// Write down that packages from it need not be signed
    #[arg(short, long)]
    pub(crate) unsigned: bool,
}
