//! Changes to a manifest: what is wanted, and its view. All else stays as it is written, to the byte.
//!
//! What a `when` condition means is for the caller, who knows the machine: where definitions are changed, it says which hold.

use std::path::Path;

use saphyr::{Scalar, Yaml};

use super::Manifest;
use crate::ConfigError;
use crate::edit::{Content, Edit, Place, Step, create, edit_file};

/// The view that an environment is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewSetting {
    /// One at the usual place.
    Default,
    /// None.
    None,
    /// One at this path.
    Path(String),
}

/// The key of everything in a manifest.
const SPACK: Step<'static> = Step::Key("spack");

impl Manifest {
    /// Makes a manifest in `directory`, which is made too, with the text `template`.
    ///
    /// # Errors
    /// [`ConfigError::EnvironmentExists`], [`ConfigError::Write`]; [`ConfigError::Syntax`] if the template is no YAML.
    pub fn create(directory: &Path, template: &str) -> Result<Self, ConfigError> {
        let path = directory.join("spack.yaml");
        crate::document::parse(&path, template)?;
        create(directory)?;
        let exists = || ConfigError::EnvironmentExists { path: path.clone() };
        edit_file(&path, false, |_| {
            if path.symlink_metadata().is_ok() { Err(exists()) } else { Ok((template.to_owned(), ())) }
        })?;
        Self::read(directory)
    }

    /// What Spack writes into a new environment, with `specs`, and a view unless said otherwise.
    pub fn template(specs: &[&str], unify: bool, view: &ViewSetting) -> String {
        let view = match view {
            ViewSetting::Default => "true".to_owned(),
            ViewSetting::None => "false".to_owned(),
            ViewSetting::Path(path) => Content::text(path).one_line(),
        };
        let lines: Vec<String> =
            specs.iter().map(|spec| format!("\n  - {}", Content::text(*spec).one_line())).collect();
        let specs = if lines.is_empty() { " []".to_owned() } else { lines.concat() };
        format!(
            "# An environment: packages that belong together, and the configuration for them.\nspack:\n  \
             # what is to be installed\n  specs:{specs}\n  view: {view}\n  concretizer:\n    unify: {unify}\n"
        )
    }

    /// Appends a spec to `specs`, or to the first definition of `list` that has no `when`. Whether it is there already is for the
    /// caller.
    ///
    /// Several processes may do so at once and nothing is lost, as each locks the directory (`flock`) while it works.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchList`]; [`ConfigError::CannotEdit`] if the file is written in a way that more would change, and what
    /// reading and writing a file can bring. The file is then as it was.
    pub fn add_spec(&self, text: &str, list: Option<&str>) -> Result<(), ConfigError> {
        self.add_spec_where(text, list, |_| false)
    }

    /// The same, where `holds` says whether the condition of a `when` does.
    ///
    /// # Errors
    /// As [`add_spec`](Self::add_spec).
    pub fn add_spec_where(
        &self,
        text: &str,
        list: Option<&str>,
        holds: impl Fn(&str) -> bool,
    ) -> Result<(), ConfigError> {
        self.edit(|edit| {
            let Some(list) = list else {
                return edit.push(&[SPACK, Step::Key("specs")], &Content::text(text));
            };
            let first = definitions(edit, list, &holds).next();
            let number = first.ok_or_else(|| self.no_such_list(list))?;
            edit.push(&in_definition(number, list), &Content::text(text))
        })
    }

    /// Removes specs, as they are written, from `specs` or from the definitions of `list` that have no `when`.
    ///
    /// Of `specs`, every item that is one of `texts` goes; of definitions, for each of `texts` the first.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchSpec`] for the first of `texts` that is not there, [`ConfigError::NoSuchList`]; else as
    /// [`add_spec`](Self::add_spec).
    pub fn remove_spec(&self, texts: &[&str], list: Option<&str>) -> Result<(), ConfigError> {
        self.remove_spec_where(texts, list, |_| false)
    }

