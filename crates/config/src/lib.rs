//! Spack configuration files: mirrors, read and edited in place.
//!
//! For now the user scope only: a directory whose `mirrors.yaml` names mirrors. The caller says which
//! directory; this crate reads no environment. What Spack writes is read here and the other way round.

mod access_pair;
mod document;
mod error;
mod mirrors;
mod save;
mod scope;

pub use access_pair::{AccessPair, IdSource, PlainText};
pub use error::{ConfigError, Direction};
pub use mirrors::{Mirror, Mirrors, NewMirror};
pub use scope::UserScope;
