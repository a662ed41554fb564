//! `strata cache info|path|prune`: the blobs that are kept on this machine.

use crate::args::Prune;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, bytes};
use crate::settings::Settings;
use serde_json::json;
use std::time::Duration;
use strata_oci::{BlobCache, PruneOptions};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Says how much is kept.
pub(crate) fn info(settings: &Settings) -> Result<Outcome, Diagnosis> {
    let info = BlobCache::new(&settings.cache_directory).info()?;
    let mut text = format!("{}\n{}", settings.cache_directory.display(), blobs(info.blobs, info.bytes));
    if info.partial > 0 {
        text += &format!("; {} of them in part, {}", info.partial, bytes(info.partial_bytes));
    }
    if info.indexes > 0 {
        let (count, size) = (info.indexes, bytes(info.index_bytes));
        text += &format!("; {count} index{}, {size}", if count == 1 { "" } else { "es" });
    }
    Ok(Outcome::new(text + "\n", &json!({"directory": settings.cache_directory, "cache": info}))?)
}

/// Prints the directory.
pub(crate) fn path(settings: &Settings) -> Result<Outcome, Diagnosis> {
    let directory = &settings.cache_directory;
    Ok(Outcome::new(format!("{}\n", directory.display()), &json!({"directory": directory}))?)
}

/// Removes what was not used for longest.
pub(crate) fn prune(args: &Prune, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let options = PruneOptions {
        max_bytes: args.max_size,
        unused_for: args.unused_for.map(|days| DAY * days),
        everything: args.all,
    };
    let pruned = BlobCache::new(&settings.cache_directory).prune(&options)?;
    let text = format!(
        "removed {}; {} left\n",
        blobs(pruned.blobs, pruned.bytes),
        blobs(pruned.kept, pruned.kept_bytes)
    );
    Ok(Outcome::new(text, &pruned)?)
}

fn blobs(count: u64, size: u64) -> String {
    format!("{count} blob{}, {}", if count == 1 { "" } else { "s" }, bytes(size))
}