    /// The same, where `holds` says whether the condition of a `when` does.
    ///
    /// # Errors
    /// As [`remove_spec`](Self::remove_spec).
    pub fn remove_spec_where(
        &self,
        texts: &[&str],
        list: Option<&str>,
        holds: impl Fn(&str) -> bool,
    ) -> Result<(), ConfigError> {
        self.edit(|edit| {
            let missing = |spec: &str| ConfigError::NoSuchSpec {
                path: self.path().to_owned(),
                spec: spec.to_owned(),
                list: list.unwrap_or("specs").to_owned(),
            };
            for text in texts {
                let Some(list) = list else {
                    let specs = [SPACK, Step::Key("specs")];
                    let found = numbers(edit, &specs, text);
                    if found.is_empty() {
                        return Err(missing(text));
                    }
                    for number in found.into_iter().rev() {
                        edit.remove(&[SPACK, Step::Key("specs"), Step::Item(number)])?;
                    }
                    continue;
                };
                let mut lists = definitions(edit, list, &holds).peekable();
                if lists.peek().is_none() {
                    return Err(self.no_such_list(list));
                }
                let place = lists.find_map(|number| {
                    let first = *numbers(edit, &in_definition(number, list), text).first()?;
                    Some((number, first))
                });
                let (number, item) = place.ok_or_else(|| missing(text))?;
                let [a, b, c, d] = in_definition(number, list);
                edit.remove(&[a, b, c, d, Step::Item(item)])?;
            }
            Ok(())
        })
    }

    /// Removes everything from `specs`, matrices and references too. Comments stay.
    ///
    /// # Errors
    /// As [`add_spec`](Self::add_spec).
    pub fn clear_specs(&self) -> Result<(), ConfigError> {
        self.edit(|edit| {
            let Some(Yaml::Sequence(items)) = edit.get(&[SPACK, Step::Key("specs")]) else { return Ok(()) };
            for number in (0..items.len()).rev() {
                edit.remove(&[SPACK, Step::Key("specs"), Step::Item(number)])?;
            }
            Ok(())
        })
    }

    /// Says which view there is to be. Where views are described by name, the one called `default` is meant and the others
    /// stay; a description keeps all but its `root`.
    ///
    /// # Errors
    /// As [`add_spec`](Self::add_spec).
    pub fn set_view(&self, view: &ViewSetting) -> Result<(), ConfigError> {
        self.edit(|edit| set_view(edit, view))
    }

    /// Gives the file `text` again, which it had before a change that led nowhere.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn restore(&self, text: &str) -> Result<(), ConfigError> {
        edit_file(self.path(), false, |_| Ok((text.to_owned(), ())))
    }

    fn no_such_list(&self, list: &str) -> ConfigError {
        ConfigError::NoSuchList { path: self.path().to_owned(), list: list.to_owned() }
    }

    fn edit(&self, change: impl FnOnce(&mut Edit<'_>) -> Result<(), ConfigError>) -> Result<(), ConfigError> {
        let path = self.path();
        edit_file(path, false, |text| {
            let document = crate::document::parse(path, text)?;
            let root = document.as_ref().map(|document| crate::document::Node::new(path, document));
            if root.and_then(|root| root.get("spack")).is_none() {
                let message = "an environment's manifest has a mapping `spack`".to_owned();
                return Err(ConfigError::Invalid { path: path.to_owned(), line: 1, column: 1, message });
            }
            let mut edit = Edit::new(path, text);
            change(&mut edit)?;
            Ok((edit.finish(), ()))
        })
    }
}

