//! `strata mirror …`.

use super::Password;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Mirror {
    /// Give a cache a name
    Add(MirrorAdd),
    /// Forget a mirror
    #[command(visible_alias = "rm")]
    Remove(MirrorRemove),
    /// Change what is configured of a mirror
    Set(MirrorSet),
    /// Change the URL of a mirror
    SetUrl(MirrorSetUrl),
    /// Give a mirror another name
    Rename(MirrorRename),
    /// List the mirrors that are configured, the first that is asked first
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        scope: InScope,
    },
}

/// Which scope of the configuration.
#[derive(Debug, Args)]
pub(crate) struct InScope {
    /// The configuration scope [default: the environment's if one is active, else the highest that can be changed]
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
}

/// What a mirror holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Holds {
    /// Binary packages
    Binary,
    /// Source archives
    Source,
}

/// Who to be at a mirror.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// User to be for it
    #[arg(long, value_name = "USER")]
    pub(crate) oci_username: Option<String>,
    /// Environment variable that holds the user to be
    #[arg(long, value_name = "NAME", conflicts_with = "oci_username")]
    pub(crate) oci_username_variable: Option<String>,
    /// Environment variable that holds the password or token
    #[arg(long, value_name = "NAME")]
    pub(crate) oci_password_variable: Option<String>,
    /// The password itself, which is then written to the file, and is not for Spack 1.1 and later
    #[arg(long, value_name = "PASSWORD", conflicts_with_all = ["oci_password_variable", "oci_username_variable"])]
    pub(crate) oci_password: Option<Password>,
    #[command(flatten)]
    pub(crate) s3: S3,
}

/// Spack's options for another kind of mirror, so that whoever gives them hears why they are of no use.
#[derive(Debug, Args)]
pub(crate) struct S3 {
    #[arg(long, hide = true)]
    s3_access_key_id: Option<Password>,
    #[arg(long, hide = true)]
    s3_access_key_id_variable: Option<Password>,
    #[arg(long, hide = true)]
    s3_access_key_secret: Option<Password>,
    #[arg(long, hide = true)]
    s3_access_key_secret_variable: Option<Password>,
    #[arg(long, hide = true)]
    s3_access_token: Option<Password>,
    #[arg(long, hide = true)]
    s3_access_token_variable: Option<Password>,
    #[arg(long, hide = true)]
    s3_profile: Option<Password>,
    #[arg(long, hide = true)]
    s3_endpoint_url: Option<Password>,
}

impl S3 {
    /// Whether any of them is given.
    pub(crate) fn is_given(&self) -> bool {
        let all = [
            &self.s3_access_key_id,
            &self.s3_access_key_id_variable,
            &self.s3_access_key_secret,
            &self.s3_access_key_secret_variable,
            &self.s3_access_token,
            &self.s3_access_token_variable,
            &self.s3_profile,
            &self.s3_endpoint_url,
        ];
        all.into_iter().any(Option::is_some)
    }
}

#[derive(Debug, Args)]
pub(crate) struct MirrorAdd {
    /// The name
    pub(crate) name: String,
    /// Its URL
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) scope: InScope,
    /// What it holds; may be given twice [default: both]
    #[arg(long = "type", value_enum, value_name = "WHAT")]
    pub(crate) holds: Vec<Holds>,
    /// Have Spack push to it after each install
    #[arg(long)]
    pub(crate) autopush: bool,
    /// Write down that packages from it must be signed
    #[arg(long, conflicts_with = "unsigned")]
    pub(crate) signed: bool,
    /// Write down that packages from it need not be signed
    #[arg(short, long)]
    pub(crate) unsigned: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorRemove {
    /// Its name
    pub(crate) name: String,
    /// The configuration scope [default: the highest that has it]
    #[arg(long, value_name = "SCOPE", conflicts_with = "all_scopes")]
    pub(crate) scope: Option<String>,
    /// Remove it from all scopes
    #[arg(long)]
    pub(crate) all_scopes: bool,
}

/// One of the two directions.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct OneDirection {
    /// Only for pushing to it
    #[arg(long)]
    pub(crate) push: bool,
    /// Only for fetching from it
    #[arg(long)]
    pub(crate) fetch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorSet {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) direction: OneDirection,
    /// Its URL
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// What it holds; may be given twice
    #[arg(long = "type", value_enum, value_name = "WHAT", conflicts_with_all = ["push", "fetch"])]
    pub(crate) holds: Vec<Holds>,
    /// Have Spack push to it after each install
    #[arg(long, conflicts_with_all = ["no_autopush", "push", "fetch"])]
    pub(crate) autopush: bool,
    /// Have Spack push to it only when it is asked to
    #[arg(long, conflicts_with_all = ["push", "fetch"])]
    pub(crate) no_autopush: bool,
    /// Write down that packages from it must be signed
    #[arg(long, conflicts_with_all = ["unsigned", "push", "fetch"])]
    pub(crate) signed: bool,
    /// Write down that packages from it need not be signed
    #[arg(long, conflicts_with_all = ["push", "fetch"])]
    pub(crate) unsigned: bool,
    #[command(flatten)]
    pub(crate) scope: InScope,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorSetUrl {
    /// Its name
    pub(crate) name: String,
    /// Its URL
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) direction: OneDirection,
    #[command(flatten)]
    pub(crate) scope: InScope,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorRename {
    /// Its name
    pub(crate) name: String,
    /// Its new name
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) scope: InScope,
}
