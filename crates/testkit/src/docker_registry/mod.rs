//! A real `docker-registry` (the reference implementation, as Debian packages it) on a loopback port of its own:
//! plain, with passwords, with a token server, with TLS.

mod configuration;
mod ready;

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use self::configuration::Configuration;
use crate::certificates::{Authority, Identity};
use crate::token_server::TokenServer;

const PROGRAM: &str = "docker-registry";
/// How often another port is tried, should somebody take the chosen one first.
const ATTEMPTS: usize = 5;
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What a [`DockerRegistry`] is to be like.
#[derive(Default)]
pub struct Builder {
    users: Vec<(String, String)>,
    tokens: Option<Tokens>,
    tls: Option<(Identity, Vec<u8>)>,
}

/// The token server that a registry trusts.
struct Tokens {
    realm: String,
    certificate_bundle: PathBuf,
}

impl Builder {
    /// Only those users may do anything that are named, by Basic authentication.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_string(), password.to_string()));
        self
    }

    /// Only those may do anything who have a token of this server's.
    ///
    /// # Panics
    /// If it does not sign its tokens, for then the registry cannot check them.
    pub fn tokens(mut self, server: &TokenServer) -> Self {
        let certificate_bundle = server.certificate_bundle().expect("a token server that signs");
        self.tokens = Some(Tokens { realm: server.realm(), certificate_bundle });
        self
    }

    /// With TLS, and a certificate of this authority's.
    pub fn tls(mut self, authority: &Authority) -> Self {
        self.tls = Some((authority.server(), authority.ca_der().to_vec()));
        self
    }

    /// Starts it; `None` if the program is not installed, which the caller reports with
    /// [`skipped`](crate::golden::skipped).
    ///
    /// # Panics
    /// If it is installed and cannot be started.
    pub fn start(self) -> Option<DockerRegistry> {
        let program = find_program(PROGRAM)?;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(&program) {
                Ok(registry) => return Some(registry),
                Err(reason) => last = reason,
            }
        }
        panic!("{} does not start: {last}", program.display());
    }

    fn attempt(&self, program: &Path) -> Result<DockerRegistry, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let port = free_port().map_err(|error| error.to_string())?;
        // The registry cannot be told to choose a port. Should another one be faster on this port, its answers lack
        // the name that this one is given.
        let name = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let configuration = Configuration { directory: directory.path(), port, name: &name, builder: self };
        let config = configuration.write().map_err(|error| error.to_string())?;
        let log = directory.path().join("log");
        let output = || File::options().create(true).append(true).open(&log).map_err(|e| e.to_string());
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut registry = DockerRegistry { child, port, tls: self.tls.is_some(), directory };
        let authority = self.tls.as_ref().map(|(_, authority)| &authority[..]);
        let deadline = Instant::now() + READY_WITHIN;
        while !ready::is_ready(port, &name, authority) {
            let ended = registry.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

/// A running registry with a storage of its own. Ended, and its storage removed, when dropped.
pub struct DockerRegistry {
    child: Child,
    port: u16,
    tls: bool,
    directory: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one that everybody may do everything with, over plain http; otherwise as [`Builder::start`].
    ///
    /// # Panics
    /// If it is installed and cannot be started.
    pub fn start() -> Option<Self> {
        Builder::default().start()
    }

    /// One that is to be something else.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`: what credentials are kept under.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The mirror URL of the repository `name`: `oci+http://127.0.0.1:PORT/NAME`, or `oci://…` with TLS.
    pub fn url(&self, name: &str) -> String {
        let scheme = if self.tls { "oci" } else { "oci+http" };
        format!("{scheme}://{}/{name}", self.host())
    }

    /// Where it keeps its files, for tests that damage them: `docker/registry/v2/blobs/sha256/…` is below.
    pub fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    /// The requests it was sent so far, in Apache's combined log format, among other things that it had to say.
    ///
    /// # Panics
    /// If its log cannot be read.
    pub fn access_log(&self) -> String {
        let log = self.directory.path().join("log");
        fs::read_to_string(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()))
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program `name` on the search path. Also for tests that need some other program, such as skopeo.
pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
