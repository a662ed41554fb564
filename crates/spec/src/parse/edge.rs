//! What is between the brackets of `^[deptypes=build when='+x' virtuals=c] gcc`.

use super::names::dependency_type;
use super::quote::unquoted;
use super::token::TokenKind;
use super::{MAX_DEPTH, Parser, SpecSyntaxError, at_most_one};
use crate::abstract_spec::{AbstractSpec, DependencyConstraint};
use crate::dag::DependencyTypes;
use std::collections::BTreeMap;

const ATTRIBUTES: [&str; 3] = ["deptypes", "virtuals", "when"];

/// An edge that asks nothing yet.
pub(super) fn unconditional() -> DependencyConstraint {
    DependencyConstraint {
        spec: AbstractSpec::default(),
        direct: false,
        propagate: false,
        types: DependencyTypes::default(),
        virtuals: Vec::new(),
        when: None,
    }
}

/// The names before `=` in `^c,cxx=gcc`, sorted, each once.
pub(super) fn virtual_names(list: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> =
        list.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
    names.sort();
    names.dedup();
    names
}

impl<'t> Parser<'t> {
    /// Reads up to and with `]`; of an attribute given twice the second counts.
    pub(super) fn edge_attributes(&mut self) -> Result<DependencyConstraint, SpecSyntaxError> {
        let mut given = BTreeMap::new();
        let assigned = loop {
            match self.take()?.map(|token| token.kind) {
                Some(TokenKind::Setting { name, value, propagate: false, .. })
                    if ATTRIBUTES.contains(&name) =>
                {
                    given.insert(name, (value, self.last.clone()));
                }
                Some(TokenKind::EdgeEnd { virtuals }) => break virtuals,
                Some(_) => {
                    return Err(self.error_at_last("expected `deptypes=`, `virtuals=`, `when=` or `]`"));
                }
                None => {
                    let end = self.lexer.text().len();
                    let reason = "expected `deptypes=`, `virtuals=`, `when=` or `]`, but the text ends";
                    return Err(self.error(end..end, reason));
                }
            }
        };
        let mut edge = unconditional();
        for (name, (value, span)) in given {
            let value = unquoted(value);
            let value = value.trim_matches(' ');
            let read = match name {
                "deptypes" => types(value).map(|types| edge.types = types),
                "virtuals" => listed_virtuals(value).map(|names| edge.virtuals = names),
                _ => condition(value, self.depth).map(|when| edge.when = when),
            };
            read.map_err(|reason| self.error(span, reason))?;
        }
        edge.virtuals.extend(virtual_names(assigned));
        edge.virtuals.sort();
        edge.virtuals.dedup();
        Ok(edge)
    }
}

fn types(value: &str) -> Result<DependencyTypes, String> {
    let expected = |name: &str| format!("expected build, link, run or test, not `{name}`");
    value.split(',').try_fold(DependencyTypes::default(), |types, name| {
        dependency_type(name).map(|one| types | one).ok_or_else(|| expected(name))
    })
}

fn listed_virtuals(value: &str) -> Result<Vec<String>, String> {
    // `virtuals==c` would be read as another sign.
    let begins_well = |name: &str| name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let is_name = |name: &str| begins_well(name) && name.bytes().all(super::quote::is_bare);
    match value.split(',').all(is_name) {
        true => Ok(virtual_names(Some(value))),
        false => Err("expected names of virtual packages, a comma between two".to_owned()),
    }
}

/// Of a condition Spack reads what is before the first comma.
fn condition(value: &str, depth: usize) -> Result<Option<Box<AbstractSpec>>, String> {
    if depth == MAX_DEPTH {
        return Err("conditions within conditions, deeper than anyone reads".to_owned());
    }
    let text = value.split(',').next().unwrap_or_default();
    let inside = |error: SpecSyntaxError| format!("in the condition `{text}`: {}", error.reason);
    let spec = at_most_one(text, depth + 1).map_err(inside)?;
    let spec = spec.ok_or("expected a condition, such as when=+mpi")?;
    Ok((spec != AbstractSpec::default()).then(|| Box::new(spec)))
}
