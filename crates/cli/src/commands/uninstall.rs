//! `strata uninstall`.

use super::{specs, store};
use crate::args::Uninstall;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;

/// Removes packages that nothing else needs.
pub(crate) fn uninstall(
    args: &Uninstall,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let removed = strata_ops::uninstall::uninstall(&store(settings)?, &specs(&args.specs)?, console)?;
    let text = format!("removed {}\n", packages(removed.len()));
    Ok(Outcome::new(text, &json!({"removed": removed}))?)
}
