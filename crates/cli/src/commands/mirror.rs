//! `strata mirror add|remove|list`: Spack's `mirrors.yaml` of the user scope.

use crate::args::MirrorAdd;
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_config::{Mirrors, NewMirror, UserScope};
use strata_oci::RepositoryUrl;

/// Gives a cache a name.
pub(crate) fn add(args: &MirrorAdd, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let parsed: RepositoryUrl = args.url.parse().map_err(strata_ops::Error::from)?;
    let name = &args.name;
    let scope = UserScope::new(&settings.user_scope);
    let signed = (args.signed || args.unsigned).then_some(args.signed);
    scope.add_mirror(&NewMirror { signed, ..NewMirror::new(name, parsed.to_string()) })?;
    let file = scope.mirrors_path();
    let text = format!("added mirror {name} ({parsed}) to {}\n", file.display());
    Ok(Outcome::new(text, &json!({"name": name, "url": parsed.to_string(), "file": file}))?)
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
