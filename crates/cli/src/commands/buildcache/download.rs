//! `strata buildcache download`.

use crate::args::Unify;
use crate::args::buildcache::{Download, Only};
use crate::commands::resolving::Resolving;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, bytes, counts, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::json;
use std::sync::Arc;
use strata_oci::RepositoryUrl;
use strata_ops::mirror::Direction;
use strata_ops::resolve::resolve;
use strata_ops::{Error, download as operation, push};
use strata_spec::Database;

/// Copies packages to a directory.
pub(crate) fn download(
    args: &Download,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let words: Vec<String> = args.specs.iter().chain(&args.spec).cloned().collect();
    let only = match args.only {
        None => push::Only::Everything,
        Some(Only::Package) => push::Only::Package,
        Some(Only::Dependencies) => push::Only::Dependencies,
    };
    let directory =
        std::path::absolute(&args.path).map_err(|source| Error::Io { path: args.path.clone(), source })?;
    let url = RepositoryUrl::from_directory(&directory).map_err(Error::from)?;
    let resolving = Resolving::new(&words, &args.from, settings, console)?;
    let destination = Registries::new(settings, console)?.open(&url.to_string(), Direction::Push)?;
    let console: &Console = console;
    let nothing = Database::default();
    // Packages of a directory need not go together, as those of a command to install do.
    let request = resolving.request(Unify::WhenPossible);
    let resolved = resolve(&request, resolving.stock(&nothing, console)?)?;
    let summary = operation::download(&resolved, only, &resolving.mirrors, &*destination, console)?;
    let mut text =
        format!("downloaded {} to {url}: {}", packages(summary.downloaded.len()), bytes(summary.bytes));
    text += &counts(&[(summary.failed.len(), "failed")]);
    text.push('\n');
    if !summary.downloaded.is_empty() {
        text += &format!("install from there with `strata install --mirror {url} SPEC`\n");
    }
    let mut outcome = Outcome::new(text, &json!({"url": url.to_string(), "download": summary}))?;
    let failures = summary.failed.iter().map(|f| Diagnosis::of_package(f.package.clone(), &f.error));
    let failures = failures.chain(summary.trouble.map(Diagnosis::from));
    outcome.fail(failures.collect(), summary.downloaded.is_empty());
    Ok(outcome)
}
