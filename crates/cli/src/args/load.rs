//! `strata load` and `strata unload`.

use super::env::Shell;
use clap::Args;

/// Print what sets a shell's environment up for installed packages: eval "$(strata load SPEC)"
///
/// Of csh it is: eval `strata load --csh SPEC`; of fish: strata load --fish SPEC | source
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// What to load: specs of installed packages
    #[arg(required_unless_present = "list")]
    pub(crate) specs: Vec<String>,
    #[command(flatten)]
    pub(crate) shell: Shell,
    /// Of several packages that a spec is true of, load the first
    #[arg(long)]
    pub(crate) first: bool,
    /// List what is loaded
    #[arg(long, conflicts_with_all = ["specs", "first", "sh", "csh", "fish"])]
    pub(crate) list: bool,
}

/// Print what takes loaded packages out of a shell's environment: eval "$(strata unload SPEC)"
#[derive(Debug, Args)]
pub(crate) struct Unload {
    /// What to unload; all that is loaded if none is given
    pub(crate) specs: Vec<String>,
    #[command(flatten)]
    pub(crate) shell: Shell,
    /// Unload all that is loaded
    #[arg(short, long, conflicts_with = "specs")]
    pub(crate) all: bool,
}
