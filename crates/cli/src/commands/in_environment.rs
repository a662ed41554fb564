//! What `install`, `find`, `location` and `uninstall` share where they are about an environment.

use crate::diagnosis::Diagnosis;
use crate::output::packages;
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;
use strata_config::ViewDescriptor;
use strata_ops::environment::view::{self, ViewSource};
use strata_ops::environment::{self, Environment};
use strata_ops::{Event, Reporter};
use strata_spec::lockfile::{Lockfile, Root};
use strata_spec::{DagHash, Database, NodeSource, Record};

/// The environment that a command is about.
#[derive(Debug)]
pub(super) struct Current {
    /// What it is called.
    pub(super) name: String,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// What it consists of; none if it is not concrete.
    pub(super) lockfile: Option<Lockfile>,
}

impl Current {
    /// The one that is named, or active, if there is one.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, Diagnosis> {
        let Some(directory) = settings.environment()? else { return Ok(None) };
        let name = settings.environments()?.name_of(&directory);
        let lockfile = environment::read_lockfile(&directory)?;
        Ok(Some(Self { name, directory, lockfile }))
    }

    /// Whether it says what is wanted, and not only what that became.
    pub(super) fn has_manifest(&self) -> bool {
        self.directory.join("spack.yaml").is_file()
    }

    /// Whether nothing is wanted, as far as can be told.
    pub(super) fn wants_nothing(&self) -> bool {
        self.has_manifest() && self.roots().is_empty()
    }

    /// The environment with its manifest.
    pub(super) fn read(&self) -> Result<Environment, Diagnosis> {
        Ok(Environment::read(&self.name, &self.directory)?)
    }

    /// Whether the lockfile has what is wanted.
    pub(super) fn is_up_to_date(&self, settings: &Settings) -> Result<bool, Diagnosis> {
        Ok(self.read()?.is_up_to_date(settings.configuration()?)?)
    }

    /// The hashes of all that it consists of.
    pub(super) fn hashes(&self) -> Result<HashSet<DagHash>, Diagnosis> {
        let Some(lockfile) = &self.lockfile else { return Ok(HashSet::new()) };
        Ok(environment::members(lockfile)?.into_iter().map(|node| node.hash.clone()).collect())
    }

    /// Its roots; each package once.
    pub(super) fn roots(&self) -> Vec<&Root> {
        self.lockfile.as_ref().map(environment::roots).unwrap_or_default()
    }

    /// Adds to the database what is only in the lockfile, as not installed.
    pub(super) fn add_members(&self, database: &mut Database) -> Result<(), Diagnosis> {
        let Some(lockfile) = &self.lockfile else { return Ok(()) };
        for root in self.roots() {
            if lockfile.node(&root.hash).is_some() && !database.records.contains_key(&root.hash) {
                database
                    .add_with_dependencies(lockfile, &root.hash, &|node| Record::new(node.clone()))
                    .map_err(strata_ops::Error::from)?;
            }
        }
        Ok(())
    }
}

/// Makes the views of the environment that are not what they should be; as programs are told of them.
pub(super) fn regenerate_views(
    current: &Current,
    settings: &Settings,
    console: &Console,
) -> Result<Value, Diagnosis> {
    let views = ViewDescriptor::all(settings.configuration()?)?;
    let Some(lockfile) = current.lockfile.as_ref().filter(|_| !views.is_empty()) else {
        return Ok(Value::Array(Vec::new()));
    };
    let place = settings.place()?;
    let root = place.root()?;
    let installed = place.installed(&root, console)?;
    let roots: Vec<DagHash> = current.roots().into_iter().map(|root| root.hash.clone()).collect();
    let source = ViewSource { nodes: lockfile, databases: &[installed.database()], store_root: root.root() };
    let summaries = view::regenerate(&roots, source, &views, console)?;
    for view in summaries.iter().filter(|view| view.changed) {
        let text = format!("The view {} shows {}", view.root.display(), packages(view.packages.len()));
        console.event(Event::Phase(&text));
    }
    Ok(serde_json::to_value(summaries)?)
}
