//! Which recorded specs the user means.

use crate::error::Error;
use strata_spec::{Database, Node, Record, Selector};

/// The one record a selector means.
///
/// A word that matches several specs is an error that lists them: what is pushed, installed or removed is never
/// a guess.
pub(crate) fn one<'d>(
    records: impl Iterator<Item = &'d Record>,
    selector: &Selector,
    place: &str,
) -> Result<&'d Record, Error> {
    let matching: Vec<&Record> = records.filter(|r| selector.matches(&r.node)).collect();
    match matching[..] {
        [] => Err(Error::NoSuchSpec { spec: selector.to_string(), place: place.to_owned() }),
        [record] => Ok(record),
        _ => Err(Error::Ambiguous {
            spec: selector.to_string(),
            place: place.to_owned(),
            candidates: matching.iter().map(|r| describe(&r.node)).collect(),
        }),
    }
}

/// The installed records, externals left out.
pub(crate) fn installed(database: &Database) -> impl Iterator<Item = &Record> {
    database.records.values().filter(|r| r.installed && !r.node.is_external())
}

/// One line that tells the candidates of an ambiguous spec apart.
pub(crate) fn describe(node: &Node) -> String {
    format!("/{} {}", node.hash.short(), strata_spec::format::canonical(node))
}
