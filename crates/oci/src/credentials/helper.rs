//! [`Helper`]: the programs `docker-credential-NAME`, which keep credentials in a keychain or get them from a cloud.
//!
//! The protocol is that of Docker's credential helpers: the verb is the one argument, everything else goes through
//! standard input and output, and a failure is a status and some words on either output.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::subprocess::{self, Finished};
use super::{CredentialError, Identity, auth_file};
use crate::Secret;

/// How much of a helper's own words is quoted, in characters.
const QUOTED: usize = 200;

/// What helpers say when all is well but there are no credentials: "credentials not found in native keychain".
const NOT_FOUND: &str = "credentials not found";

/// How helpers are run.
#[derive(Debug, Clone)]
pub(super) struct HelperOptions {
    pub(super) timeout: Duration,
    /// Directories to find them in; those of the process's own `PATH` if not given.
    pub(super) path: Option<OsString>,
}

/// A helper that a credential file names.
pub(super) struct Helper<'a> {
    program: String,
    options: &'a HelperOptions,
    /// The file that names it.
    named_by: &'a Path,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Gotten {
    #[serde(default)]
    username: String,
    secret: Option<Secret>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

impl<'a> Helper<'a> {
    /// The helper of this name, which must not lead out of the directories of programs.
    pub(super) fn new(
        name: &str,
        named_by: &'a Path,
        options: &'a HelperOptions,
    ) -> Result<Self, CredentialError> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let problem = format!("{name:?} is not the name of a credential helper");
            return Err(CredentialError::file(named_by, problem));
        }
        Ok(Self { program: format!("docker-credential-{name}"), options, named_by })
    }

    /// What it is called in messages.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// The credentials for a server, if it has some.
    pub(super) fn get(&self, server: &str) -> Result<Option<Identity>, CredentialError> {
        let Some(finished) = self.run("get", Zeroizing::new(server.as_bytes().to_vec()), None)? else {
            return Ok(None);
        };
        let gotten: Gotten = serde_json::from_slice(&finished.stdout)
            .map_err(|_| self.problem("it does not answer \"get\" with the JSON of a helper"))?;
        let secret = gotten.secret.filter(|secret| !secret.expose().is_empty());
        Ok(secret.map(|secret| auth_file::identity(gotten.username, secret)))
    }

    /// Has it keep credentials.
    pub(super) fn store(
        &self,
        server: &str,
        username: &str,
        password: &Secret,
    ) -> Result<(), CredentialError> {
        let stored = Stored { server_url: server, username, secret: password.expose() };
        let input = serde_json::to_vec(&stored).map_err(|error| self.problem(&error.to_string()))?;
        match self.run("store", Zeroizing::new(input), Some(password))? {
            Some(_) => Ok(()),
            None => Err(self.problem(&format!("it answers \"store\" with \"{NOT_FOUND}\""))),
        }
    }

    /// Has it forget the credentials for a server; false if it had none.
    pub(super) fn erase(&self, server: &str) -> Result<bool, CredentialError> {
        Ok(self.run("erase", Zeroizing::new(server.as_bytes().to_vec()), None)?.is_some())
    }

    /// Runs it; `None` if it has no such credentials.
    fn run(
        &self,
        verb: &str,
        input: Zeroizing<Vec<u8>>,
        secret: Option<&Secret>,
    ) -> Result<Option<Finished>, CredentialError> {
        let timeout = self.options.timeout;
        let finished = match self.command() {
            Some(mut command) => subprocess::run(command.arg(verb), input, timeout),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let finished = finished.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                self.problem(&format!("no such program, and {} asks for it", self.named_by.display()))
            }
            io::ErrorKind::TimedOut => {
                self.problem(&format!("no answer to \"{verb}\" for {} s", timeout.as_secs_f32()))
            }
            _ => self.problem(&format!("cannot be run: {error}")),
        })?;
        if finished.status.success() {
            return Ok(Some(finished));
        }
        let words = words(&finished, secret);
        if words.contains(NOT_FOUND) {
            return Ok(None);
        }
        Err(self.problem(&format!("\"{verb}\" failed ({}): {words}", finished.status)))
    }

    fn command(&self) -> Option<Command> {
        match &self.options.path {
            None => Some(Command::new(&self.program)),
            Some(path) => find(path, &self.program).map(Command::new),
        }
    }

    fn problem(&self, problem: &str) -> CredentialError {
        CredentialError::Helper { helper: self.program.clone(), problem: problem.to_string() }
    }
}

/// The first program of a name in a list of directories like `PATH`.
fn find(path: &OsStr, program: &str) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).map(|directory| directory.join(program)).find(is_program)
}

