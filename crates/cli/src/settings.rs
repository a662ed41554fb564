//! What the surroundings say: environment variables, home directory, number of cores. Read here and nowhere else.

mod credential_files;
mod environments;
mod place;

use crate::args::Global;
use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use credential_files::CredentialFiles;
use environments::Asking;
use etcetera::BaseStrategy;
use jiff::Timestamp;
pub(crate) use place::Place;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strata_config::{Asked, Configuration, Machine, MachineFacts, PrefixInspections, Surroundings};
use strata_oci::{Credentials, Secret, TlsOptions};
use strata_ops::environment::managed::Environments;
use strata_ops::{Event, Reporter};
use strata_store::Watcher;

/// Where Docker and podman keep the certificates of single registries, for the whole machine.
const CERTIFICATE_DIRECTORIES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// The surroundings, as far as strata looks at them.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The install tree that was named.
    named_store: Option<PathBuf>,
    /// The one to use where nothing names one.
    own_store: PathBuf,
    /// To how many bytes the root of a new install tree is to be padded, if that was said.
    padded_length: Option<usize>,
    /// How the environment was named that the command is about.
    asking: Asking,
    /// What `SPACK_ENV` says.
    active_environment: Option<PathBuf>,
    /// Where environments with names are if nothing says it.
    own_environments: PathBuf,
    /// Where they are, when it was first asked for.
    environments: OnceCell<Environments>,
    /// What decides which configuration there is.
    surroundings: Surroundings,
    /// What the command line says about configuration.
    custom_scopes: Vec<PathBuf>,
    inline_settings: Vec<String>,
    /// Read when it is first asked for.
    configuration: OnceCell<Configuration>,
    /// Who is told what stores wait for.
    watcher: Watcher,
    /// Who is told what is left out of the configuration.
    warn: Warn,
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

/// The variables of the shell that strata was started from, as far as it passed them on.
#[derive(Debug)]
pub(crate) struct ShellVariables {
    /// Names and values.
    pub(crate) known: BTreeMap<String, String>,
    /// The names of those whose values are no text.
    pub(crate) unreadable: BTreeSet<String>,
}

/// Who is warned, if anybody is: once of each thing.
#[derive(Default)]
struct Warn {
    console: Option<Arc<Console>>,
    told: RefCell<BTreeSet<String>>,
}

impl Warn {
    fn of(&self, text: &str) {
        if let Some(console) = &self.console
            && self.told.borrow_mut().insert(text.to_owned())
        {
            console.event(Event::Warning(text));
        }
    }
}

