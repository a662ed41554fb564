//! What cases run in: directories, registries, and the commands that are measured.

use super::super::Outcome;
use super::super::timed::{Sample, timed_within};
use super::options::Options;
use super::store::Store;
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use strata_testkit::certificates::Authority;
use strata_testkit::docker_registry::DockerRegistry;

/// Everything around the cases. What they leave behind is removed when it is dropped, and not before: for a while after
/// many files were removed, ext4 looks long for a place for each new one.
pub(super) struct Surroundings {
    pub(super) options: Options,
    pub(super) strata: PathBuf,
    /// This program, whose hidden commands are the floors.
    pub(super) this: PathBuf,
    pub(super) store: Store,
    pub(super) authority: Authority,
    scratch: tempfile::TempDir,
    directories: Cell<usize>,
    registries: RefCell<Vec<DockerRegistry>>,
}

impl Surroundings {
    pub(super) fn new(options: Options, store: Store) -> Outcome<Self> {
        let strata = match &options.strata {
            Some(strata) => {
                fs::canonicalize(strata).map_err(|error| format!("{}: {error}", strata.display()))?
            }
            None => super::super::strata()?,
        };
        Ok(Self {
            strata,
            this: std::env::current_exe()?,
            store,
            options,
            authority: Authority::new(),
            scratch: tempfile::Builder::new().prefix("strata-bench-").tempdir()?,
            directories: Cell::new(0),
            registries: RefCell::default(),
        })
    }

    /// A path at which nothing is yet.
    pub(super) fn fresh(&self, name: &str) -> PathBuf {
        self.directories.set(self.directories.get() + 1);
        self.scratch.path().join(format!("{:03}-{name}", self.directories.get()))
    }

    /// A directory of its own.
    pub(super) fn directory(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.fresh(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The full size of something, or a smaller one for `--quick`.
    pub(super) fn size(&self, full: usize, quick: usize) -> usize {
        if self.options.quick { quick } else { full }
    }

    /// An empty docker-registry over plain http, as `HOST:PORT`. It is there to the end.
    pub(super) fn registry(&self) -> Outcome<String> {
        self.keep(DockerRegistry::start())
    }

    /// The same behind TLS: Spack reads indexes in no other way.
    pub(super) fn tls_registry(&self) -> Outcome<String> {
        self.keep(DockerRegistry::builder().tls(&self.authority).start())
    }

    fn keep(&self, registry: Option<DockerRegistry>) -> Outcome<String> {
        let registry = registry.ok_or("docker-registry is not installed")?;
        let address = registry.host();
        self.registries.borrow_mut().push(registry);
        Ok(address)
    }

    /// strata with this cache and store, and nothing of the user's.
    pub(super) fn strata(&self, cache: &Path, store: &Path) -> Command {
        let mut command = Command::new(&self.strata);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["STRATA_", "SPACK_", "XDG_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
            .env("HOME", self.scratch.path())
            .env("SPACK_USER_CONFIG_PATH", self.scratch.path().join("nothing"));
        command.arg("--quiet").arg("--cache-dir").arg(cache).arg("--store").arg(store);
        command.arg("--ca-file").arg(self.authority.ca_file());
        command
    }

    /// Pushes a whole store.
    pub(super) fn strata_push(&self, cache: &Path, store: &Store, url: &str) -> Command {
        let mut command = self.strata(cache, &store.root);
        command.args(["buildcache", "push", url]).args(store.specs());
        command
    }

    /// Whether the strata that is measured knows the option of that command.
    pub(super) fn knows(&self, command: &[&str], option: &str) -> Outcome<bool> {
        let help = Command::new(&self.strata).args(command).arg("--help").output()?;
        Ok(String::from_utf8_lossy(&help.stdout).contains(option))
    }

    /// Spack, if there is one, with these scopes of configuration over the user's.
    pub(super) fn spack(&self, scope: &Path) -> Option<Command> {
        let spack = self.options.spack.as_ref()?;
        let program = if spack.is_dir() { spack.join("bin/spack") } else { spack.clone() };
        let mut command = Command::new(program);
        command.env("SPACK_USER_CACHE_PATH", self.scratch.path().join("spack-cache"));
        command.env("SSL_CERT_FILE", self.authority.ca_file());
        command.arg("-C").arg(scope);
        Some(command)
    }

    /// A scope for Spack: an install tree, and the only cache it knows.
    pub(super) fn spack_scope(&self, root: &Path, cache: Option<&str>) -> Outcome<PathBuf> {
        let scope = self.directory("scope")?;
        let is_padding = |component: &str| component.starts_with("__spack_path_pla");
        let components = root.components().map(|component| component.as_os_str().to_string_lossy());
        let unpadded: PathBuf =
            components.take_while(|component| !is_padding(component)).map(|c| c.into_owned()).collect();
        let length = if unpadded == root { 0 } else { root.as_os_str().len() };
        let tree = format!("config:\n  install_tree:\n    root: {unpadded:?}\n    padded_length: {length}\n");
        fs::write(scope.join("config.yaml"), tree)?;
        let mirror =
            cache.map_or("{}".to_owned(), |url| format!("{{cache: {{url: {url:?}, signed: false}}}}"));
        fs::write(scope.join("mirrors.yaml"), format!("mirrors:: {mirror}\n"))?;
        fs::write(scope.join("concretizer.yaml"), "concretizer:\n  reuse: {from: [{type: buildcache}]}\n")?;
        Ok(scope)
    }

    /// The floor of a name with its arguments, as a command.
    pub(super) fn floor(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.this);
        command.arg("bench-floor").args(words);
        command
    }

    /// Measures it, as long as patience lasts.
    pub(super) fn time(&self, command: &Command) -> Outcome<Sample> {
        timed_within(command, self.options.patience, &[0])
    }

    /// Does it as a preparation, which nobody measures.
    pub(super) fn prepare(&self, mut command: Command) -> Outcome<()> {
        let output =
            command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?}: {}\n{said}", output.status).into())
    }
}

/// Gives back the space of a tree that is not needed any more, and leaves its files there, empty.
pub(super) fn hollow_out(tree: &Path) -> Outcome<()> {
    for entry in fs::read_dir(tree)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            hollow_out(&entry.path())?;
        } else if kind.is_file() {
            fs::File::options().write(true).open(entry.path())?.set_len(0)?;
        }
    }
    Ok(())
}
