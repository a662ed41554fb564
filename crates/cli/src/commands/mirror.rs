//! `strata mirror add|remove|list`: Spack's `mirrors.yaml` of the user scope.

use crate::args::MirrorAdd;
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_config::{AccessPair, IdSource, Mirrors, NewMirror, PlainText, UserScope};
use strata_oci::RepositoryUrl;
use strata_ops::{Event, Reporter};

/// Gives a cache a name.
pub(crate) fn add(args: &MirrorAdd, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let parsed: RepositoryUrl = args.url.parse().map_err(strata_ops::Error::from)?;
    let name = &args.name;
    let scope = UserScope::new(&settings.user_scope);
    let signed = (args.signed || args.unsigned).then_some(args.signed);
    let access_pair = access_pair(args)?;
    let file = scope.mirrors_path();
    let is_plain_text = matches!(access_pair, Some(AccessPair::PlainText { .. }));
    scope.add_mirror(&NewMirror { signed, access_pair, ..NewMirror::new(name, parsed.to_string()) })?;
    if is_plain_text {
        console.event(Event::Warning(&format!(
            "the password stands in plain text in {}, in a form that Spack 1.1 and later refuse; put it into an \
             environment variable and use --oci-password-variable",
            file.display()
        )));
    }
    let text = format!("added mirror {name} ({parsed}) to {}\n", file.display());
    Ok(Outcome::new(text, &json!({"name": name, "url": parsed.to_string(), "file": file}))?)
}

/// Who to be for a new mirror. Both parts are needed.
fn access_pair(args: &MirrorAdd) -> Result<Option<AccessPair>, Diagnosis> {
    for name in args.oci_username_variable.iter().chain(&args.oci_password_variable) {
        if !is_variable(name) {
            // It may be the secret itself.
            return Err(Diagnosis::misuse(
                "what was given as the name of an environment variable is none",
                "--oci-username-variable and --oci-password-variable take the NAME of a variable that holds it",
            ));
        }
    }
    let text = args.oci_username.clone().map(IdSource::Text);
    let id = text.or_else(|| args.oci_username_variable.clone().map(IdSource::Variable));
    match (id, &args.oci_password_variable, &args.oci_password) {
        (None, None, None) => Ok(None),
        (Some(id), Some(variable), None) => {
            Ok(Some(AccessPair::Variables { id, secret_variable: variable.clone() }))
        }
        (Some(IdSource::Text(id)), None, Some(password)) => {
            Ok(Some(AccessPair::PlainText { id, secret: PlainText::new(&*password.0) }))
        }
        _ => Err(Diagnosis::misuse(
            "both parts of the access pair are needed: a user and a password",
            "give --oci-username USER (or --oci-username-variable NAME) and --oci-password-variable NAME",
        )),
    }
}

/// Whether that is the name of a variable that a shell can set (POSIX: letters, digits, underscores).
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Forgets a mirror.
pub(crate) fn remove(name: &str, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let scope = UserScope::new(&settings.user_scope);
    scope.remove_mirror(name)?;
    let file = scope.mirrors_path();
    let text = format!("removed mirror {name} from {}\n", file.display());
    Ok(Outcome::new(text, &json!({"name": name, "file": file}))?)
}

/// Lists the mirrors.
pub(crate) fn list(settings: &Settings) -> Result<Outcome, Diagnosis> {
    let mirrors = Mirrors::load(&settings.mirrors_file())?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for mirror in &mirrors {
        let (fetch, push) = (mirror.fetch_url().ok(), mirror.push_url().ok());
        write!(text, "{}  {}", mirror.name, fetch.or(push).unwrap_or_default()).ok();
        if let Some(push) = push.filter(|_| push != fetch) {
            write!(text, "  (push: {push})").ok();
        }
        text.push('\n');
        rows.push(json!({"name": mirror.name, "fetch": fetch, "push": push, "binary": mirror.binary}));
    }
    Ok(Outcome::new(text, &json!({"mirrors": rows}))?)
}
