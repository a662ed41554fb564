//! `strata buildcache …`: one module for each of its commands.

mod check;
mod check_index;
mod download;
mod list;
mod push;
mod update_index;

pub(crate) use check::check;
pub(crate) use check_index::check_index;
pub(crate) use download::download;
pub(crate) use list::list;
pub(crate) use push::push;
pub(crate) use update_index::update_index;

use crate::diagnosis::Diagnosis;
use serde_json::Value;
use std::path::Path;

/// Writes what was found to the file that was asked for.
fn write_findings(file: &Path, findings: &Value) -> Result<(), Diagnosis> {
    let failed = |error| Diagnosis::system(format_args!("cannot write {}", file.display()), &error);
    std::fs::write(file, findings.to_string()).map_err(failed)
}
