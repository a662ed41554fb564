//! A real `docker-registry` (the reference implementation, as Debian packages it) on a loopback port of its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "docker-registry";
/// How often another port is tried, should somebody take the chosen one first.
const ATTEMPTS: usize = 5;
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running registry with a storage of its own. Ended, and its storage removed, when dropped.
pub struct DockerRegistry {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one; `None` if the program is not installed, which the caller reports with
    /// [`skipped`](crate::golden::skipped).
    ///
    /// # Panics
    /// If it is installed and cannot be started.
    pub fn start() -> Option<Self> {
        let program = find_program(PROGRAM)?;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match Self::attempt(&program) {
                Ok(registry) => return Some(registry),
                Err(reason) => last = reason,
            }
        }
        panic!("{} does not start: {last}", program.display());
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mirror URL of the repository `name`: `oci+http://127.0.0.1:PORT/NAME`.
    pub fn url(&self, name: &str) -> String {
        format!("oci+http://127.0.0.1:{}/{name}", self.port)
    }

    /// Where it keeps its files, for tests that damage them: `docker/registry/v2/blobs/sha256/…` is below.
    pub fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    fn attempt(program: &Path) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let port = free_port().map_err(|error| error.to_string())?;
        // The registry cannot be told to choose a port. Should another one be faster on this port, its answers lack
        // the name that this one is given.
        let name = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let config = directory.path().join("config.yml");
        let log = directory.path().join("log");
        fs::write(&config, configuration(&directory.path().join("storage"), port, &name))
            .map_err(|error| error.to_string())?;
        let output = || File::options().create(true).append(true).open(&log).map_err(|e| e.to_string());
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut registry = Self { child, port, directory };
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(port, &name) {
            let ended = registry.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
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

fn configuration(storage: &Path, port: u16, name: &str) -> String {
    format!(
        "version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage:?}}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
  secret: {name}
  headers: {{X-Strata-Test: [{name}]}}
"
    )
}

/// Whether the registry called `name` answers on `port`.
fn is_ready(port: u16, name: &str) -> bool {
    let ask = || -> io::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split_whitespace().nth(1) == Some("200") && answer.contains(name))
}
