//! `strata add` and `strata remove`: what an environment wants.

use super::concretize::{WRITER, active, begin, read};
use super::specs;
use crate::args::env::{Add, Remove};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;
use strata_config::{Conditions, ConfigError, Configuration, SpecText, UserSpecs};
use strata_ops::environment::concretize::plan;
use strata_ops::environment::{Environment, RequestedSpec, Work, expand};
use strata_ops::{Event, Reporter};
use strata_spec::AbstractSpec;

/// The list that is no definition.
const SPECS: &str = "specs";

/// Adds specs to what the environment wants.
pub(crate) fn add(args: &Add, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    let directory = active(settings, "add")?;
    let _transaction = begin(&directory, settings, console)?;
    let list = list_name(args.list_name.as_deref());
    let environment = read(directory, settings)?;
    let (added, known) = add_specs(&environment, &args.specs, list, settings)?;
    let (mut text, place) = (String::new(), place(&environment, list));
    for spec in &added {
        writeln!(text, "added {spec} to {place}").ok();
    }
    for spec in &known {
        writeln!(text, "{spec} is in {place} already").ok();
    }
    Ok(Outcome::new(text, &json!({"environment": environment.name, "added": added, "present": known}))?)
}

/// The same for other commands, which are in a transaction: what was added.
pub(super) fn add_to(
    directory: &std::path::Path,
    words: &[String],
    settings: &Settings,
) -> Result<Vec<String>, Diagnosis> {
    Ok(add_specs(&read(directory.to_owned(), settings)?, words, None, settings)?.0)
}

/// Adds specs; those that were added, and those that were there.
fn add_specs(
    environment: &Environment,
    words: &[String],
    list: Option<&str>,
    settings: &Settings,
) -> Result<(Vec<String>, Vec<String>), Diagnosis> {
    let specs = specs(words)?;
    if let Some(spec) = specs.iter().find(|spec| list.is_none() && spec.name.is_none() && spec.hash.is_none())
    {
        return Err(Diagnosis::misuse(format!("`{spec}` names no package"), "begin it with a name"));
    }
    let configuration = settings.configuration()?;
    let lists = environment.manifest.user_specs(configuration)?;
    let mut present = canonical(written(environment, &lists, list)?);
    let (mut added, mut known) = (Vec::new(), Vec::new());
    for spec in specs.iter().map(ToString::to_string) {
        if present.contains(&spec) {
            known.push(spec);
            continue;
        }
        environment.manifest.add_spec_where(&spec, list, holds(configuration))?;
        present.push(spec.clone());
        added.push(spec);
    }
    Ok((added, known))
}

/// Takes roots of the lockfile that are these packages out of what is wanted, as `--remove` of `uninstall` does. What comes
/// from a matrix or another list is left, and named.
pub(super) fn remove_roots(
    directory: &std::path::Path,
    hashes: &[strata_spec::DagHash],
    settings: &Settings,
) -> Result<Vec<String>, Diagnosis> {
    let environment = read(directory.to_owned(), settings)?;
    let configuration = settings.configuration()?;
    let lists = environment.manifest.user_specs(configuration)?;
    let roots = environment.roots().iter().filter(|root| hashes.contains(&root.hash));
    let found: Vec<String> =
        roots.filter_map(|root| Some(root.requested.parse::<AbstractSpec>().ok()?.to_string())).collect();
    let (texts, stuck) = split(written(&environment, &lists, None)?, &found);
    environment.manifest.remove_spec_where(&texts, None, holds(configuration))?;
    forget(&environment.name, &environment, configuration)?;
    Ok(stuck)
}

/// Removes specs from what the environment wants.
pub(crate) fn remove(
    args: &Remove,
    settings: &Settings,
    console: &Arc<Console>,
) -> Result<Outcome, Diagnosis> {
    let directory = active(settings, "remove")?;
    let asked = specs(&args.specs)?;
    let list = list_name(args.list_name.as_deref());
    let _transaction = begin(&directory, settings, console)?;
    let environment = read(directory, settings)?;
    let configuration = settings.configuration()?;
    let lists = environment.manifest.user_specs(configuration)?;
    let (removed, stuck) = if args.all {
        environment.manifest.clear_specs()?;
        (expand(&lists.specs)?.iter().map(RequestedSpec::canonical).collect(), Vec::new())
    } else {
        let written = written(&environment, &lists, list)?;
        let found = meant(&asked, &environment, &lists, list)?;
        // A list that is made of others, or a matrix, has specs that are not written.
        let (texts, stuck) = split(written, &found);
        environment.manifest.remove_spec_where(&texts, list, holds(configuration))?;
        let removed: Vec<String> = found.into_iter().filter(|spec| !stuck.contains(spec)).collect();
        (removed, stuck)
    };
    if args.all || args.force {
        forget(&environment.name, &environment, configuration)?;
    }
    let (mut text, place) = (String::new(), place(&environment, list));
    for spec in &removed {
        writeln!(text, "removed {spec} from {place}").ok();
    }
    for spec in &stuck {
        let text = format!(
            "{spec} comes from a matrix or another list, and cannot be removed from {place} by itself"
        );
        console.event(Event::Warning(&text));
    }
    let result = json!({"environment": environment.name, "removed": removed, "not_removed": stuck});
    Ok(Outcome::new(text, &result)?)
}

