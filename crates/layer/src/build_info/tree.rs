//! YAML as a tree of texts: what a file says, before anyone decides what its scalars mean.
//!
//! A YAML library that resolves scalars turns a DAG hash of digits into a number and loses its text, so the tree is
//! built from the parser's events. Anchors and aliases, which no Spack writes, are refused: they are how a small
//! file becomes a large one. So is deep nesting.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::BuildInfoError;
use super::undecodable::StandIns;

/// Levels of sequences and mappings; a `binary_distribution` has two.
const DEEPEST: usize = 16;

/// A node of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The bytes of a scalar, and whether it was written without quotes.
    Scalar { text: Vec<u8>, plain: bool },
    /// Items in order.
    Sequence(Vec<Node>),
    /// Pairs in order, keys as often as they are written.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Where it stands in a sentence.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar { .. } => "a scalar",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// The collection that is being read, and the key that waits for its value.
enum Open {
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

/// Reads the one document of `bytes`; nothing if it is empty.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Node>, BuildInfoError> {
    let text = std::str::from_utf8(bytes).map_err(|source| BuildInfoError::NotUtf8 { source })?;
    let (text, stand_ins) = StandIns::substitute(text);
    let mut stack: Vec<Open> = Vec::new();
    let mut document = None;
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.map_err(|error| BuildInfoError::Yaml {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            problem: error.info().to_owned(),
        })?;
        let line = span.start.line();
        let done = match event {
            Event::Scalar(text, style, ..) => {
                let text = stand_ins.restore(&text, style == ScalarStyle::DoubleQuoted);
                Node::Scalar { text, plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if stack.len() == DEEPEST => {
                return Err(BuildInfoError::TooDeep { line });
            }
            Event::SequenceStart(..) => {
                stack.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                stack.push(Open::Mapping(Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match stack.pop() {
                Some(Open::Sequence(items)) => Node::Sequence(items),
                Some(Open::Mapping(pairs, _)) => Node::Mapping(pairs),
                None => continue,
            },
            Event::Alias(_) => return Err(BuildInfoError::Alias { line }),
            Event::DocumentStart(_) if document.is_some() => {
                return Err(BuildInfoError::SeveralDocuments { line });
            }
            _ => continue,
        };
        match stack.last_mut() {
            None => document = Some(done),
            Some(Open::Sequence(items)) => items.push(done),
            Some(Open::Mapping(pairs, key)) => match key.take() {
                None => *key = Some(done),
                Some(key) => pairs.push((key, done)),
            },
        }
    }
    Ok(document)
}
