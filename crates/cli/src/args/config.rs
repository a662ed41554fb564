//! `strata config …`.

use clap::{Args, Subcommand, ValueEnum};

/// Look at Spack's configuration
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print what all scopes together say, or one of them
    Get(Get),
    /// The same, with the file and the line that each value comes from
    Blame(Get),
    /// List the scopes, the highest first
    Scopes(Scopes),
    /// List the sections
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// A section such as `mirrors`, or a value in one: config:install_tree:root [default: all sections]
    #[arg(value_name = "SECTION[:KEY…]")]
    pub(crate) path: Option<String>,
    /// What this scope says, and no other
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Scopes {
    /// Show the file of this section, where there is one (implies --paths)
    pub(crate) section: Option<String>,
    /// Show the directory or the file of each scope
    #[arg(short, long)]
    pub(crate) paths: bool,
    /// Show what each scope is, and whether it counts
    // `-v` is "say more" for every command.
    #[arg(long)]
    pub(crate) long: bool,
    /// Show scopes of this kind only; may be given more than once
    #[arg(short = 't', long = "type", value_enum, value_name = "TYPE")]
    pub(crate) kinds: Vec<Kind>,
}

/// What a scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Any
    All,
    /// The manifest of an environment
    Env,
    /// Included by another scope
    Include,
    /// In no file
    Internal,
    /// A file or a directory
    Path,
}
