//! Commands that look after a store: `gc`, `mark`, `verify`, `reindex`.

use clap::{ArgGroup, Args};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Specs: remove only what satisfies one of them
    pub(crate) specs: Vec<String>,
    /// Keep what packages that are needed were built with
    #[arg(short = 'b', long)]
    pub(crate) keep_build_dependencies: bool,
    /// Keep what this environment needs, and nothing else; may be given more than once. After `gc`, -e is short for it,
    /// as in Spack; before, it names the only environment that is cleaned up
    #[arg(long, value_name = "ENV")]
    pub(crate) except_environment: Vec<PathBuf>,
    /// Keep what any environment needs, and nothing else; after `gc`, -E is short for it, as in Spack
    #[arg(long)]
    pub(crate) except_any_environment: bool,
    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Accepted for the sake of scripts written for Spack; strata never asks
    #[arg(short = 'y', long)]
    pub(crate) yes_to_all: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("how").required(true)))]
pub(crate) struct Mark {
    /// Specs of the packages
    #[arg(required_unless_present = "all")]
    pub(crate) specs: Vec<String>,
    /// Mark every package that satisfies one of the specs, or all that there are
    #[arg(short, long)]
    pub(crate) all: bool,
    /// As asked for: `gc` keeps them. -e is short for it after `mark`, as in Spack
    #[arg(long, group = "how")]
    pub(crate) explicit: bool,
    /// As only needed by others: `gc` removes them if nothing needs them
    #[arg(short, long, group = "how")]
    pub(crate) implicit: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// `manifest` (the default) or `libraries`, then specs of the packages
    pub(crate) specs: Vec<String>,
    /// Look at every package that satisfies one of the specs, or at all that there are
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Compare with the layers of the caches, rather than with the manifests of the packages
    #[arg(long, visible_alias = "against-cache")]
    pub(crate) cache: bool,
    /// With --cache: name of a mirror, or URL of a cache; may be given more than once [default: all configured mirrors]
    #[arg(short, long, value_name = "MIRROR", requires = "cache")]
    pub(crate) mirror: Vec<String>,
    /// Accepted for the sake of scripts written for Spack: packages of this store only
    #[arg(short, long)]
    pub(crate) local: bool,
    /// What is wrong as Spack has it in JSON: a line for each package, of paths and what differs
    #[arg(short = 'j')]
    pub(crate) spack_json: bool,
    /// Packages looked at in parallel [default: number of cores]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Reindex {
    /// Say what the new database would be, and leave the old one
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// Specs of the packages; in an environment only its packages are meant
    #[arg(required_unless_present = "all")]
    pub(crate) specs: Vec<String>,
    /// Every package that satisfies them; all that are installed, or all of the environment, if there are no specs
    #[arg(short, long)]
    pub(crate) all: bool,
    /// What needs them, too
    #[arg(short = 'R', long)]
    pub(crate) dependents: bool,
    /// Whether or not other packages or environments need them
    #[arg(short, long)]
    pub(crate) force: bool,
    /// In an environment: remove them from it as well; what other environments need stays installed
    #[arg(long)]
    pub(crate) remove: bool,
    /// Accepted for the sake of scripts written for Spack; strata never asks
    #[arg(short = 'y', long)]
    pub(crate) yes_to_all: bool,
}
