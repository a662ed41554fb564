//! The command line, as clap reads it. Words and options are Spack's wherever Spack has them.

mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
pub(crate) use values::Password;

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

/// Options that every command takes. Under a heading of their own: a command's help begins with what is its own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
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
    #[command(flatten)]
    pub(crate) registries: Registries,
}

/// How registries are reached, for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct Registries {
    /// Where downloaded blobs and the state of interrupted pushes are kept [default: ~/.cache/strata]
    #[arg(long, global = true, value_name = "DIR", env = "STRATA_CACHE_DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep nothing, and use nothing that was kept
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// Certificates (PEM) of an authority to trust beside those of the system; may be given more than once
    #[arg(long, global = true, value_name = "FILE", env = "STRATA_CA_FILE")]
    pub(crate) ca_file: Vec<PathBuf>,
    /// Certificate (PEM) to show to registries that ask for one
    #[arg(long, global = true, value_name = "FILE", env = "STRATA_CLIENT_CERT")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "STRATA_CLIENT_KEY")]
    pub(crate) client_key: Option<PathBuf>,
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
    /// Keep credentials for a registry
    Login(Login),
    /// Forget the credentials for a registry
    Logout(Logout),
    /// Look after the blobs that are kept on this machine
    #[command(subcommand)]
    Cache(Cache),
    /// Say what a registry, and the credentials for it, can do
    Doctor(Doctor),
    /// Serve a directory of image layouts as a registry
    Serve(Serve),
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
    /// How blobs are sent: monolithic, single-post, chunked or chunked:SIZE, for registries that want it otherwise
    #[arg(long, value_name = "HOW", default_value = "monolithic", value_parser = values::upload_mode)]
    pub(crate) upload: strata_oci::UploadMode,
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
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry: HOST or HOST:PORT
    pub(crate) registry: String,
    /// The user; asked for if it is not given
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// Read the password or token from standard input instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The file to keep them in [default: $REGISTRY_AUTH_FILE, or Docker's config.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Speak plain http to the registry, as oci+http:// does
    #[arg(long)]
    pub(crate) plain_http: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry: HOST or HOST:PORT
    pub(crate) registry: String,
    /// The file to remove them from [default: $REGISTRY_AUTH_FILE, or Docker's config.json]
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub(crate) authfile: Option<PathBuf>,
    /// Remove them from every file that credentials are read from, podman's included
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Say how much is kept
    Info,
    /// Print the directory
    Path,
    /// Remove blobs, those first that were not used for longest
    Prune(Prune),
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["max_size", "unused_for", "all"])]
pub(crate) struct Prune {
    /// Leave at most this much: bytes, or with K, M, G, T (1000) or Ki, Mi, Gi, Ti (1024)
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_size: Option<u64>,
    /// Remove what was not used for this many days
    #[arg(long, value_name = "DAYS")]
    pub(crate) unused_for: Option<u32>,
    /// Remove everything
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Name of a mirror, or URL of a cache
    pub(crate) mirror: String,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// An image layout, which is then the one repository; else a directory whose layouts are repositories, made
    /// when something is first pushed
    pub(crate) directory: PathBuf,
    /// Address and port; port 0 is any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5000", value_parser = values::address)]
    pub(crate) listen: String,
    /// Let nobody push or delete
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Users and bcrypt hashes, as `htpasswd -B` writes them; without it everybody may do everything
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    /// Speak https with this certificate, followed by those that it is signed by (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}
