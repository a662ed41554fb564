//! [`Served`]: our own registry, as a process that can be measured.

use super::Outcome;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `strata serve` on a port of its own.
pub(super) struct Served {
    child: Child,
    pub(super) port: u16,
}

impl Served {
    /// Serves `directory`, with these options beside.
    pub(super) fn start(strata: &Path, directory: &Path, options: &[&OsStr]) -> Outcome<Self> {
        let mut child = Command::new(strata)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options)
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line
            .split("127.0.0.1:")
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let port = port.and_then(|digits| digits.parse().ok()).ok_or(format!("no port in {line:?}"))?;
        Ok(Self { child, port })
    }

    /// The most memory it had so far.
    pub(super) fn peak_kib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
