//! Spack configuration files: mirrors, read and edited in place, and prefix inspections.
//!
//! For now the user scope only: a directory whose `mirrors.yaml` names mirrors, and whose `modules.yaml` says which directories
//! of a prefix are put into which variables. The caller says which
//! directory; this crate reads no environment. What Spack writes is read here and the other way round.

mod access_pair;
mod document;
mod error;
mod mirrors;
mod modules;
mod save;
mod scope;

pub use access_pair::{AccessPair, IdSource, PlainText};
pub use error::{ConfigError, Direction};
pub use mirrors::{Mirror, Mirrors, NewMirror};
pub use modules::PrefixInspections;
pub use scope::UserScope;
