//! `strata verify`.

use super::{specs, store};
use crate::args::store::Verify;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;
use strata_ops::verify::{self, Against, Linked, Verified};
use strata_ops::{Error, Event, Reporter};

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Files,
    Libraries,
}

/// Compares installed packages with what was installed.
pub(crate) fn verify(
    args: &Verify,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let (what, words) = match args.specs.split_first() {
        Some((word, rest)) if word == "manifest" => (What::Files, rest),
        Some((word, rest)) if word == "libraries" => (What::Libraries, rest),
        Some((word, _)) if word == "versions" => {
            let text = "`verify versions` compares with recipes, which strata does not read";
            return Err(Diagnosis::misuse(text, "ask Spack: `spack verify versions`"));
        }
        _ => (What::Files, &args.specs[..]),
    };
    if words.is_empty() && !args.all && what == What::Files {
        return Err(Diagnosis::misuse("verify what?", "name packages, or give --all"));
    }
    let store = store(settings)?;
    let specs = specs(words)?;
    let database = store.read().map_err(Error::from)?;
    let place = store.root().root().to_string_lossy().into_owned();
    // Spack takes several packages for one spec of a library check.
    let all = args.all || what == What::Libraries;
    let records = verify::meant(&database, &specs, all, &place)?;
    let jobs = args.jobs.unwrap_or(settings.cores);
    if what == What::Libraries {
        return libraries(&verify::verify_libraries(&records, jobs)?, console);
    }
    let mirrors = match args.cache {
        true => Registries::new(settings, console)?.readable(&args.mirror)?,
        false => Vec::new(),
    };
    let against = if args.cache { Against::Caches(&mirrors) } else { Against::Manifest };
    let installed = settings.place()?.installed(store.root(), console)?;
    let verified = verify::verify(&store, &installed, &records, against, jobs, &**console)?;
    files(&verified, args.spack_json, console)
}

/// Says which files differ.
fn files(verified: &[Verified], spack_json: bool, console: &Console) -> Result<Outcome, Diagnosis> {
    let mut text = String::new();
    for package in verified.iter().filter(|package| !package.differences.is_empty()) {
        if spack_json {
            let errors: Map<String, Value> = package
                .differences
                .iter()
                .map(|difference| (difference.path.display().to_string(), json!(difference.errors)))
                .collect();
            writeln!(text, "{}", Value::Object(errors)).ok();
            continue;
        }
        writeln!(text, "{} in {}", package.label(), package.prefix.display()).ok();
        for difference in &package.differences {
            let path = difference.path.strip_prefix(&package.prefix).unwrap_or(&difference.path);
            let path = if path.as_os_str().is_empty() { ".".into() } else { path.display().to_string() };
            writeln!(text, "    {path}: {}", difference.errors.join(", ")).ok();
        }
    }
    let mut outcome = Outcome::new(text, &json!({"packages": verified}))?;
    let unseen = verified.iter().filter_map(|package| Some((package, package.error.as_ref()?)));
    let unseen: Vec<Diagnosis> =
        unseen.map(|(package, error)| Diagnosis::of_package(package.label(), error)).collect();
    let differing = verified.iter().filter(|package| !package.differences.is_empty());
    let differing = differing.map(|package| Error::Differs {
        package: package.label(),
        count: package.differences.len(),
        what: "are not what was installed",
    });
    let differing: Vec<Diagnosis> = differing.map(Diagnosis::from).collect();
    let same = verified.len() - unseen.len() - differing.len();
    console.event(Event::Phase(&format!("{} as installed", packages(same))));
    let nothing_seen = unseen.len() == verified.len();
    outcome.fail(unseen.into_iter().chain(differing).collect(), nothing_seen);
    Ok(outcome)
}

/// Says which libraries are not found.
fn libraries(linked: &[Linked], console: &Console) -> Result<Outcome, Diagnosis> {
    let mut text = String::new();
    let troubled = || linked.iter().filter(|package| !package.problems.is_empty());
    for package in troubled() {
        writeln!(text, "{} in {}", package.package, package.prefix.display()).ok();
        for problem in &package.problems {
            writeln!(text, "    {}", problem.path.display()).ok();
            for library in &problem.not_found {
                writeln!(text, "        {library} => not found").ok();
            }
            for rpath in &problem.relative_rpaths {
                writeln!(text, "        {rpath} => relative rpath").ok();
            }
        }
    }
    console.event(Event::Phase(&format!("looked at the libraries of {}", packages(linked.len()))));
    let mut outcome = Outcome::new(text, &json!({"packages": linked}))?;
    let failures = troubled().map(|package| Error::Differs {
        package: package.package.clone(),
        count: package.problems.len(),
        what: "do not find their libraries",
    });
    outcome.fail(failures.map(Diagnosis::from).collect(), false);
    Ok(outcome)
}
