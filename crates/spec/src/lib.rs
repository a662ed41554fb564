//! Spack specs as pure data: DAG hashes, nodes, traversals, formatting, database records, the spec language, matching.
//!
//! Nothing here does any I/O. JSON that came from Spack is kept as it was written: a [`Node`] remembers its own
//! text, so that what is passed on is what was read, unknown keys included.

pub mod abstract_spec;
pub mod catalog;
pub mod dag;
pub mod dag_hash;
pub mod database;
pub mod format;
pub mod host;
pub mod lockfile;
pub mod matching;
pub mod minify;
pub mod node;
pub mod parse;
pub mod spec_json;
pub mod target;
pub mod upgrade;
pub mod version;

pub use abstract_spec::AbstractSpec;
pub use catalog::Catalog;
pub use dag::{DependencyTypes, NodeSource, closure};
pub use dag_hash::DagHash;
pub use database::{Database, Record};
pub use lockfile::Lockfile;
pub use node::{Node, label};
pub use parse::SpecSyntaxError;
pub use spec_json::ConcreteSpec;
pub use version::Version;
