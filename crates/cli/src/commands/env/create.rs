//! `strata env create`.

use crate::args::env::Create;
use crate::commands::shell_code::words;
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::path::{Component, Path, PathBuf};
use strata_config::{Configuration, Scope, Value};
use strata_ops::environment::managed::{
    self, Environments, ManagedError, NewEnvironment, Origin, ViewChoice,
};
use strata_ops::{Event, Reporter};

/// Makes an environment.
pub(crate) fn create(args: &Create, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let environments = settings.environments()?;
    let directory = match is_directory(args) {
        true => settings.absolute(&args.name),
        false => new_name(&environments, &args.name)?,
    };
    let mut origin = match &args.file {
        None => Origin::Nothing,
        Some(file) => match file.to_str().map(|name| environments.find(name)).transpose()?.flatten() {
            Some(named) => Origin::Environment(named),
            None => Origin::of(&settings.absolute(file))?,
        },
    };
    let configuration = &settings.configuration_without_environment()?;
    if let Origin::Manifest(path, included) = &mut origin {
        *included = included_files(configuration, path, console)?;
    }
    let view = match (&args.with_view, args.without_view) {
        (_, true) => ViewChoice::Without,
        (Some(path), _) => ViewChoice::At(settings.absolute(path)),
        (None, false) => ViewChoice::Unsaid,
    };
    let include_concrete = args.include_concrete.iter().map(|named| {
        let directory = environments.named_or_at(named)?;
        Ok(settings.absolute(&directory))
    });
    let unify = configuration.get("concretizer:unify")?;
    let new = NewEnvironment {
        directory,
        origin,
        view,
        unify: unify.is_none_or(|unify| unify.flag() != Some(false)),
        include_concrete: include_concrete.collect::<Result<_, ManagedError>>()?,
    };
    let created = managed::create(&new)?;
    let name = environments.name_of(&created.directory);
    let text = match Path::new(&name) == created.directory {
        true => format!("created environment in {name}\n"),
        false => format!("created environment {name} in {}\n", created.directory.display()),
    };
    let option = words(&[args.name.display().to_string()]);
    let next = match created.concrete {
        true => format!("To install it: strata -e {option} install"),
        false => format!(
            "To say what it consists of: strata -e {option} add SPEC…; then: strata -e {option} install"
        ),
    };
    console.event(Event::Phase(&next));
    let result = json!({"name": name, "directory": created.directory, "concrete": created.concrete});
    Ok(Outcome::new(text, &result)?)
}

/// Whether the name is a directory's: it is said, or the name has a `/` in it, as with Spack.
fn is_directory(args: &Create) -> bool {
    let mut parts = args.name.components();
    let is_dots =
        matches!((parts.next(), parts.next()), (Some(Component::CurDir | Component::ParentDir), None));
    args.dir || is_dots || args.name.as_os_str().as_encoded_bytes().contains(&b'/')
}

/// The directory of a name that is not taken.
fn new_name(environments: &Environments, name: &Path) -> Result<PathBuf, Diagnosis> {
    let text = name.to_string_lossy();
    let directory = environments.directory(&text)?;
    match environments.find(&text)? {
        Some(path) => Err(ManagedError::Exists { path }.into()),
        None => Ok(directory),
    }
}

/// The files that a manifest includes from below its directory; what it includes from elsewhere it names by its path.
fn included_files(
    configuration: &Configuration,
    manifest: &Path,
    console: &Console,
) -> Result<Vec<PathBuf>, Diagnosis> {
    let scope = Scope::manifest("new", manifest.to_owned());
    let said = configuration.section_of(&scope, "include")?;
    let items = said.as_ref().and_then(Value::items).unwrap_or_default();
    let paths = items.iter().filter_map(|item| item.text().or_else(|| item.get("path")?.text()));
    let beside = manifest.parent().unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for path in paths.map(Path::new) {
        let is_below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_below || path.to_string_lossy().contains(['$', '~', ':']) {
            continue;
        }
        let origin = beside.join(path);
        if origin.is_file() {
            files.push(path.to_owned());
        } else if origin.is_dir() {
            for entry in std::fs::read_dir(&origin).into_iter().flatten().flatten() {
                let is_file = entry.path().is_file();
                files.extend(is_file.then(|| path.join(entry.file_name())));
            }
        } else {
            let text = format!("{} includes {}, which is not there", manifest.display(), path.display());
            console.event(Event::Warning(&text));
        }
    }
    if let Some(develop) = configuration.section_of(&scope, "develop")?.as_ref().and_then(Value::mapping) {
        let is_relative =
            |value: &Value| value.get("path").and_then(Value::text).is_some_and(|p| !p.starts_with('/'));
        for (key, _) in develop.iter().filter(|(_, value)| is_relative(value)) {
            let text =
                format!("the path that `{}` is developed at is relative, and is copied as it is", key.name);
            console.event(Event::Warning(&text));
        }
    }
    Ok(files)
}
