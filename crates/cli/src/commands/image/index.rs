//! `strata image index`.

use crate::args::image::Index;
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::fmt::Write;
use std::sync::Arc;
use strata_oci::{ManifestRef, TagName};
use strata_ops::image::index::{Addition, IndexSummary, update};
use strata_ops::mirror::Direction;

/// Makes or updates an image index.
pub(crate) fn index(args: &Index, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let tag: &TagName = match args.reference.manifest() {
        ManifestRef::Tag(tag) => tag,
        ManifestRef::Digest(_) => {
            let text = format!("{} names an image by its digest", args.reference);
            return Err(Diagnosis::misuse(text, "an index is written under a tag: HOST/NAME:TAG"));
        }
    };
    let registries = Registries::new(settings, console)?;
    let mut places = vec![(args.reference.repository().to_string(), Direction::Push)];
    places.extend(args.add.iter().map(|image| (image.repository().to_string(), Direction::Fetch)));
    let mut opened = registries.open_together(&places)?.into_iter();
    let Some(repository) = opened.next() else { return Err(strata_ops::Error::Panicked.into()) };
    let additions: Vec<Addition> = args
        .add
        .iter()
        .zip(opened)
        .map(|(reference, repository)| Addition { reference: reference.clone(), repository })
        .collect();
    let summary = update(&*repository, tag, &additions, &args.remove, &**console)?;
    Ok(Outcome::new(text(&summary), &summary)?)
}

fn text(summary: &IndexSummary) -> String {
    let mut text = String::new();
    for image in &summary.images {
        let what = match &image.platform {
            platform if summary.added.contains(platform) => "  added",
            platform if summary.replaced.contains(platform) => "  replaced",
            _ => "",
        };
        writeln!(text, "{:<16} {}{what}", image.platform, image.digest).ok();
    }
    for platform in &summary.removed {
        writeln!(text, "{platform:<16} removed").ok();
    }
    if summary.others > 0 {
        let entries = if summary.others == 1 { "entry" } else { "entries" };
        writeln!(text, "and {} {entries} of no platform", summary.others).ok();
    }
    let written = if summary.written { "wrote" } else { "there is nothing to change in" };
    writeln!(text, "{written} {}", summary.reference).ok();
    writeln!(text, "{}", summary.digest).ok();
    text
}
