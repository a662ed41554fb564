//! Sections that strata acts on, as types: where packages are installed and how, what is used from elsewhere, and how specs are
//! concretized.

mod concretizer;
mod externals;
mod install_tree;
mod locks;
mod permissions;
mod upstreams;

pub use concretizer::{Concretizer, Reuse, ReuseSource, Unify};
pub use externals::External;
pub use install_tree::InstallTree;
pub use locks::Locks;
pub use permissions::Permissions;
pub use upstreams::Upstream;

use crate::Value;

/// The texts of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::items).unwrap_or_default();
    items.iter().filter_map(Value::text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