fn set_view(edit: &mut Edit<'_>, view: &ViewSetting) -> Result<(), ConfigError> {
    let at = [SPACK, Step::Key("view")];
    let default = [SPACK, Step::Key("view"), Step::Key("default")];
    let present = edit.get(&at);
    let path = |path: &String| Content::text(path);
    match (&present, view) {
        // No word of it means the usual one.
        (None, ViewSetting::Default) => Ok(()),
        (None, ViewSetting::None) => edit.insert(&[SPACK], Place::Last, "view", &Content::Flag(false)),
        (None, ViewSetting::Path(root)) => edit.insert(&[SPACK], Place::Last, "view", &path(root)),
        (Some(Yaml::Mapping(views)), view) => {
            let described = edit.get(&default);
            match (described, view) {
                (None, ViewSetting::None) | (Some(_), ViewSetting::Default) => Ok(()),
                (Some(_), ViewSetting::None) if views.len() == 1 => edit.replace(&at, &Content::Flag(false)),
                (Some(_), ViewSetting::None) => edit.remove(&default),
                (Some(Yaml::Mapping(_)), ViewSetting::Path(root)) => {
                    let at = [default[0], default[1], default[2], Step::Key("root")];
                    if edit.get(&at).is_some() {
                        edit.replace(&at, &path(root))
                    } else {
                        edit.insert(&default, Place::First, "root", &path(root))
                    }
                }
                (Some(_), ViewSetting::Path(root)) => edit.replace(&default, &path(root)),
                (None, ViewSetting::Default) => add_default(edit, ".spack-env/view"),
                (None, ViewSetting::Path(root)) => add_default(edit, root),
            }
        }
        (Some(Yaml::Value(Scalar::Boolean(false))), ViewSetting::Default) => {
            edit.replace(&at, &Content::Flag(true))
        }
        (Some(_), ViewSetting::Default) => Ok(()),
        (Some(Yaml::Value(Scalar::Boolean(false))), ViewSetting::None) => Ok(()),
        (Some(_), ViewSetting::None) => edit.replace(&at, &Content::Flag(false)),
        (Some(Yaml::Value(Scalar::String(old))), ViewSetting::Path(root)) if old == root => Ok(()),
        (Some(_), ViewSetting::Path(root)) => edit.replace(&at, &path(root)),
    }
}

/// Describes a view called `default` beside others.
fn add_default(edit: &mut Edit<'_>, root: &str) -> Result<(), ConfigError> {
    let described = Content::Mapping(vec![("root".to_owned(), Content::text(root))]);
    edit.insert(&[SPACK, Step::Key("view")], Place::Last, "default", &described)
}

/// The numbers of the definitions of `list` that hold.
fn definitions(edit: &Edit<'_>, list: &str, holds: &dyn Fn(&str) -> bool) -> std::vec::IntoIter<usize> {
    let definitions = edit.get(&[SPACK, Step::Key("definitions")]);
    let Some(Yaml::Sequence(definitions)) = definitions else { return Vec::new().into_iter() };
    let is_meant = |definition: &Yaml<'_>| {
        let Yaml::Mapping(definition) = definition else { return false };
        let get = |name: &str| definition.iter().find(|(key, _)| text_of(key) == Some(name));
        let holds = match get("when").map(|(_, condition)| text_of(condition)) {
            None => true,
            Some(condition) => condition.is_some_and(holds),
        };
        holds && get(list).is_some()
    };
    let numbers: Vec<usize> =
        definitions.iter().enumerate().filter(|(_, it)| is_meant(it)).map(|(number, _)| number).collect();
    numbers.into_iter()
}

fn in_definition(number: usize, list: &str) -> [Step<'_>; 4] {
    [SPACK, Step::Key("definitions"), Step::Item(number), Step::Key(list)]
}

/// The numbers of the items that say `text`.
fn numbers(edit: &Edit<'_>, at: &[Step<'_>], text: &str) -> Vec<usize> {
    let Some(Yaml::Sequence(items)) = edit.get(at) else { return Vec::new() };
    let found = items.iter().enumerate().filter(|(_, item)| text_of(item) == Some(text));
    found.map(|(number, _)| number).collect()
}

fn text_of<'y>(value: &'y Yaml<'_>) -> Option<&'y str> {
    match value {
        Yaml::Value(Scalar::String(text)) => Some(text),
        _ => None,
    }
}