/// Why it failed, in its own words, on one line: those on its standard error, else those on its standard output,
/// where Docker's helpers say it, unless that looks like credentials.
fn words(finished: &Finished, secret: Option<&Secret>) -> String {
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    };
    let (stdout, stderr) = (line(&finished.stdout), line(&finished.stderr));
    let said = match (stderr.is_empty(), stdout.contains('{')) {
        (_, false) if stdout.contains(NOT_FOUND) => stdout,
        (false, _) => stderr,
        (true, false) if !stdout.is_empty() => stdout,
        (true, _) => "no further words".to_string(),
    };
    let said = match secret.filter(|secret| !secret.expose().is_empty()) {
        Some(secret) => said.replace(secret.expose(), "…"),
        None => said,
    };
    match said.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A directory with the shell script `docker-credential-test` in it.
    pub(in crate::credentials) fn helper_directory(script: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        std::fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Copied by another process: a file that this one has open for writing, in whatever thread it forks just
        // now, cannot be run.
        let target = directory.path().join("docker-credential-test");
        let status = Command::new("install").args(["-m", "755"]).arg(&source).arg(&target).status().unwrap();
        assert!(status.success());
        directory
    }

    fn options(directory: &tempfile::TempDir) -> HelperOptions {
        HelperOptions { timeout: Duration::from_secs(30), path: Some(directory.path().into()) }
    }

    fn with_helper<T>(script: &str, use_it: impl FnOnce(&Helper<'_>) -> T) -> T {
        let directory = helper_directory(script);
        let options = options(&directory);
        use_it(&Helper::new("test", Path::new("/the/config.json"), &options).unwrap())
    }

    fn get(script: &str) -> Result<Option<Identity>, CredentialError> {
        with_helper(script, |helper| helper.get("ghcr.io"))
    }

    #[test]
    fn credentials_come_from_standard_output() {
        let script = r#"test "$*" = get && read -r host; test "$host" = ghcr.io &&
            echo '{"ServerURL":"ghcr.io","Username":"user","Secret":"hunter2"}'"#;
        let password = Secret::new("hunter2");
        assert_eq!(get(script).unwrap(), Some(Identity::Password { username: "user".into(), password }));
        let script = r#"echo '{"Username":"<token>","Secret":"r"}'"#;
        assert_eq!(get(script).unwrap(), Some(Identity::RefreshToken(Secret::new("r"))));
    }

    #[test]
    fn having_none_is_no_failure() {
        for script in [
            "echo credentials not found in native keychain; exit 1",
            "echo a warning >&2; echo credentials not found in native keychain; exit 1",
            "echo Error: credentials not found >&2; exit 1",
            r#"echo '{"Username":"","Secret":""}'"#,
        ] {
            assert_eq!(get(script).unwrap(), None, "{script}");
        }
    }

    #[test]
    fn failures_are_told_in_its_words_and_never_with_a_secret() {
        for (script, expected) in [
            (
                "echo the keychain is; echo locked; exit 2",
                "\"get\" failed (exit status: 2): the keychain is locked",
            ),
            ("echo stdout; echo stderr >&2; exit 1", "(exit status: 1): stderr"),
            ("exit 1", "no further words"),
            (r#"echo '{"Username":"u","Secret":"hunter2"}'; exit 1"#, "no further words"),
            (r#"echo '{"Username":"u","Secret":["hunter2"]}'"#, "does not answer \"get\" with the JSON"),
            ("echo hunter2", "does not answer \"get\" with the JSON"),
        ] {
            let error = get(script).unwrap_err().to_string();
            assert!(error.starts_with("credential helper docker-credential-test: "), "{error}");
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
        let echoing = "cat >&2; exit 1";
        let password = Secret::new("hunter2");
        let error = with_helper(echoing, |helper| helper.store("ghcr.io", "user", &password)).unwrap_err();
        assert!(error.to_string().contains("\"Secret\":\"…\""), "{error}");
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let directory = helper_directory("sleep 600");
        let options = HelperOptions { timeout: Duration::from_millis(200), ..options(&directory) };
        let helper = Helper::new("test", Path::new("/the/config.json"), &options).unwrap();
        let error = helper.get("ghcr.io").unwrap_err().to_string();
        assert!(error.contains("no answer to \"get\" for 0.2 s"), "{error}");
    }

    #[test]
    fn one_that_is_missing_or_impossible_is_told_with_the_file_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("docker-credential-test"), "not a program").unwrap();
        let options = options(&directory);
        let file = Path::new("/the/config.json");
        let error = Helper::new("test", file, &options).unwrap().get("ghcr.io").unwrap_err().to_string();
        assert!(error.contains("no such program, and /the/config.json asks for it"), "{error}");
        for name in ["", "../evil", "a/b", "a b", "a\0"] {
            let error = Helper::new(name, file, &options).err().unwrap().to_string();
            assert!(error.starts_with("/the/config.json: "), "{error}");
        }
        let inherited = HelperOptions { path: None, ..options.clone() };
        let helper = Helper::new("of-no-such-name", file, &inherited).unwrap();
        assert!(helper.get("ghcr.io").unwrap_err().to_string().contains("no such program"));
    }

    #[test]
    fn credentials_are_stored_and_erased_through_standard_input_alone() {
        let directory = helper_directory(r#"cd "$(dirname "$0")"; echo "$@" >>log; cat >>log; echo >>log"#);
        let options = options(&directory);
        let helper = Helper::new("test", Path::new("/the/config.json"), &options).unwrap();
        helper.store("ghcr.io", "user", &Secret::new("hunter\"2")).unwrap();
        assert!(helper.erase("ghcr.io").unwrap());
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
        let stored = r#"{"ServerURL":"ghcr.io","Username":"user","Secret":"hunter\"2"}"#;
        assert_eq!(log, format!("store\n{stored}\nerase\nghcr.io\n"));
    }
}
