//! `strata env …`, and the commands that change what an environment wants.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Manage environments: directories that say which packages belong together
#[derive(Debug, Subcommand)]
pub(crate) enum Env {
    /// Make an environment
    Create(Create),
    /// List the environments that have names
    #[command(visible_alias = "ls")]
    List,
    /// Say which environment is active
    Status,
    Activate(Activate),
    /// Print what leaves the active environment: eval "$(strata env deactivate)"
    Deactivate(Shell),
    /// Remove environments, and not what is installed for them
    #[command(visible_alias = "rm")]
    Remove(RemoveEnv),
    /// Give an environment another name, or a directory another place
    #[command(visible_alias = "mv")]
    Rename(Rename),
    /// Manage the view of the environment
    View(View),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name, or its directory
    pub(crate) name: PathBuf,
    /// Make it from this: a spack.yaml, a file that ends in .lock or .json, or another environment
    pub(crate) file: Option<PathBuf>,
    /// Make a directory of that path into an environment, rather than one with a name
    #[arg(short, long)]
    pub(crate) dir: bool,
    /// Where its view is
    #[arg(long, value_name = "PATH", conflicts_with = "without_view")]
    pub(crate) with_view: Option<PathBuf>,
    /// Have no view
    #[arg(long)]
    pub(crate) without_view: bool,
    /// Have the packages of another environment too, as they are now; may be given more than once
    #[arg(long, value_name = "ENV")]
    pub(crate) include_concrete: Vec<PathBuf>,
}

/// Print what makes an environment the active one: eval "$(strata env activate ENV)"
///
/// Of csh it is: eval `strata env activate --csh ENV`; of fish: strata env activate --fish ENV | source
#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// Its name, or its directory; without one the environment `default`, which is made if it is not there
    // Its identifier is not that of the global option -e.
    #[arg(value_name = "ENV", conflicts_with = "temp")]
    pub(crate) named: Option<PathBuf>,
    /// What is named is a directory
    #[arg(short, long, requires = "named")]
    pub(crate) dir: bool,
    /// Use the view of this name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["without_view", "temp"])]
    pub(crate) with_view: Option<String>,
    /// Use no view
    #[arg(short = 'V', long)]
    pub(crate) without_view: bool,
    /// Put its name before the prompt
    #[arg(short, long)]
    pub(crate) prompt: bool,
    /// Make one in a temporary directory
    #[arg(long)]
    pub(crate) temp: bool,
    /// Make it if it is not there
    #[arg(long)]
    pub(crate) create: bool,
    #[command(flatten)]
    pub(crate) shell: Shell,
}

/// The shell to print code for.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Shell {
    /// For sh, bash and zsh (the default)
    #[arg(long)]
    pub(crate) sh: bool,
    /// For csh and tcsh
    #[arg(long)]
    pub(crate) csh: bool,
    /// For fish
    #[arg(long)]
    pub(crate) fish: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveEnv {
    /// Their names
    #[arg(required = true)]
    pub(crate) environments: Vec<String>,
    /// Accepted for the sake of scripts written for Spack; strata never asks
    #[arg(short = 'y', long)]
    pub(crate) yes_to_all: bool,
    /// Remove it although it is active, or other environments include it
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Its name
    pub(crate) from: PathBuf,
    /// Its name to be
    pub(crate) to: PathBuf,
    /// Both are directories, and not names
    #[arg(short, long)]
    pub(crate) dir: bool,
    /// Replace what is there
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct View {
    /// What to do
    #[arg(value_enum)]
    pub(crate) action: ViewAction,
    /// Where the view is to be, for `enable`
    pub(crate) path: Option<PathBuf>,
}

/// What to do with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ViewAction {
    /// Make it anew
    Regenerate,
    /// Have one
    Enable,
    /// Have none
    Disable,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Specs to add
    #[arg(required = true)]
    pub(crate) specs: Vec<String>,
    /// Add them to this list of definitions
    #[arg(short, long, value_name = "LIST")]
    pub(crate) list_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Specs to remove
    #[arg(required_unless_present = "all")]
    pub(crate) specs: Vec<String>,
    /// Remove all specs
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Remove them from this list of definitions
    #[arg(short, long, value_name = "LIST")]
    pub(crate) list_name: Option<String>,
    /// Remove them from what is concrete, too
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Concretize {
    #[command(flatten)]
    pub(crate) from: super::From,
    /// Choose anew for every spec, whatever the spack.lock says
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Accepted for command lines written for Spack: strata does nothing but reuse
    #[arg(long, alias = "reuse-deps")]
    pub(crate) reuse: bool,
    /// Accepted for command lines written for Spack: there is nothing that could be done in parallel
    #[arg(short, long, value_name = "N", hide = true)]
    pub(crate) jobs: Option<usize>,
}
