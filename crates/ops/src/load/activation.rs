//! The variables of an environment that is active: what its configuration says (`env_vars`), the directories of its view, and
//! what its roots ask for, as if they were installed in the view (Spack's `environment/shell.py` and `add_view_to_env`).

use super::packages::Sources;
use crate::environment::view::{Packages, ViewSource};
use crate::error::Error;
use crate::run_environment::{self, Edit, Modification, Variables, apply, normal, relocated};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use strata_config::{Value, ViewDescriptor};
use strata_spec::dag::topological;
use strata_spec::{DagHash, DependencyTypes, Node};

/// The variable that has the directory of the active environment.
const ACTIVE: &str = "SPACK_ENV";
/// The variable that has the name of the view whose directories are in the others.
const ACTIVE_VIEW: &str = "SPACK_ENV_VIEW";

/// An environment that is activated, or was.
#[derive(Clone, Debug, Default)]
pub struct Activation {
    /// What is done, in order.
    modifications: Vec<Modification>,
    /// What is not known of its packages.
    pub warnings: Vec<String>,
}

impl Activation {
    /// What an environment asks for. `said`: its `env_vars`. `roots`: those of its roots that are installed.
    ///
    /// # Errors
    /// If the view says something that means nothing, or the database lacks what a root needs.
    pub fn of(
        sources: &Sources<'_>,
        said: Option<&Value>,
        view: Option<&ViewDescriptor>,
        roots: &[DagHash],
    ) -> Result<Self, Error> {
        let mut modifications = said.map(said_by_configuration).unwrap_or_default();
        let Some(view) = view else { return Ok(Self { modifications, warnings: Vec::new() }) };
        let root = view.root.to_string_lossy();
        for (directory, variables) in &sources.inspections.0 {
            let path = normal(&Path::new(&*root).join(directory).to_string_lossy());
            modifications
                .extend(variables.iter().map(|name| Modification::new(name, Edit::Prepend(path.clone()))));
        }
        let mut warnings = Vec::new();
        if !roots.is_empty() {
            let loading = sources.loading(&[roots])?.swap_remove(0);
            warnings = run_environment::warnings(loading.told.as_slice());
            modifications.extend(shown(sources, view, roots, loading.modifications)?);
        }
        let mut lists: BTreeSet<(String, String)> = BTreeSet::new();
        for Modification { variable, edit, separator } in &modifications {
            if matches!(edit, Edit::Prepend(_) | Edit::Append(_)) {
                lists.insert((variable.clone(), separator.clone()));
            }
        }
        for (variable, separator) in lists {
            modifications.push(Modification { variable, edit: Edit::Prune, separator });
        }
        Ok(Self { modifications, warnings })
    }

    /// The variables with the environment active, whose directory and view these are.
    pub fn enter(&self, directory: &Path, view: Option<&ViewDescriptor>, variables: &mut Variables) {
        variables.insert(ACTIVE.to_owned(), directory.to_string_lossy().into_owned());
        if let Some(view) = view {
            variables.insert(ACTIVE_VIEW.to_owned(), view.name.clone());
        }
        apply(&self.modifications, variables);
    }

    /// The variables without the environment. One that was changed since takes out what it would put in now.
    pub fn leave(&self, variables: &mut Variables) {
        let back: Vec<Modification> =
            self.modifications.iter().rev().filter_map(Modification::reversed).collect();
        for modification in back {
            modification.apply(variables);
        }
        variables.remove(ACTIVE);
        variables.remove(ACTIVE_VIEW);
    }
}

/// A new directory for an environment that nobody has a name for. It stays.
///
/// # Errors
/// What the system says.
pub fn temporary_directory() -> std::io::Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix("strata-").tempdir()?.keep())
}

/// The name of the view whose directories are in the variables.
pub fn active_view(variables: &Variables) -> Option<&str> {
    variables.get(ACTIVE_VIEW).map(String::as_str).filter(|name| !name.is_empty())
}

/// `env_vars` of the configuration (Spack's `schema/environment.py`). Numbers are taken for their text.
fn said_by_configuration(said: &Value) -> Vec<Modification> {
    let mut all = Vec::new();
    for (command, arguments) in said.mapping().into_iter().flat_map(|all| all.iter()) {
        let edit: fn(String) -> Edit = match command.name.as_str() {
            "set" => Edit::Set,
            "prepend_path" => Edit::Prepend,
            "append_path" => Edit::Append,
            "remove_path" => Edit::RemoveAll,
            "unset" => {
                let names = arguments.items().into_iter().flatten().filter_map(Value::text);
                all.extend(names.map(|name| Modification::new(name, Edit::Unset)));
                continue;
            }
            _ => continue,
        };
        for (name, value) in arguments.mapping().into_iter().flat_map(|all| all.iter()) {
            all.extend(scalar(value).map(|text| Modification::new(&name.name, edit(text))));
        }
    }
    all
}

fn scalar(value: &Value) -> Option<String> {
    match &value.data {
        strata_config::value::Data::Text(text) => Some(text.clone()),
        strata_config::value::Data::Integer(number) => Some(number.to_string()),
        strata_config::value::Data::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The changes with the prefixes of packages replaced by where the view shows them.
fn shown(
    sources: &Sources<'_>,
    view: &ViewDescriptor,
    roots: &[DagHash],
    modifications: Vec<Modification>,
) -> Result<Vec<Modification>, Error> {
    let database = sources.database;
    let databases = [database];
    let installed = ViewSource { nodes: database, databases: &databases, store_root: sources.root.root() };
    let packages = Packages::new(roots, installed, view)?;
    let nodes: Vec<&Node> = roots.iter().filter_map(|hash| Some(&database.records.get(hash)?.node)).collect();
    let mut moved: Vec<(String, String)> = Vec::new();
    for node in topological(database, &nodes, DependencyTypes::RUNTIME)? {
        if let Some(prefix) = packages.prefix(node).filter(|_| !node.is_external()) {
            let to = normal(&view.root.join(packages.projection(node)?).to_string_lossy());
            moved.push((prefix.to_string_lossy().into_owned(), to));
        }
    }
    let moved: HashMap<&str, String> = moved.iter().map(|(from, to)| (from.as_str(), to.clone())).collect();
    let mut modifications = modifications;
    for modification in &mut modifications {
        if let Edit::Set(value)
        | Edit::Withdraw(value)
        | Edit::Prepend(value)
        | Edit::Append(value)
        | Edit::RemoveFirst(value)
        | Edit::RemoveLast(value)
        | Edit::RemoveAll(value)
        | Edit::AppendFlags(value)
        | Edit::RemoveFlags(value) = &mut modification.edit
        {
            *value = relocated(value, &moved);
        }
    }
    // The python of a view finds its own packages; others are not to find them.
    let lib = normal(&view.root.join("lib").to_string_lossy());
    let is_own = |path: &str| {
        let below = path.strip_prefix(&lib).and_then(|rest| rest.strip_prefix("/python"));
        below
            .and_then(|rest| rest.strip_suffix("/site-packages"))
            .is_some_and(|v| !v.is_empty() && !v.contains('/'))
    };
    let own: Vec<Modification> = modifications
        .iter()
        .filter(|change| change.variable == "PYTHONPATH")
        .filter_map(|change| match &change.edit {
            Edit::Prepend(path) if is_own(path) => {
                Some(Modification { edit: Edit::RemoveAll(path.clone()), ..change.clone() })
            }
            _ => None,
        })
        .collect();
    modifications.extend(own);
    Ok(modifications)
}