impl std::fmt::Debug for Warn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Warn")
    }
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
        // No shell expands the `~` of `--store=~/dir`.
        let expanded = |path: &Path| path.strip_prefix("~").map_or(path.to_owned(), |rest| home.join(rest));
        let named = global.store.as_deref().map(expanded);
        let registries = &global.registries;
        let file =
            |option: &Option<PathBuf>| option.as_deref().filter(|p| !p.as_os_str().is_empty()).map(expanded);
        let mut certificate_directories: Vec<PathBuf> = CERTIFICATE_DIRECTORIES.map(PathBuf::from).to_vec();
        certificate_directories.push(config.join("containers/certs.d"));
        Self {
            named_store: named,
            own_store: data.join("strata/store"),
            padded_length: global.padded_length,
            asking: Asking::of(global, path("SPACK_ENV"), expanded),
            active_environment: path("SPACK_ENV"),
            own_environments: data.join("strata/environments"),
            environments: OnceCell::new(),
            surroundings: surroundings(&home),
            custom_scopes: global.config_scope.iter().map(|path| expanded(path)).collect(),
            inline_settings: global.setting.clone(),
            configuration: OnceCell::new(),
            watcher: Watcher::default(),
            warn: Warn::default(),
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

    /// The same with somebody who is told what stores wait for, and what is left out of the configuration.
    pub(crate) fn heard_by(self, console: &Arc<Console>) -> Self {
        let waiting = Arc::clone(console);
        Self {
            watcher: Watcher::new(move |delay| waiting.event(Event::Warning(&delay.to_string()))),
            warn: Warn { console: Some(Arc::clone(console)), ..Warn::default() },
            ..self
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

    /// The executable of the Spack in use, or else of any that can be found.
    pub(crate) fn spack(&self) -> Option<PathBuf> {
        let own = self.surroundings.spack_root.as_ref().map(|root| root.join("bin/spack"));
        let directories = std::env::var_os("PATH").unwrap_or_default();
        // What lies in the working directory is not run, whatever `PATH` says.
        let directories = std::env::split_paths(&directories).filter(|directory| directory.is_absolute());
        let on_path = directories.map(|directory| directory.join("spack"));
        own.into_iter().chain(on_path).find(|file| is_executable(file))
    }

    /// What `load` and `activate` change.
    pub(crate) fn shell_variables(&self) -> ShellVariables {
        let mut variables = ShellVariables { known: BTreeMap::new(), unreadable: BTreeSet::new() };
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(variables.known.insert(name, value)),
                Err(_) => drop(variables.unreadable.insert(name)),
            }
        }
        variables
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
    pub(crate) fn prefix_inspections(&self) -> Result<PrefixInspections, Diagnosis> {
        Ok(PrefixInspections::of(self.configuration()?)?)
    }

    /// Spack's configuration, with the environment's if the command is about one. What is left out of it is told when it is
    /// first asked for.
    pub(crate) fn configuration(&self) -> Result<&Configuration, Diagnosis> {
        if let Some(known) = self.configuration.get() {
            return Ok(known);
        }
        let read = self.read_configuration()?;
        for warning in read.warnings() {
            self.warn.of(warning);
        }
        Ok(self.configuration.get_or_init(|| read))
    }

    /// The same for a command that can do without it: none if it cannot be read, with the reason. What the command line says
    /// about it, and an environment that is not there, are mistakes all the same.
    pub(crate) fn optional_configuration(&self) -> Result<Result<&Configuration, Diagnosis>, Diagnosis> {
        match self.configuration() {
            Err(error) if self.says_configuration() => Err(error),
            Err(error) => self.environment().map(|_| Err(error)),
            Ok(configuration) => Ok(Ok(configuration)),
        }
    }

    /// Whether the command line says anything about configuration (`-c`, `-C`, `-e`, `-D`).
    fn says_configuration(&self) -> bool {
        let names_environment = matches!(self.asking, Asking::NameOrDirectory(_) | Asking::Directory(_));
        names_environment || !self.custom_scopes.is_empty() || !self.inline_settings.is_empty()
    }

    /// The same as it is now: after a change.
    pub(crate) fn read_configuration(&self) -> Result<Configuration, Diagnosis> {
        let named =
            |path: PathBuf| -> Result<_, Diagnosis> { Ok((self.environments()?.name_of(&path), path)) };
        let environment = self.environment()?.map(named).transpose()?;
        let asked = Asked {
            custom_scopes: self.custom_scopes.clone(),
            settings: self.inline_settings.clone(),
            environment,
        };
        Ok(Configuration::load(self.surroundings.clone(), &asked)?)
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

/// What decides which configuration there is.
fn surroundings(home: &Path) -> Surroundings {
    Surroundings {
        spack_root: path("SPACK_ROOT"),
        home: home.to_owned(),
        working_directory: std::env::current_dir().unwrap_or_default(),
        temporary: std::env::temp_dir(),
        user: user_name(),
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        platform: strata_ops::host::platform().to_owned(),
        machine: Machine::looked_at_by(machine),
        target_matches: Some(strata_spec::target::matches),
        date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

/// The machine, which takes a while to look at.
fn machine() -> MachineFacts {
    let host = strata_ops::host::detect();
    let target_family = strata_spec::target::family(&host.target).to_owned();
    MachineFacts { os: host.os, target: host.target, target_family }
}

/// The name of the user that the process is of; its number, if it has none.
fn user_name() -> String {
    let number = rustix::process::geteuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let known =
        users.find(|user| user.get(2) == Some(&number.as_str())).and_then(|user| user.first().copied());
    // Users that a directory service knows are in no file.
    known.map(str::to_owned).or_else(|| variable("USER")).or_else(|| variable("LOGNAME")).unwrap_or(number)
}
