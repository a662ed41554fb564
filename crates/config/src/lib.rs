//! Spack's configuration: scopes and what they say together, mirrors, environments' manifests, and edits that change no more
//! than they should.
//!
//! This crate reads no environment: the caller gives [`Surroundings`]. What Spack writes is read here and the other way round.

mod access_pair;
mod condition;
mod configuration;
mod document;
pub mod dump;
mod edit;
mod error;
mod include;
mod inline;
mod manifest;
mod merge;
mod mirrors;
mod modules;
mod old_formats;
mod plain;
mod reader;
mod save;
mod schema;
mod scopes;
mod sections;
mod surroundings;
pub mod value;
mod variables;
mod view;

pub use access_pair::{AccessPair, IdSource, PlainText};
pub use condition::Conditions;
pub use configuration::{Configuration, Scope, ScopeKind};
pub use error::{ConfigError, Direction};
pub use manifest::{Manifest, SpecText, UserSpec, UserSpecs, ViewSetting};
pub use mirrors::{AccessChange, EditedScope, Mirror, MirrorChange, Mirrors, NewMirror};
pub use modules::PrefixInspections;
pub use schema::SECTIONS;
pub use sections::{
    Concretizer, External, InstallTree, Locks, Permissions, Reuse, ReuseSource, Unify, Upstream,
};
pub use surroundings::{Asked, Machine, MachineFacts, Surroundings};
pub use value::Value;
pub use view::{ViewDescriptor, ViewLink, ViewLinkType};
