//! `strata env activate` and `strata env deactivate`.

use crate::args::Global;
use crate::args::env::{Activate, Shell};
use crate::commands::load::Packages;
use crate::commands::shell_code::{ShellCode, words};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::path::{Path, PathBuf};
use strata_config::{Configuration, ViewDescriptor};
use strata_ops::environment::Locked;
use strata_ops::environment::managed::{
    self, ManagedError, NewEnvironment, Origin, ViewChoice, is_environment, of_directory,
};
use strata_ops::load::{Activation, Variables, active_view, temporary_directory};
use strata_ops::{Event, Reporter};

/// The view that is meant where none is named.
const DEFAULT_VIEW: &str = "default";
/// The environment that is meant where none is named.
const DEFAULT_ENVIRONMENT: &str = "default";

/// Prints what makes an environment the active one.
pub(crate) fn activate(
    args: &Activate,
    global: &Global,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    names_none_otherwise(global)?;
    let Chosen { directory, label } = chosen(args, settings)?;
    let before = settings.shell_variables();
    let mut after = before.known.clone();
    let code = ShellCode::new(&args.shell, before, global.json);
    let mut text = String::new();
    if settings.active_environment().is_some() {
        leave(settings, console, &mut after)?;
        text += &code.shell.left();
    }

    let configuration = settings.configuration_of(&directory)?;
    let view = match (&args.with_view, args.without_view) {
        (_, true) => None,
        (Some(name), false) => Some(view(&configuration, name)?.ok_or_else(|| {
            let text = format!("the environment {label} has no view `{name}`");
            Diagnosis::misuse(text, "see the section `view` of its spack.yaml")
        })?),
        (None, false) => view(&configuration, DEFAULT_VIEW)?,
    };
    let activation = activation(settings, &configuration, &directory, view.as_ref(), console)?;
    activation.enter(&directory, view.as_ref(), &mut after);

    let (changes, variables) = code.changes(&after, console)?;
    let prompt = args.prompt.then(|| format!("[{label}]"));
    text += &changes;
    text += &code.shell.entered(prompt.as_deref());
    let named: Vec<String> = args.named.iter().map(|path| path.display().to_string()).collect();
    code.explain(&format!("env activate {}", words(&named)), console);
    let view = view.map(|view| view.name);
    let result = json!({"environment": directory, "view": view, "variables": variables});
    Ok(Outcome::new(text, &result)?)
}

/// Prints what leaves the active environment.
pub(crate) fn deactivate(
    shell: &Shell,
    global: &Global,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    names_none_otherwise(global)?;
    let Some(active) = settings.active_environment() else {
        return Err(Diagnosis::misuse("no environment is active", ""));
    };
    let before = settings.shell_variables();
    let mut after = before.known.clone();
    leave(settings, console, &mut after)?;
    let code = ShellCode::new(shell, before, global.json);
    let (changes, variables) = code.changes(&after, console)?;
    code.explain("env deactivate", console);
    let text = changes + &code.shell.left();
    Ok(Outcome::new(text, &json!({"environment": active, "variables": variables}))?)
}

fn names_none_otherwise(global: &Global) -> Result<(), Diagnosis> {
    if global.environment.is_none() && global.env_dir.is_none() && !global.no_env {
        return Ok(());
    }
    let text = "-e, -D and -E say which environment other commands are about, and mean nothing here";
    Err(Diagnosis::misuse(text, "name the environment alone: strata env activate ENV"))
}

/// An environment, and what it is called in a prompt.
struct Chosen {
    directory: PathBuf,
    label: String,
}

fn chosen(args: &Activate, settings: &Settings) -> Result<Chosen, Diagnosis> {
    let environments = settings.environments()?;
    let view = if args.without_view { ViewChoice::Without } else { ViewChoice::Unsaid };
    let create = |directory: &Path| {
        managed::create(&NewEnvironment {
            directory: directory.to_owned(),
            origin: Origin::Nothing,
            view: view.clone(),
            unify: true,
            include_concrete: Vec::new(),
        })
    };
    let last = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if args.temp {
        let made = temporary_directory();
        let directory =
            made.map_err(|error| Diagnosis::system("cannot make a temporary directory", &error))?;
        create(&directory)?;
        return Ok(Chosen { label: last(&directory), directory });
    }
    let default = PathBuf::from(DEFAULT_ENVIRONMENT);
    let named = args.named.as_ref().unwrap_or(&default);
    let by_name = match named.to_str().filter(|_| !args.dir) {
        Some(name) => environments.find(name)?,
        None => None,
    };
    let directory = match by_name {
        Some(directory) => {
            return Ok(Chosen { directory: of_directory(&directory)?, label: named.display().to_string() });
        }
        None => settings.absolute(named),
    };
    let is_new = !is_environment(&directory)?;
    if !is_new && args.named.is_some() {
        return Ok(Chosen { label: last(&directory), directory });
    }
    if !args.create && args.named.is_some() {
        return Err(match environments.named_or_at(named) {
            Err(error) => error.into(),
            Ok(_) => ManagedError::NotOne { directory }.into(),
        });
    }
    let is_path = args.dir || named.as_os_str().as_encoded_bytes().contains(&b'/');
    let directory = match is_path {
        true => directory,
        false => environments.directory(&named.to_string_lossy())?,
    };
    create(&directory)?;
    Ok(Chosen { directory, label: named.display().to_string() })
}

/// Takes the active environment out of the variables. One that is gone, or cannot be read any more, leaves what it put in.
fn leave(settings: &Settings, console: &Console, variables: &mut Variables) -> Result<(), Diagnosis> {
    let Some(directory) = settings.active_environment() else { return Ok(()) };
    let activation = (|| {
        of_directory(directory)?;
        let configuration = settings.configuration_of(directory)?;
        let view = match active_view(variables) {
            Some(name) => view(&configuration, name)?,
            None => None,
        };
        self::activation(settings, &configuration, directory, view.as_ref(), console)
    })();
    let activation = activation.unwrap_or_else(|diagnosis: Diagnosis| {
        let text = format!("what the environment put into the shell stays in it: {}", diagnosis.message());
        console.event(Event::Warning(&text));
        Activation::default()
    });
    activation.leave(variables);
    Ok(())
}

fn view(configuration: &Configuration, name: &str) -> Result<Option<ViewDescriptor>, Diagnosis> {
    Ok(ViewDescriptor::all(configuration)?.into_iter().find(|view| view.name == name))
}

/// What an environment asks for. Without a store, nothing of it is installed.
fn activation(
    settings: &Settings,
    configuration: &Configuration,
    directory: &Path,
    view: Option<&ViewDescriptor>,
    console: &Console,
) -> Result<Activation, Diagnosis> {
    let packages = Packages::open_in(settings, configuration, console)?;
    let roots = match Locked::read(directory) {
        Ok(locked) => locked.installed_roots(packages.database()),
        Err(strata_ops::Error::NoLockfile { .. } | strata_ops::Error::EmptyEnvironment { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let said = configuration.section("env_vars")?;
    let activation = Activation::of(&packages.sources(), said.as_ref(), view, &roots)?;
    for text in &activation.warnings {
        console.event(Event::Warning(text));
    }
    Ok(activation)
}
