//! Which recorded specs the user means.

use crate::error::Error;
use strata_spec::matching::Question;
use strata_spec::node::Edge;
use strata_spec::{AbstractSpec, Catalog, Database, Node, Record, format};

/// How many dependencies are shown to tell two specs apart.
const SHOWN_DEPENDENCIES: usize = 3;

/// A database, arranged so that abstract specs can be asked of it.
pub(crate) struct Selection<'d> {
    database: &'d Database,
    catalog: Catalog,
}

impl<'d> Selection<'d> {
    /// Every record takes part in answering, those too that are only named by others: `^` and `%` are asked of them.
    pub(crate) fn new(database: &'d Database) -> Self {
        Self { database, catalog: Catalog::of_database(database) }
    }

    /// The records that satisfy `spec`, of those that are `eligible`.
    pub(crate) fn matching(
        &self,
        spec: &AbstractSpec,
        eligible: impl Fn(&Record) -> bool,
    ) -> Vec<&'d Record> {
        let mut question = Question::new(&self.catalog, spec);
        let nodes = self.catalog.nodes().filter(|node| question.is_met_by(*node));
        nodes
            .filter_map(|node| self.database.records.get(node.hash()))
            .filter(|record| eligible(record))
            .collect()
    }

    /// The one eligible record that `spec` means.
    ///
    /// A spec that several records satisfy is an error that lists them: what is pushed, installed or removed is never a
    /// guess.
    pub(crate) fn one(
        &self,
        spec: &AbstractSpec,
        eligible: impl Fn(&Record) -> bool,
        place: &str,
    ) -> Result<&'d Record, Error> {
        let matching = self.matching(spec, eligible);
        match matching[..] {
            [] => Err(Error::NoSuchSpec { spec: spec.to_string(), place: place.to_owned() }),
            [record] => Ok(record),
            _ => Err(Error::Ambiguous {
                spec: spec.to_string(),
                place: place.to_owned(),
                candidates: self.candidates(&matching),
            }),
        }
    }

    /// A line for each of several records. Those that are the same but for their dependencies are told apart by these.
    fn candidates(&self, records: &[&Record]) -> Vec<String> {
        let lines: Vec<(String, &Node)> =
            records.iter().map(|record| (format::canonical(&record.node), &record.node)).collect();
        let line = |(canonical, node): &(String, &Node)| {
            let alike: Vec<&Node> =
                lines.iter().filter(|(other, _)| other == canonical).map(|(_, node)| *node).collect();
            let shared = |edge: &Edge| {
                alike.iter().all(|node| node.dependencies.iter().any(|other| other.hash == edge.hash))
            };
            let own = node.dependencies.iter().filter(|edge| !shared(edge)).take(SHOWN_DEPENDENCIES);
            let own = own.map(|edge| match self.database.records.get(&edge.hash) {
                Some(record) => format!(" ^{}", record.node.label()),
                None => format!(" ^{}/{}", edge.name, edge.hash.short()),
            });
            format!("{}{}", describe(node), own.collect::<String>())
        };
        lines.iter().map(line).collect()
    }
}

/// Whether the record is of a package that is there, externals included.
pub(crate) fn is_installed(record: &Record) -> bool {
    record.installed
}

/// Whether the record is of a package that has a prefix of ours.
pub(crate) fn is_ours(record: &Record) -> bool {
    record.installed && !record.node.is_external()
}

/// One line that tells the candidates of an ambiguous spec apart.
pub(crate) fn describe(node: &Node) -> String {
    format!("/{} {}", node.hash.short(), format::canonical(node))
}
