//! `concretizer`, as far as it has a meaning where nothing is built.

use super::texts;
use crate::value::Value;
use crate::{ConfigError, Configuration};

/// `concretizer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concretizer {
    /// Whether the specs of an environment are concretized together.
    pub unify: Unify,
    /// Which packages are reused.
    pub reuse: Reuse,
}

/// `concretizer:unify`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unify {
    /// `true`: all specs together, each package once.
    #[default]
    Together,
    /// `when_possible`: together as far as that goes.
    WhenPossible,
    /// `false`: each spec by itself.
    Separately,
}

/// `concretizer:reuse`. Where nothing is built, everything is reused: only the filters say something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Whether what was asked for may be a package that is there: false for `false` and `dependencies`.
    pub roots: bool,
    /// Whether anything may: false for `false`.
    pub dependencies: bool,
    /// Only specs that satisfy one of these, if there are any.
    pub include: Vec<String>,
    /// No specs that satisfy one of these.
    pub exclude: Vec<String>,
    /// From where; empty for everywhere.
    pub sources: Vec<ReuseSource>,
}

/// An item of `concretizer:reuse:from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReuseSource {
    /// `local`, `buildcache`, `external` or `environment`.
    pub kind: String,
    /// Of an environment, its name or directory.
    pub path: Option<String>,
    /// As in [`Reuse`], for this source alone.
    pub include: Vec<String>,
    /// As in [`Reuse`], for this source alone.
    pub exclude: Vec<String>,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            roots: true,
            dependencies: true,
            include: Vec::new(),
            exclude: Vec::new(),
            sources: Vec::new(),
        }
    }
}

impl Concretizer {
    /// What the scopes say.
    ///
    /// # Errors
    /// If they cannot be read or say something that means nothing.
    pub fn of(configuration: &Configuration) -> Result<Self, ConfigError> {
        let Some(section) = configuration.section("concretizer")? else { return Ok(Self::default()) };
        let unify = match section.get("unify") {
            Some(value) if value.text().is_some() => Unify::WhenPossible,
            Some(value) if value.flag() == Some(false) => Unify::Separately,
            _ => Unify::Together,
        };
        Ok(Self { unify, reuse: section.get("reuse").map(Reuse::read).unwrap_or_default() })
    }
}

impl Reuse {
    fn read(value: &Value) -> Self {
        if let Some(flag) = value.flag() {
            return Self { roots: flag, dependencies: flag, ..Self::default() };
        }
        if value.text().is_some() {
            return Self { roots: false, ..Self::default() };
        }
        let sources = value.get("from").and_then(Value::items).unwrap_or_default();
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::text).map(str::to_owned);
        Self {
            roots: value.get("roots").and_then(Value::flag).unwrap_or(true),
            dependencies: true,
            include: texts(value.get("include")),
            exclude: texts(value.get("exclude")),
            sources: sources
                .iter()
                .map(|source| ReuseSource {
                    kind: text(source, "type").unwrap_or_default(),
                    path: text(source, "path"),
                    include: texts(source.get("include")),
                    exclude: texts(source.get("exclude")),
                })
                .collect(),
        }
    }
}
