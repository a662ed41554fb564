//! `strata env status`.

use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Says which environment commands are about.
pub(crate) fn status(settings: &Settings) -> Result<Outcome, Diagnosis> {
    let Some(directory) = settings.environment()? else {
        return Ok(Outcome::new(
            "no environment is active\n".to_owned(),
            &json!({"environment": Value::Null}),
        )?);
    };
    let name = settings.environments()?.name_of(&directory);
    let is_here = directory.canonicalize().ok() == settings.absolute(&PathBuf::new()).canonicalize().ok();
    let concrete = directory.join("spack.lock").is_file();
    let place = if is_here { format!("{} (this directory)", directory.display()) } else { name.clone() };
    let text = format!("in environment {place}{}\n", if concrete { "" } else { ", which is not concrete" });
    let result = json!({"environment": {"name": name, "directory": directory, "concrete": concrete}});
    Ok(Outcome::new(text, &result)?)
}
