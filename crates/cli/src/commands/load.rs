//! `strata load` and `strata unload`.

use super::shell_code::{self, ShellCode};
use super::{installed, specs};
use crate::args::Global;
use crate::args::load::{Load, Unload};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use strata_config::{Configuration, PrefixInspections};
use strata_ops::environment::Locked;
use strata_ops::load::{self, Changed, Sources, Variables};
use strata_ops::run_environment::Inspections;
use strata_ops::{Event, Reporter};
use strata_spec::{DagHash, Database};
use strata_store::{Installed, StoreRoot};

/// The store, and those below it, with all that is asked about them.
pub(crate) struct Packages {
    root: StoreRoot,
    installed: Installed,
    /// The stores of packages that are in upstreams.
    upstreams: HashMap<DagHash, StoreRoot>,
    inspections: Inspections,
    spack: Option<PathBuf>,
}

impl Packages {
    /// Of the store that the command is about, which must exist.
    fn open(settings: &Settings, console: &Console) -> Result<Self, Diagnosis> {
        let (root, installed) = installed(settings, console)?;
        Self::of(settings, settings.configuration()?, root, installed)
    }

    /// Of the store that a configuration names, which need not exist.
    pub(crate) fn open_in(
        settings: &Settings,
        configuration: &Configuration,
        console: &Console,
    ) -> Result<Self, Diagnosis> {
        let place = settings.place_in(configuration)?;
        let root = match place.existing_root() {
            Ok(root) => root,
            Err(_) => place.root()?,
        };
        let installed = place.installed(&root, console)?;
        Self::of(settings, configuration, root, installed)
    }

    fn of(
        settings: &Settings,
        configuration: &Configuration,
        root: StoreRoot,
        installed: Installed,
    ) -> Result<Self, Diagnosis> {
        let inspections = Inspections::from(&PrefixInspections::of(configuration)?);
        let upstreams = installed.roots();
        Ok(Self { root, installed, upstreams, inspections, spack: settings.spack() })
    }

    pub(crate) fn database(&self) -> &Database {
        self.installed.database()
    }

    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources {
            root: &self.root,
            database: self.installed.database(),
            upstreams: &self.upstreams,
            inspections: &self.inspections,
            spack: self.spack.as_deref(),
        }
    }
}

/// Prints what loads packages.
pub(crate) fn load(
    args: &Load,
    global: &Global,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let packages = Packages::open(settings, console)?;
    let before = settings.shell_variables();
    if args.list {
        return list(&packages, &before.known, console);
    }
    let among = in_environment(settings, packages.database())?;
    let specs = specs(&args.specs)?;
    let changed = load::load(&packages.sources(), &specs, among.as_deref(), args.first, &before.known)?;
    finish("load", "loaded", changed, &args.specs, &ShellCode::new(&args.shell, before, global.json), console)
}

/// Prints what unloads packages.
pub(crate) fn unload(
    args: &Unload,
    global: &Global,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let packages = Packages::open(settings, console)?;
    let before = settings.shell_variables();
    let changed = load::unload(&packages.sources(), &specs(&args.specs)?, &before.known)?;
    finish(
        "unload",
        "unloaded",
        changed,
        &args.specs,
        &ShellCode::new(&args.shell, before, global.json),
        console,
    )
}

fn finish(
    command: &str,
    done: &str,
    changed: Changed,
    specs: &[String],
    code: &ShellCode,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    for text in &changed.warnings {
        console.event(Event::Warning(text));
    }
    let (text, variables) = code.changes(&changed.variables, console)?;
    code.explain(&format!("{command} {}", shell_code::words(specs)), console);
    Ok(Outcome::new(text, &json!({done: changed.packages, "variables": variables}))?)
}

/// Lists what is loaded, the last one first.
fn list(with: &Packages, variables: &Variables, console: &Console) -> Result<Outcome, Diagnosis> {
    let loaded = load::loaded(&with.sources(), variables);
    let mut text = String::new();
    for package in &loaded {
        writeln!(text, "{}@{}", package.name, package.version).ok();
    }
    console.event(Event::Phase(&format!("{} loaded", packages(loaded.len()))));
    Ok(Outcome::new(text, &json!({"loaded": loaded}))?)
}

/// The packages of the environment that the command is about, if it is about one whose specs are concrete.
fn in_environment(settings: &Settings, database: &Database) -> Result<Option<Vec<DagHash>>, Diagnosis> {
    let Some(directory) = settings.environment()? else { return Ok(None) };
    match Locked::read(&directory) {
        Ok(locked) => Ok(Some(locked.closure(database))),
        Err(strata_ops::Error::NoLockfile { .. } | strata_ops::Error::EmptyEnvironment { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
