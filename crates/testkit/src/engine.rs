//! [`Engine`]: docker and podman, as far as tests use them, with whatever they were given taken from them again.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::docker_registry::find_program;
use crate::golden;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A daemon that everybody on this machine shares: images are removed one by one.
    Docker,
    /// A program with a storage of the test's own.
    Podman,
}

/// A container engine that can run containers here.
pub struct Engine {
    kind: Kind,
    /// Podman's images and its notes of containers.
    storage: Option<tempfile::TempDir>,
}

/// An image that an engine has; removed from it when dropped.
pub struct EngineImage<'a> {
    engine: &'a Engine,
    name: String,
}

/// What a command of an engine printed and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code. Of `run`, the container's: 125 to 127 are the engine's own, 127 for a program that is not there.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

impl Engine {
    /// Docker, if a daemon answers and can run containers.
    ///
    /// # Errors
    /// Why not.
    pub fn docker() -> Result<Self, String> {
        static CHECKED: OnceLock<Result<(), String>> = OnceLock::new();
        let engine = Self { kind: Kind::Docker, storage: None };
        CHECKED.get_or_init(|| engine.check()).clone().map(|()| engine)
    }

    /// Podman, if it can run containers.
    ///
    /// # Errors
    /// Why not.
    pub fn podman() -> Result<Self, String> {
        static CHECKED: OnceLock<Result<(), String>> = OnceLock::new();
        let storage = tempfile::Builder::new().prefix("strata-podman-").tempdir();
        let engine = Self { kind: Kind::Podman, storage: Some(storage.map_err(|error| error.to_string())?) };
        CHECKED.get_or_init(|| engine.check()).clone().map(|()| engine)
    }

    /// All that there are. Says, as [`skipped`](golden::skipped) does, which are not.
    pub fn all(test: &str) -> Vec<Self> {
        let engines = [("docker", Self::docker()), ("podman", Self::podman())];
        let there = engines.into_iter().filter_map(|(name, engine)| {
            engine.map_err(|reason| golden::skipped(&format!("{test}, with {name}"), &reason)).ok()
        });
        there.collect()
    }

    /// Whether containers run: of an image with nothing in it, one fails because its program is not there, and not before.
    fn check(&self) -> Result<(), String> {
        find_program(self.program()).ok_or_else(|| format!("{} is not installed", self.program()))?;
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        archive.append_data(&mut header, "empty", &[][..]).map_err(|error| error.to_string())?;
        let archive = archive.into_inner().map_err(|error| error.to_string())?;
        let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        std::fs::write(&file, archive).map_err(|error| error.to_string())?;
        let name = format!("localhost/strata-check-{}:latest", std::process::id());
        let imported = self.ended(["import".as_ref(), file.path().as_os_str(), name.as_ref()]);
        if imported.code != Some(0) {
            return Err(format!("{self} takes no image: {}", imported.stderr.trim()));
        }
        let image = EngineImage { engine: self, name };
        let ran = image.run(&["/nothing"]);
        match ran.code {
            Some(127) => Ok(()),
            _ => Err(format!("{self} runs no container: {}", ran.stderr.trim())),
        }
    }

    /// Whether it takes layers compressed with zstd: Docker does so since version 23, podman for longer.
    ///
    /// # Errors
    /// Why not.
    pub fn takes_zstd(&self) -> Result<(), String> {
        if matches!(self.kind, Kind::Podman) {
            return Ok(());
        }
        let ended = self.ended(["version", "--format", "{{.Server.Version}}"]);
        let version = ended.stdout.trim();
        match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
            Some(23..) => Ok(()),
            _ => Err(format!("version {version} takes no layers compressed with zstd")),
        }
    }

    /// Pulls `HOST/NAME:TAG` from a registry on loopback, over plain http.
    ///
    /// # Errors
    /// What the engine says.
    pub fn pull(&self, reference: &str) -> Result<EngineImage<'_>, String> {
        let ended = match self.kind {
            // Docker takes registries at 127.0.0.0/8 for insecure ones by itself.
            Kind::Docker => self.ended(["pull", "--quiet", reference]),
            Kind::Podman => self.ended(["pull", "--quiet", "--tls-verify=false", reference]),
        };
        match ended.code {
            Some(0) => Ok(EngineImage { engine: self, name: reference.to_owned() }),
            _ => Err(ended.stderr),
        }
    }

    /// Loads an archive that has one image.
    ///
    /// # Errors
    /// What the engine says.
    pub fn load(&self, archive: &Path) -> Result<EngineImage<'_>, String> {
        let ended =
            self.ended(["load".as_ref(), "--quiet".as_ref(), "--input".as_ref(), archive.as_os_str()]);
        // `Loaded image: NAME:TAG`, or `Loaded image ID: sha256:…`, or podman's `Loaded image(s): NAME`.
        let name = ended.stdout.lines().rev().find_map(|line| {
            let named = line.strip_prefix("Loaded image")?;
            Some(named.split_once(": ")?.1.trim().to_owned())
        });
        match (ended.code, name) {
            (Some(0), Some(name)) => Ok(EngineImage { engine: self, name }),
            _ => Err(format!("{}{}", ended.stdout, ended.stderr)),
        }
    }

    fn program(&self) -> &'static str {
        match self.kind {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program());
        if let Some(storage) = &self.storage {
            command.arg("--root").arg(storage.path().join("root"));
            command.arg("--runroot").arg(storage.path().join("run"));
        }
        command.stdin(Stdio::null());
        command
    }

    fn ended<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ended {
        match self.command().args(arguments).output() {
            Ok(output) => output.into(),
            Err(error) => Ended { code: None, stdout: String::new(), stderr: error.to_string() },
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(storage) = &self.storage {
            let _ = self.ended(["rmi", "--all", "--force"]);
            // Without privileges, layers belong to other users of podman's name space; with them, podman leaves its
            // storage mounted on itself.
            let _ =
                self.ended(["unshare".as_ref(), "rm".as_ref(), "-rf".as_ref(), storage.path().as_os_str()]);
            let mounted = storage.path().join("root/overlay");
            let _ = Command::new("umount").arg(mounted).stdin(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

impl EngineImage<'_> {
    /// Runs a container of it, without a network, that is removed afterwards. Without arguments, what the image says is run.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(&[], arguments)
    }

    /// As [`run`](Self::run), with options of the engine's before the image's name.
    pub fn run_with(&self, options: &[&str], arguments: &[&str]) -> Ended {
        let mut words = vec!["run", "--rm", "--network=none"];
        if self.engine.kind == Kind::Podman {
            // By default it asks for limits that are higher than those of many machines, which not everybody may raise.
            words.extend(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        }
        words.extend(options);
        words.push(&self.name);
        words.extend(arguments);
        self.engine.ended(words)
    }

    /// What the engine knows of it.
    ///
    /// # Panics
    /// If it does not say.
    pub fn inspect(&self) -> serde_json::Value {
        let ended = self.engine.ended(["image", "inspect", &self.name]);
        let mut images: Vec<serde_json::Value> =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        images.remove(0)
    }
}

impl Drop for EngineImage<'_> {
    fn drop(&mut self) {
        let _ = self.engine.ended(["rmi", "--force", &self.name]);
    }
}

impl Ended {
    /// The output of a command that must have succeeded.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        &self.stdout
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
