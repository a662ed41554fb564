//! [`Manifest`]: the `spack.yaml` of an environment, as far as it says what is wanted.
//!
//! Its other sections are configuration, and are read as a scope of [`Configuration`]. Specs are text here: what they mean is for the caller.

mod edit;
mod user_specs;

pub use edit::ViewSetting;
pub use user_specs::{SpecText, UserSpec, UserSpecs};

use std::path::{Path, PathBuf};

use crate::value::{Data, Mapping};
use crate::{Conditions, ConfigError, Configuration, Value, reader, save};

/// The manifest of an environment.
#[derive(Clone, Debug)]
pub struct Manifest {
    path: PathBuf,
    /// What is below `spack`.
    content: Value,
}

impl Manifest {
    /// The name of the file.
    pub const FILE_NAME: &'static str = "spack.yaml";

    /// Reads the manifest of the environment in `directory`.
    ///
    /// # Errors
    /// [`ConfigError::NoManifest`] if there is none, and if it cannot be read, with the line and column.
    pub fn read(directory: &Path) -> Result<Self, ConfigError> {
        let path = directory.join(Self::FILE_NAME);
        match save::read(&path)? {
            Some(text) => Self::parse(&path, &text),
            None => Err(ConfigError::NoManifest { directory: directory.to_owned() }),
        }
    }

    /// Reads `text`, which is, or is to be, that of the manifest `path`.
    ///
    /// # Errors
    /// If it is none, with the line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |message: &str| ConfigError::Invalid {
            path: path.to_owned(),
            line: 1,
            column: 1,
            message: message.to_owned(),
        };
        let scope = format!("env:{}", path.parent().unwrap_or(path).display());
        let document = reader::file(path, &scope, text)?;
        let document = document.ok_or_else(|| invalid("an environment begins with `spack:`"))?;
        let Some(mapping) = document.mapping() else {
            return Err(document.invalid("an environment begins with `spack:`"));
        };
        if let Some((key, _)) = mapping.iter().find(|(key, _)| key.name != "spack") {
            let message = match key.name.as_str() {
                "env" => "`env:` is what Spack before 0.19 called `spack:`, and no Spack of today reads it"
                    .to_owned(),
                name => format!("`{name}` is not below `spack:`"),
            };
            return Err(key.origin.invalid(message));
        }
        let content = mapping.get("spack").cloned();
        let mut content = content.ok_or_else(|| document.invalid("an environment begins with `spack:`"))?;
        match content.data {
            Data::Null => content.data = Data::Mapping(Mapping::default()),
            Data::Mapping(_) => {}
            _ => return Err(content.invalid("what an environment is must be a mapping")),
        }
        Ok(Self { path: path.to_owned(), content })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory: that of the environment.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// What is wanted, as far as `when` conditions hold on this machine. The `definitions` are those of all scopes of
    /// `configuration`, among which should be the one of this environment.
    ///
    /// # Errors
    /// If it says something that means nothing.
    pub fn user_specs(&self, configuration: &Configuration) -> Result<UserSpecs, ConfigError> {
        let definitions = configuration.section("definitions")?;
        let specs = self.content.get("specs");
        let conditions = Conditions::new(configuration.surroundings());
        user_specs::expand(specs, definitions.as_ref(), &|text| conditions.hold_text(text))
    }

    /// The environments whose concrete specs are to be part of this one (`include_concrete`): their directories.
    ///
    /// # Errors
    /// If it is no list of paths.
    pub fn included_environments(&self, configuration: &Configuration) -> Result<Vec<PathBuf>, ConfigError> {
        let Some(list) = self.content.get("include_concrete").filter(|list| !list.is_null()) else {
            return Ok(Vec::new());
        };
        let items = list.items().ok_or_else(|| list.invalid("`include_concrete` must be a list"))?;
        let path = |item: &Value| {
            let text = item.text().ok_or_else(|| item.invalid("this must be the path of an environment"))?;
            Ok(configuration.path(text, Some(self.directory())))
        };
        items.iter().map(path).collect()
    }
}
