//! The command line, as clap reads it. Words and options are Spack's wherever Spack has them.

pub(crate) mod buildcache;
pub(crate) mod config;
pub(crate) mod env;
mod find;
pub(crate) mod image;
mod install;
pub(crate) mod load;
pub(crate) mod mirror;
pub(crate) mod repeated;
pub(crate) mod spelling;
pub(crate) mod store;
mod values;

pub(crate) use buildcache::Buildcache;
use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use config::Config;
pub(crate) use env::Env;
pub(crate) use find::{Find, Location};
pub(crate) use image::Image;
pub(crate) use install::{Install, InstallOnly, LinkMode, Unify};
pub(crate) use mirror::Mirror;
use std::path::PathBuf;
pub(crate) use store::Uninstall;
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
    /// The environment that the command is about: its name, or a directory with a spack.yaml or spack.lock
    /// [default: the one that is active, SPACK_ENV]
    #[arg(short, long, global = true, value_name = "ENV")]
    pub(crate) environment: Option<PathBuf>,
    /// The directory of the environment that the command is about
    #[arg(short = 'D', long, global = true, value_name = "DIR", conflicts_with = "environment")]
    pub(crate) env_dir: Option<PathBuf>,
    /// Leave out the environment that is active
    #[arg(short = 'E', long, global = true, conflicts_with_all = ["environment", "env_dir"])]
    pub(crate) no_env: bool,
    /// A directory or file of configuration that counts more than the others; may be given more than once
    #[arg(short = 'C', long, global = true, value_name = "DIR|FILE")]
    pub(crate) config_scope: Vec<PathBuf>,
    /// A setting, as section:key:value; may be given more than once
    #[arg(short = 'c', long = "config", global = true, value_name = "SETTING")]
    pub(crate) setting: Vec<String>,
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
    /// Make, combine and look at container images
    #[command(subcommand)]
    Image(Image),
    /// Install packages and what they need at run time from a cache
    Install(Install),
    /// Show what would be installed for a spec, as a tree
    Spec(Spec),
    /// Say why there is a binary for a spec, or why there is none
    Why(Why),
    /// List installed packages
    Find(Find),
    /// Print where a package is installed
    Location(Location),
    /// Remove installed packages
    Uninstall(Uninstall),
    /// Print what sets a shell's environment up for installed packages
    Load(load::Load),
    /// Print what takes loaded packages out of a shell's environment
    Unload(load::Unload),
    /// Manage environments: directories that say which packages belong together
    #[command(subcommand)]
    Env(Env),
    /// Add specs to the environment
    Add(env::Add),
    /// Remove specs from the environment
    #[command(visible_alias = "rm")]
    Remove(env::Remove),
    /// Choose a binary for every spec of the environment, and write them down in its spack.lock
    Concretize(env::Concretize),
    /// Remove installed packages that nothing needs
    Gc(store::Gc),
    /// Mark installed packages as asked for, or as only needed by others
    Mark(store::Mark),
    /// Compare installed packages with what was installed
    Verify(store::Verify),
    /// Make the store's database anew from what is installed
    Reindex(store::Reindex),
    /// Manage the caches that are known by name
    #[command(subcommand)]
    Mirror(Mirror),
    /// Look at Spack's configuration
    #[command(subcommand)]
    Config(Config),
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

/// Where binaries come from, and for which machine.
#[derive(Debug, Args)]
pub(crate) struct From {
    /// Name of a mirror, or URL of a cache; may be given more than once [default: all configured mirrors]
    #[arg(short, long, value_name = "MIRROR")]
    pub(crate) mirror: Vec<String>,
    /// The processor that binaries have to run on, by archspec's name [default: this machine's]
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// The operating system that they have to run on, by Spack's name [default: this machine's]
    #[arg(long, value_name = "OS")]
    pub(crate) os: Option<String>,
    /// Take binaries whether they run on this machine or not
    #[arg(long, conflicts_with_all = ["target", "os"])]
    pub(crate) no_host_check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// What to look for: specs as Spack knows them, or /HASH
    #[arg(required = true)]
    pub(crate) specs: Vec<String>,
    #[command(flatten)]
    pub(crate) from: From,
    /// How several specs relate to each other
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) unify: Unify,
    /// Show the start of each hash
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Show each hash
    #[arg(short = 'L', long)]
    pub(crate) very_long: bool,
    /// Accepted for command lines written for Spack: the status of each package is shown
    #[arg(short = 'I', long)]
    pub(crate) install_status: bool,
    // No comment of documentation, in which `[b]` would be a link.
    #[arg(
        long,
        conflicts_with = "install_status",
        help = "Do not show whether packages are installed ([+]), cached ([b]), external ([e]) or neither ( - )"
    )]
    pub(crate) no_install_status: bool,
    /// Show namespaces
    #[arg(short = 'N', long)]
    pub(crate) namespaces: bool,
    /// Show what each package is needed for: build, link, run, test
    #[arg(short, long)]
    pub(crate) types: bool,
    /// Follow edges of these types
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "link,run")]
    pub(crate) deptype: Vec<Deptype>,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deptype {
    Build,
    Link,
    Run,
    Test,
    All,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// What to look for: specs as Spack knows them, or /HASH
    #[arg(required = true)]
    pub(crate) specs: Vec<String>,
    #[command(flatten)]
    pub(crate) from: From,
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
    /// Remove blobs, and files kept for `install --link-mode` that no package of the store is linked to, those first that were
    /// not used for longest
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
