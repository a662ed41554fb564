//! What the surroundings say: environment variables, home directory, number of cores. Read here and nowhere else.

mod credential_files;

use crate::args::Global;
use credential_files::CredentialFiles;
use etcetera::BaseStrategy;
use jiff::Timestamp;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use strata_config::{ConfigError, PrefixInspections, UserScope};
use strata_oci::{Credentials, Secret, TlsOptions};

/// Where Docker and podman keep the certificates of single registries, for the whole machine.
const CERTIFICATE_DIRECTORIES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// The surroundings, as far as strata looks at them.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Root of the install tree, padded underneath or not.
    pub(crate) store: PathBuf,
    /// Whether somebody named the store; the default one need not exist.
    pub(crate) store_is_named: bool,
    /// Pad the root of a new install tree to this many bytes.
    pub(crate) padded_length: Option<usize>,
    /// The environment that the command is about, as it was named.
    environment: Option<PathBuf>,
    /// The Spack in use.
    spack_root: Option<PathBuf>,
    /// The user scope of Spack's configuration.
    pub(crate) user_scope: PathBuf,
    /// Threads to use where the user does not say.
    pub(crate) cores: usize,
    /// Where blobs and journals are kept.
    pub(crate) cache_directory: PathBuf,
    /// Whether they are to be kept, and used.
    pub(crate) use_cache: bool,
    /// The files of Docker and podman that hold credentials.
    pub(crate) credential_files: CredentialFiles,
    source_date_epoch: Option<OsString>,
    username: Option<String>,
    password: Option<Secret>,
    authorities: Vec<PathBuf>,
    client_certificate: (Option<PathBuf>, Option<PathBuf>),
    certificate_directories: Vec<PathBuf>,
}

/// The surroundings contradict themselves, or say something that means nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidSetting {
    /// Not a time.
    #[error("SOURCE_DATE_EPOCH is `{value}`, not a number of seconds since 1970")]
    Epoch {
        /// What it is.
        value: String,
    },
    /// There is no such environment.
    #[error("there is no environment `{name}`: it is no directory{}", named_below(directory))]
    NoEnvironment {
        /// What it was called.
        name: String,
        /// Where Spack keeps those that have names.
        directory: Option<PathBuf>,
    },
    /// One of two that belong together.
    #[error("{given} is given, and {missing} is not, or is empty: both are needed")]
    Half {
        /// Which.
        given: &'static str,
        /// Which not.
        missing: &'static str,
    },
}

