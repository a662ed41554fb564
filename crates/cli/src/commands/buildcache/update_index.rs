//! `strata buildcache update-index`.

use crate::args::buildcache::UpdateIndex;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, counts, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::sync::Arc;
use strata_ops::index;
use strata_ops::mirror::Direction;

/// Brings the index of a cache up to date. Tags that are no packages are told of, and are no failure: the index is as it
/// should be. One that gave no answer is, for its package may be missing.
pub(crate) fn update_index(
    args: &UpdateIndex,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let repository = Registries::keeping_nothing(settings, console)?.open(&args.mirror, Direction::Update)?;
    let mut summary = index::update(&*repository, &**console)?;
    let trouble = summary.trouble.take();
    let text = format!(
        "{} the index of {}: {}, {} added, {} dropped{}\n",
        if summary.written { "wrote" } else { "kept" },
        repository.url(),
        packages(summary.packages),
        summary.added,
        summary.dropped,
        counts(&[(summary.bad_tags.len(), "bad tags")]),
    );
    let mut outcome = Outcome::new(text, &summary)?;
    outcome.fail(trouble.map(Diagnosis::from).into_iter().collect(), false);
    Ok(outcome)
}
