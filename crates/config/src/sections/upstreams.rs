//! `upstreams`: stores of others, of which packages are used.

use std::path::PathBuf;

use crate::{ConfigError, Configuration};

/// A store below ours, of which packages are used and nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// The root of its install tree.
    pub install_tree: PathBuf,
}

impl Upstream {
    /// Those that the scopes name, the first of them first.
    ///
    /// # Errors
    /// If they cannot be read or say something that means nothing, such as an upstream without an install tree.
    pub fn all(configuration: &Configuration) -> Result<Vec<Self>, ConfigError> {
        let Some(section) = configuration.section("upstreams")? else { return Ok(Vec::new()) };
        let entries = section.mapping().into_iter().flat_map(|mapping| mapping.iter());
        let upstreams = entries.map(|(key, value)| {
            let missing = || value.invalid(format!("the upstream `{}` has no install_tree", key.name));
            let tree = value.get("install_tree").ok_or_else(missing)?;
            Ok(Self { name: key.name.clone(), install_tree: configuration.path_of(tree)? })
        });
        upstreams.collect()
    }
}
