//! [`ViewDescriptor`]: what `view` says, the directories of an environment that show several packages as one.
//!
//! `false` is none; `true`, nothing, or an empty mapping is one named `default` in `.spack-env/view`; a text is where that one
//! is; a mapping has a descriptor, or a text, for every name (`_process_view` in Spack's `environment.py`).

use std::path::{Component, Path, PathBuf};

use crate::value::{Data, Mapping, Value};
use crate::{ConfigError, Configuration};

/// The name of the view that an environment is activated with.
const DEFAULT: &str = "default";

/// `view`: a directory that shows several packages as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDescriptor {
    /// Its name; `default` for that of an environment that says `view: true` or a path.
    pub name: String,
    /// The directory as it is written.
    pub raw_root: String,
    /// The directory, absolute.
    pub root: PathBuf,
    /// Specs and the directories below the root that they go to, in order.
    pub projections: Vec<(String, String)>,
    /// Show these specs only, if there are any.
    pub select: Vec<String>,
    /// Leave out these specs.
    pub exclude: Vec<String>,
    /// Which packages.
    pub link: ViewLink,
    /// How.
    pub link_type: ViewLinkType,
}

/// Which packages a view shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewLink {
    /// The roots and what they need to link and to run.
    #[default]
    All,
    /// The roots.
    Roots,
    /// The roots and what they need to run.
    Run,
}

/// How a view shows a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewLinkType {
    /// A symbolic link.
    #[default]
    Symlink,
    /// A hard link.
    Hardlink,
    /// A copy, relocated to the view.
    Copy,
}

impl ViewLink {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Roots => "roots",
            Self::Run => "run",
        }
    }
}

impl ViewLinkType {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Symlink => "symlink",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
        }
    }
}

impl ViewDescriptor {
    /// The views of the environment that is active in `configuration`, in order; none where no environment is.
    ///
    /// # Errors
    /// If it says something that means nothing.
    pub fn all(configuration: &Configuration) -> Result<Vec<Self>, ConfigError> {
        let Some(environment) = configuration.environment() else { return Ok(Vec::new()) };
        let usual = || Self::usual(environment);
        let Some(view) = configuration.section("view")? else { return Ok(vec![usual()]) };
        match &view.data {
            Data::Boolean(false) => Ok(Vec::new()),
            Data::Boolean(true) | Data::Null => Ok(vec![usual()]),
            Data::Text(root) => Ok(vec![Self::at(DEFAULT, root, &view, configuration, environment)]),
            Data::Mapping(views) if views.is_empty() => Ok(vec![usual()]),
            Data::Mapping(views) => views
                .iter()
                .map(|(key, value)| Self::read(&key.name, value, configuration, environment))
                .collect(),
            _ => Err(view.invalid("`view` is true, false, a directory, or a mapping of names to views")),
        }
    }

    /// The view of an environment that says nothing else.
    pub fn usual(environment: &Path) -> Self {
        let root = environment.join(".spack-env/view");
        Self::plain(DEFAULT, root.to_string_lossy().into_owned(), root)
    }

    fn plain(name: &str, raw_root: String, root: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            raw_root,
            root,
            projections: Vec::new(),
            select: Vec::new(),
            exclude: Vec::new(),
            link: ViewLink::default(),
            link_type: ViewLinkType::default(),
        }
    }

    /// A view with nothing but a directory, which is written as `root` at `value`.
    fn at(name: &str, root: &str, value: &Value, configuration: &Configuration, environment: &Path) -> Self {
        let beside = value.origin.directory().unwrap_or(environment);
        let absolute = normalized(&configuration.path(root, Some(beside)));
        Self::plain(name, root.to_owned(), absolute)
    }

    fn read(
        name: &str,
        value: &Value,
        configuration: &Configuration,
        environment: &Path,
    ) -> Result<Self, ConfigError> {
        if let Some(root) = value.text() {
            return Ok(Self::at(name, root, value, configuration, environment));
        }
        let said = value.mapping().ok_or_else(|| {
            value.invalid(format!("the view `{name}` is neither a mapping nor a directory"))
        })?;
        let root = said.get("root").ok_or_else(|| {
            value.invalid(format!("the view `{name}` has no `root`, which says where it is"))
        })?;
        let text = root.text().ok_or_else(|| root.invalid("`root` is the path of a directory"))?;
        let mut view = Self::at(name, text, root, configuration, environment);
        for (key, value) in said.iter() {
            match key.name.as_str() {
                "root" => {}
                "projections" => view.projections = projections(value)?,
                "select" => view.select = specs("select", value)?,
                "exclude" => view.exclude = specs("exclude", value)?,
                "link" => view.link = link(value)?,
                "link_type" => view.link_type = link_type(value)?,
                other => {
                    return Err(
                        value.invalid(format!("the view `{name}` has `{other}`, which means nothing"))
                    );
                }
            }
        }
        Ok(view)
    }
}

fn projections(value: &Value) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = |value: &Value| value.invalid("`projections` is a mapping of specs to directories");
    let entries = value.mapping().map(Mapping::iter).ok_or_else(|| wrong(value))?;
    let pair = |(key, value): (&crate::value::Key, &Value)| {
        let directory = value.text().ok_or_else(|| wrong(value))?;
        Ok((key.name.clone(), directory.to_owned()))
    };
    entries.map(pair).collect()
}

fn specs(key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
    let wrong = |value: &Value| value.invalid(format!("`{key}` is a list of specs"));
    let items = value.items().ok_or_else(|| wrong(value))?;
    items.iter().map(|item| item.text().map(str::to_owned).ok_or_else(|| wrong(item))).collect()
}

fn link(value: &Value) -> Result<ViewLink, ConfigError> {
    match value.text() {
        Some("all") => Ok(ViewLink::All),
        Some("roots") => Ok(ViewLink::Roots),
        Some("run") => Ok(ViewLink::Run),
        _ => Err(value.invalid("`link` is `all`, `roots` or `run`")),
    }
}

fn link_type(value: &Value) -> Result<ViewLinkType, ConfigError> {
    match value.text() {
        Some("symlink") => Ok(ViewLinkType::Symlink),
        Some("hardlink") => Ok(ViewLinkType::Hardlink),
        Some("copy") => Ok(ViewLinkType::Copy),
        _ => Err(value.invalid("`link_type` is `symlink`, `hardlink` or `copy`")),
    }
}

/// Without `.`, `..` and slashes too many, as far as the text alone tells.
fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
