//! `strata env list`.

use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::path::Path;

/// Lists the environments that have names.
pub(crate) fn list(settings: &Settings) -> Result<Outcome, Diagnosis> {
    let environments = settings.environments()?;
    let all = environments.all()?;
    let active = settings.active_environment().and_then(|path| path.canonicalize().ok());
    let is_active = |directory: &Path| active.is_some() && directory.canonicalize().ok() == active;
    let text = all.iter().map(|named| format!("{}\n", named.name)).collect();
    let result: Vec<Value> = all
        .iter()
        .map(|named| {
            json!({"name": named.name, "directory": named.directory, "active": is_active(&named.directory)})
        })
        .collect();
    Ok(Outcome::new(text, &json!({"root": environments.root(), "environments": result}))?)
}
