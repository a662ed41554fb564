//! Running strata as a user would, in surroundings of the test's own.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use strata_testkit::golden;
use strata_testkit::sample_store::SampleStore;
use tempfile::TempDir;

/// How strata ends, as its README says.
pub(crate) mod exit_code {
    pub(crate) const SOME_FAILED: i32 = 1;
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const NOT_FOUND: i32 = 3;
    pub(crate) const CORRUPT: i32 = 65;
    pub(crate) const UNREACHABLE: i32 = 69;
    pub(crate) const DISK: i32 = 74;
    pub(crate) const NOT_ALLOWED: i32 = 77;
}

/// Surroundings for commands: a home directory and a place for stores and caches.
pub(crate) struct World {
    scratch: TempDir,
}

/// What a command printed and how it ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { scratch: tempfile::Builder::new().prefix("strata-test-").tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A layout in this world, as a URL.
    pub(crate) fn layout(&self, name: &str) -> String {
        format!("oci+file://{}", self.path(name).display())
    }

    /// The command, without anything of the surroundings the tests run in.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            let ours = ["STRATA_", "XDG_", "SPACK_"].iter().any(|prefix| name.starts_with(prefix));
            if ours || ["SOURCE_DATE_EPOCH", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"].contains(&&*name) {
                command.env_remove(&variable);
            }
        }
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env_remove(proxy);
        }
        command.env("HOME", self.path("home")).env("SPACK_USER_CONFIG_PATH", self.path("user-scope"));
        // Without it, root's own podman would be asked for credentials.
        command.env("XDG_RUNTIME_DIR", self.path("runtime"));
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        self.command().args(arguments).output().unwrap().into()
    }

    /// Runs a command that must succeed; its standard output.
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// `NAME@VERSION` of what strata installed at `root`, externals left out.
    pub(crate) fn installed(&self, root: &Path) -> Vec<String> {
        let found = self.run(["--json", "--store", text(root), "find"]).json();
        let specs = found["result"]["specs"].as_array().unwrap();
        let ours = specs.iter().filter(|spec| spec["external"] == false);
        let part = |spec: &Value, key: &str| spec[key].as_str().unwrap().to_owned();
        ours.map(|spec| format!("{}@{}", part(spec, "name"), part(spec, "version"))).collect()
    }

    /// Compiles the sample store below this world.
    pub(crate) fn sample_store(&self) -> SampleStore {
        SampleStore::build(&self.path("built"), 128).unwrap()
    }

    /// A sample store and a layout that holds all of it.
    pub(crate) fn sample_cache(&self) -> (SampleStore, String) {
        let (store, cache) = (self.sample_store(), self.layout("cache"));
        self.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &cache]);
        (store, cache)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// Asserts that the command failed this way, and that it said each of `words`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// Installs from a cache.
pub(crate) fn install(world: &World, root: &Path, cache: &str, spec: &str) -> Ran {
    world.run(["--store", text(root), "install", "--mirror", cache, spec])
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every path below `root`, sorted, relative to it.
pub(crate) fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                directories.push(path.clone());
            }
            found.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

/// Whether the tests run as a user who may do anything, as in most containers.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a command under strace with these options; none, after saying so, where there is no strace, or it may not trace.
pub(crate) fn under_strace(test: &str, options: &[&str], plain: &Command) -> Option<Ran> {
    let works = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=fcntl:error=ENOLCK:when=9999+", "true"])
        .stderr(Stdio::null())
        .status();
    if !works.is_ok_and(|status| status.success()) {
        golden::skipped(test, "there is no strace, or it may not trace");
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(options);
    // The surroundings are those of the command.
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(command.arg(plain.get_program()).args(plain.get_args()).output().unwrap().into())
}
