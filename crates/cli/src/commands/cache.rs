//! `strata cache info|path|prune`: the blobs that are kept on this machine, and the files that are kept in the store.

use crate::args::Prune;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, bytes};
use crate::settings::Settings;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use strata_oci::{BlobCache, PruneOptions, Pruned};
use strata_store::file_cache::{self, FileRules, PrunedFiles};

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
    // Without a rule nothing is removed.
    let files = files(settings, &FileRules::default())?;
    if files.kept > 0 {
        text += &format!("; in the store, {}", unlinked(files.kept, files.kept_bytes));
    }
    let unlinked = json!({"files": files.kept, "bytes": files.kept_bytes});
    let result = json!({"directory": settings.cache_directory, "cache": info, "unlinked": unlinked});
    Ok(Outcome::new(text + "\n", &result)?)
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
    let rules = FileRules {
        max_bytes: options.max_bytes.map(|most| most.saturating_sub(pruned.kept_bytes)),
        unused_for: options.unused_for,
        everything: options.everything,
    };
    let files = files(settings, &rules)?;
    let mut text = format!(
        "removed {}; {} left\n",
        blobs(pruned.blobs, pruned.bytes),
        blobs(pruned.kept, pruned.kept_bytes)
    );
    if files.files + files.kept > 0 {
        let (removed, left) = (unlinked(files.files, files.bytes), unlinked(files.kept, files.kept_bytes));
        text += &format!("removed {removed}; {left} left in the store\n");
    }
    Ok(Outcome::new(text, &Removed { blobs: pruned, files })?)
}

/// What was removed, and what is left.
#[derive(Serialize)]
struct Removed {
    #[serde(flatten)]
    blobs: Pruned,
    files: PrunedFiles,
}

/// Removes what is kept in the store and no package is linked to, as the rules say.
fn files(settings: &Settings, rules: &FileRules) -> Result<PrunedFiles, Diagnosis> {
    let root = settings.place()?.root()?;
    Ok(file_cache::prune(&root, rules).map_err(strata_ops::Error::from)?)
}

fn unlinked(count: u64, size: u64) -> String {
    format!("{count} file{} without a package, {}", if count == 1 { "" } else { "s" }, bytes(size))
}

fn blobs(count: u64, size: u64) -> String {
    format!("{count} blob{}, {}", if count == 1 { "" } else { "s" }, bytes(size))
}