impl Settings {
    /// Reads the surroundings.
    pub(crate) fn read(global: &Global) -> Self {
        let base = etcetera::choose_base_strategy().ok();
        let home = base.as_ref().map(|b| b.home_dir().to_owned()).unwrap_or_default();
        let data = base.as_ref().map_or_else(|| home.join(".local/share"), |b| b.data_dir());
        let config = base.as_ref().map_or_else(|| home.join(".config"), |b| b.config_dir());
        let cache = base.as_ref().map_or_else(|| home.join(".cache"), |b| b.cache_dir());
        let spack_root = path("SPACK_ROOT");
        let spack = spack_root.as_ref().map(|root| root.join("opt/spack")).filter(|root| has_database(root));
        // No shell expands the `~` of `--store=~/dir`.
        let expanded = |path: &Path| path.strip_prefix("~").map_or(path.to_owned(), |rest| home.join(rest));
        let named = global.store.as_deref().map(expanded);
        let registries = &global.registries;
        let file =
            |option: &Option<PathBuf>| option.as_deref().filter(|p| !p.as_os_str().is_empty()).map(expanded);
        let mut certificate_directories: Vec<PathBuf> = CERTIFICATE_DIRECTORIES.map(PathBuf::from).to_vec();
        certificate_directories.push(config.join("containers/certs.d"));
        Self {
            store: named.clone().or(spack).unwrap_or_else(|| data.join("strata/store")),
            store_is_named: named.is_some(),
            padded_length: global.padded_length,
            environment: global.environment.as_deref().map(expanded),
            spack_root,
            user_scope: path("SPACK_USER_CONFIG_PATH").unwrap_or_else(|| home.join(".spack")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cache_directory: file(&registries.cache_dir).unwrap_or_else(|| cache.join("strata")),
            use_cache: !registries.no_cache,
            credential_files: CredentialFiles {
                registry_auth_file: path("REGISTRY_AUTH_FILE"),
                podman_runtime: podman_runtime_file(),
                podman_config: config.join("containers/auth.json"),
                docker: path("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker")).join("config.json"),
            },
            source_date_epoch: std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()),
            username: variable("STRATA_USERNAME"),
            password: variable("STRATA_PASSWORD").map(Secret::new),
            authorities: registries
                .ca_file
                .iter()
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| expanded(path))
                .collect(),
            client_certificate: (file(&registries.client_cert), file(&registries.client_key)),
            certificate_directories,
        }
    }

    /// `SOURCE_DATE_EPOCH`: what reproducible builds use for the time.
    pub(crate) fn source_date_epoch(&self) -> Result<Option<Timestamp>, InvalidSetting> {
        let Some(value) = &self.source_date_epoch else { return Ok(None) };
        let seconds = value.to_str().and_then(|text| text.parse().ok());
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let invalid = || InvalidSetting::Epoch { value: value.to_string_lossy().into_owned() };
        time.map(Some).ok_or_else(invalid)
    }

    /// The directory of the environment that the command is about, if it is about one: a name is looked for where Spack
    /// keeps its environments, and before that of a directory.
    pub(crate) fn environment(&self) -> Result<Option<PathBuf>, InvalidSetting> {
        let Some(named) = &self.environment else { return Ok(None) };
        let below = self.spack_root.as_ref().map(|root| root.join("var/spack/environments"));
        // Names may have parts: `group/mine`.
        let is_name = named.components().all(|part| matches!(part, Component::Normal(_)));
        let managed = below.as_ref().filter(|_| is_name).map(|directory| directory.join(named));
        let found = managed.into_iter().chain([named.clone()]).find(|directory| directory.is_dir());
        let missing =
            || InvalidSetting::NoEnvironment { name: named.display().to_string(), directory: below.clone() };
        found.map(Some).ok_or_else(missing)
    }

    /// The executable of the Spack in use, or else of any that can be found.
    pub(crate) fn spack(&self) -> Option<PathBuf> {
        let own = self.spack_root.as_ref().map(|root| root.join("bin/spack"));
        let directories = std::env::var_os("PATH").unwrap_or_default();
        // What lies in the working directory is not run, whatever `PATH` says.
        let directories = std::env::split_paths(&directories).filter(|directory| directory.is_absolute());
        let on_path = directories.map(|directory| directory.join("spack"));
        own.into_iter().chain(on_path).find(|file| is_executable(file))
    }

    /// Where indexes are kept between commands, if they are to be.
    pub(crate) fn kept_indexes(&self) -> Option<PathBuf> {
        self.use_cache.then(|| self.cache_directory.join("index"))
    }

    /// Where it is noted what became of layers that were read, if it is to be.
    pub(crate) fn kept_images(&self) -> Option<PathBuf> {
        self.use_cache.then(|| self.cache_directory.join("image"))
    }

    /// Which directories of prefixes are prepended to which variables (`modules.yaml`).
    pub(crate) fn prefix_inspections(&self) -> Result<PrefixInspections, ConfigError> {
        UserScope::new(&self.user_scope).prefix_inspections()
    }

    /// Where mirrors are configured.
    pub(crate) fn mirrors_file(&self) -> PathBuf {
        self.user_scope.join("mirrors.yaml")
    }

    /// `STRATA_USERNAME` and `STRATA_PASSWORD`.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, InvalidSetting> {
        let (user, password) = ("STRATA_USERNAME", "STRATA_PASSWORD");
        let pair = both((user, self.username.clone()), (password, self.password.clone()))?;
        Ok(pair.map(|(name, secret)| Credentials::password(name, secret, format!("{user} and {password}"))))
    }

    /// Which certificates to trust and to show.
    pub(crate) fn tls(&self) -> Result<TlsOptions, InvalidSetting> {
        let (certificate, key) = self.client_certificate.clone();
        Ok(TlsOptions {
            authorities: self.authorities.clone(),
            client_certificate: both(("--client-cert", certificate), ("--client-key", key))?,
            host_directories: self.certificate_directories.clone(),
        })
    }
}

/// Both or neither.
fn both<A, B>(
    first: (&'static str, Option<A>),
    second: (&'static str, Option<B>),
) -> Result<Option<(A, B)>, InvalidSetting> {
    match (first.1, second.1) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(InvalidSetting::Half { given: first.0, missing: second.0 }),
        (None, Some(_)) => Err(InvalidSetting::Half { given: second.0, missing: first.0 }),
    }
}

/// The end of the message of [`InvalidSetting::NoEnvironment`].
fn named_below(directory: &Option<PathBuf>) -> String {
    match directory {
        Some(directory) => format!(", and has none in {}", directory.display()),
        None => ", and SPACK_ROOT does not say where environments with names are".to_owned(),
    }
}

/// The value of an environment variable, if it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    // Asking for a name with `=` or NUL in it would panic on some systems.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether a file is there that may be run.
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Where podman keeps what is to be gone after a restart.
fn podman_runtime_file() -> PathBuf {
    match path("XDG_RUNTIME_DIR") {
        Some(directory) => directory.join("containers/auth.json"),
        None => format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw()).into(),
    }
}

/// Whether Spack has installed something under `root`, padded or not.
fn has_database(root: &Path) -> bool {
    strata_store::StoreRoot::open(root).is_ok()
}
