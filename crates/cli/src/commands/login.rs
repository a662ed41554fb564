//! `strata login|logout`: credentials where Docker and podman keep theirs.

use crate::args::{Login, Logout};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use strata_oci::{CredentialStore, Credentials, ErrorKind, Location, RepositoryUrl, Secret};
use strata_ops::{Event, Reporter};

/// What is typed for Docker Hub, and where it is.
const DOCKER_HUB: (&str, &str) = ("docker.io", "index.docker.io");

/// Checks credentials with the registry, and keeps them.
pub(crate) fn login(args: &Login, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let host = registry(&args.registry)?;
    let registries = Registries::new(settings, console)?;
    let (username, password) = ask(args, &host)?;
    let credentials = Credentials::password(&*username, password.clone(), "what was just given");
    let known = strata_oci::check_login(&host, !args.plain_http, credentials, registries.transport());
    let known = known.map_err(refused)?;
    if known == strata_oci::Login::NotAsked {
        let text = format!("{host} asks for no credentials: nobody knows whether these are right");
        console.event(Event::Warning(&text));
    }
    let file = args.authfile.clone().unwrap_or_else(|| settings.credential_files.written().to_owned());
    let stored = settings.credential_files.store().store(&file, &host, &username, &password)?;
    let text = format!("logged in to {host} as {username}; the credentials are in {stored}\n");
    Ok(Outcome::new(text, &json!({"registry": host, "username": username, "stored": stored}))?)
}

/// Whoever is logging in need not be told to log in.
fn refused(error: strata_oci::Error) -> Diagnosis {
    let denied = error.kind() == ErrorKind::Denied;
    let diagnosis = Diagnosis::from(error);
    if !denied {
        return diagnosis;
    }
    diagnosis.with_hint(
        "check the user and the password; many registries want an access token in the place of the password",
    )
}

/// The user and the password, from wherever they are to come.
fn ask(args: &Login, host: &str) -> Result<(String, Secret), Diagnosis> {
    let terminal = io::stdin().is_terminal();
    if !terminal && !args.password_stdin {
        let hint = format!("pipe the password: … | strata login {host} -u USER --password-stdin");
        return Err(Diagnosis::misuse("there is no terminal to ask for the password on", hint));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None if args.password_stdin => {
            return Err(Diagnosis::misuse("--password-stdin needs a user", "name one with --username USER"));
        }
        None => prompted(host).map_err(|error| Diagnosis::input(&error))?,
    };
    let password = if args.password_stdin {
        let mut text = Secret::new(piped().map_err(|error| Diagnosis::input(&error))?);
        // One line end is what `echo` adds; more may be meant.
        if let Some(line) = text.expose().strip_suffix('\n') {
            text = Secret::new(line.strip_suffix('\r').unwrap_or(line));
        }
        text
    } else {
        let prompt = format!("Password for {username} at {host}: ");
        Secret::new(rpassword::prompt_password(prompt).map_err(|error| Diagnosis::input(&error))?)
    };
    if username.is_empty() || password.expose().is_empty() {
        return Err(Diagnosis::misuse("a user and a password are needed, and one of them is empty", ""));
    }
    Ok((username, password))
}

fn prompted(host: &str) -> io::Result<String> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "User at {host}: ")?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn piped() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// Forgets credentials.
pub(crate) fn logout(
    args: &Logout,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let host = registry(&args.registry)?;
    let known = &settings.credential_files;
    let files = match &args.authfile {
        Some(file) => vec![file.clone()],
        None if args.all => known.all(),
        None => vec![known.written().to_owned()],
    };
    let mut removed: Vec<PathBuf> = Vec::new();
    for file in files {
        if known.store().erase(&file, &host)? {
            removed.push(file);
        }
    }
    for file in known.all() {
        // Of a file that cannot be read there is nothing to say here.
        if let Ok(Some(_)) = CredentialStore::new(vec![file.clone()]).lookup(&host, "") {
            let file = file.display();
            console.event(Event::Warning(&format!("{file} still has credentials for {host}: see --all")));
        }
    }
    let text = match &removed[..] {
        [] => format!("there were no credentials for {host}\n"),
        files => {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            format!("removed the credentials for {host} from {}\n", files.join(", "))
        }
    };
    Ok(Outcome::new(text, &json!({"registry": host, "removed": removed}))?)
}

/// A registry as its repositories' URLs name it. What is pasted from a browser or from a mirror's URL is accepted as
/// long as it names a registry and nothing in it.
fn registry(text: &str) -> Result<String, Diagnosis> {
    let host = ["https://", "http://", "oci://", "oci+http://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
        .trim_end_matches('/')
        .to_ascii_lowercase();
    let url = format!("oci://{host}/x").parse::<RepositoryUrl>();
    let same = match url.as_ref().map(RepositoryUrl::location) {
        Ok(Location::Registry { host: found, name, .. }) => *found == host && name == "x",
        _ => false,
    };
    if !same {
        // Before an `@` there may be a password.
        let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        return Err(Diagnosis::misuse(
            format!("`{shown}` is not a registry's name"),
            "name the registry alone, such as ghcr.io or localhost:5000, without the names of its repositories",
        ));
    }
    Ok(if host == DOCKER_HUB.0 { DOCKER_HUB.1.to_owned() } else { host })
}

#[cfg(test)]
mod tests {
    use super::registry;

    #[test]
    fn a_registry_is_a_host_and_nothing_else() {
        for (text, host) in [
            ("ghcr.io", "ghcr.io"),
            ("https://GHCR.io/", "ghcr.io"),
            ("oci+http://localhost:5000", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("docker.io", "index.docker.io"),
        ] {
            assert_eq!(registry(text).ok().as_deref(), Some(host), "{text}");
        }
        for text in ["", "ghcr.io/group", "name", "a b.c", "joe@ghcr.io", "ftp://ghcr.io", "ghcr.io:x"] {
            assert!(registry(text).is_err(), "{text}");
        }
    }
}