/// Takes out of the lockfile what is no longer wanted.
fn forget(name: &str, environment: &Environment, configuration: &Configuration) -> Result<(), Diagnosis> {
    let environment = Environment::read(name, &environment.directory)?;
    let mut work = Work::of(&environment, configuration, false)?;
    work.new.clear();
    let concretization = plan(&work, None, None, WRITER);
    let concretization = concretization.map_err(|mut errors| Diagnosis::from(errors.remove(0)))?;
    Ok(concretization.write()?)
}

/// The specs of a list that satisfy one of those asked for, in the order of the list.
fn meant(
    asked: &[AbstractSpec],
    environment: &Environment,
    lists: &UserSpecs,
    list: Option<&str>,
) -> Result<Vec<String>, Diagnosis> {
    let items = list.map_or(Some(&lists.specs), |name| lists.definitions.get(name));
    let specs = expand(items.ok_or_else(|| no_such_list(environment, list))?)?;
    let mut found = Vec::new();
    for asked in asked {
        let matching = specs.iter().filter(|wanted| wanted.spec.satisfies(asked));
        let matching: Vec<String> = matching.map(RequestedSpec::canonical).collect();
        if matching.is_empty() {
            let path = environment.manifest.path().to_owned();
            let list = list.unwrap_or(SPECS).to_owned();
            return Err(ConfigError::NoSuchSpec { path, spec: asked.to_string(), list }.into());
        }
        found.extend(matching);
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|spec| seen.insert(spec.clone()));
    Ok(found)
}

/// What to remove of what is written, and what of `found` is not written.
fn split<'w>(written: &'w [SpecText], found: &[String]) -> (Vec<&'w str>, Vec<String>) {
    let forms = canonical(written);
    let (mut texts, mut stuck) = (Vec::new(), Vec::new());
    for spec in found {
        let same = forms.iter().zip(written).filter(|(form, _)| *form == spec);
        let same: Vec<&str> = same.map(|(_, written)| written.text.as_str()).collect();
        if same.is_empty() {
            stuck.push(spec.clone());
        }
        texts.extend(same);
    }
    // One edit removes all that is written the same way.
    let mut seen = std::collections::HashSet::new();
    texts.retain(|text| seen.insert(*text));
    (texts, stuck)
}

/// The plain specs of a list.
fn written<'l>(
    environment: &Environment,
    lists: &'l UserSpecs,
    list: Option<&str>,
) -> Result<&'l [SpecText], Diagnosis> {
    match (lists.written.get(list.unwrap_or(SPECS)), list) {
        (Some(written), _) => Ok(written),
        (None, None) => Ok(&[]),
        (None, Some(_)) => Err(no_such_list(environment, list)),
    }
}

/// As Spack writes them; what is no spec is left out.
fn canonical(written: &[SpecText]) -> Vec<String> {
    let form =
        |spec: &SpecText| spec.text.parse::<AbstractSpec>().map_or(String::new(), |spec| spec.to_string());
    written.iter().map(form).collect()
}

fn list_name(given: Option<&str>) -> Option<&str> {
    given.filter(|name| *name != SPECS)
}

fn no_such_list(environment: &Environment, list: Option<&str>) -> Diagnosis {
    let path = environment.manifest.path().to_owned();
    ConfigError::NoSuchList { path, list: list.unwrap_or(SPECS).to_owned() }.into()
}

fn place(environment: &Environment, list: Option<&str>) -> String {
    match list {
        Some(list) => format!("{list} of {}", environment.name),
        None => environment.name.clone(),
    }
}

/// Whether the condition of a definition holds.
fn holds(configuration: &Configuration) -> impl Fn(&str) -> bool {
    let conditions = Conditions::new(configuration.surroundings());
    // What is not understood was refused when the definitions were read.
    move |text| conditions.hold_text(text).unwrap_or(false)
}
