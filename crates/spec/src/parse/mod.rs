//! Reading the spec language.
//!
//! `lexer` makes tokens, `node` reads what belongs to one package, `edge` what is between `[` and `]`; here nodes become
//! specs. What is accepted, and what becomes of it, is as in Spack's `spec_parser.py`. Every text is read in time that
//! grows with its length; texts and nesting have limits, so that no input costs more than a moment.

mod edge;
mod error;
mod lexer;
pub(crate) mod names;
mod node;
pub(crate) mod quote;
mod token;
mod unexpected;

pub use error::SpecSyntaxError;

use crate::abstract_spec::{AbstractSpec, DependencyConstraint};
use lexer::Lexer;
use std::ops::Range;
use token::{Sigil, Token, TokenKind};

/// Longer texts are refused.
const MAX_LENGTH: usize = 64 * 1024;
/// How many dependencies one spec may have.
const MAX_DEPENDENCIES: usize = 1000;
/// How deep conditions may have conditions.
const MAX_DEPTH: usize = 8;

/// Reads exactly one spec; an empty text asks for nothing.
pub(crate) fn one(text: &str) -> Result<AbstractSpec, SpecSyntaxError> {
    Ok(at_most_one(text, 0)?.unwrap_or_default())
}

/// Reads all specs of a text.
pub(crate) fn all(text: &str) -> Result<Vec<AbstractSpec>, SpecSyntaxError> {
    let mut parser = Parser::new(text, 0)?;
    let mut specs = Vec::new();
    while parser.next.is_some() {
        specs.push(parser.spec()?);
    }
    Ok(specs)
}

/// Reads the words of a command line.
pub(crate) fn arguments(words: &[String]) -> Result<Vec<AbstractSpec>, SpecSyntaxError> {
    let words: Vec<String> = words.iter().map(|word| quote::argument(word)).collect();
    all(&words.join(" "))
}

fn at_most_one(text: &str, depth: usize) -> Result<Option<AbstractSpec>, SpecSyntaxError> {
    let mut parser = Parser::new(text, depth)?;
    if parser.next.is_none() {
        return Ok(None);
    }
    let spec = parser.spec()?;
    let Some(another) = parser.next.as_ref().map(|token| token.span.clone()) else { return Ok(Some(spec)) };
    // What cannot be read at all is the likelier slip.
    while parser.take()?.is_some() {}
    Err(parser.error(another, "expected one spec, but here begins another"))
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    next: Option<Token<'t>>,
    /// Where the token that was taken last is.
    last: Range<usize>,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, depth: usize) -> Result<Self, SpecSyntaxError> {
        let mut parser = Self { lexer: Lexer::new(text), next: None, last: 0..0, depth };
        if text.len() > MAX_LENGTH {
            let reason = format!("a spec of more than {MAX_LENGTH} characters");
            return Err(parser.error(MAX_LENGTH..text.len(), reason));
        }
        parser.next = parser.lexer.next()?;
        Ok(parser)
    }

    fn error(&self, span: Range<usize>, reason: impl Into<String>) -> SpecSyntaxError {
        SpecSyntaxError { text: self.lexer.text().to_owned(), span, reason: reason.into(), hint: None }
    }

    /// An error about the token that was taken last.
    fn error_at_last(&self, reason: impl Into<String>) -> SpecSyntaxError {
        self.error(self.last.clone(), reason)
    }

    fn next_kind(&self) -> Option<&TokenKind<'t>> {
        self.next.as_ref().map(|token| &token.kind)
    }

    fn take(&mut self) -> Result<Option<Token<'t>>, SpecSyntaxError> {
        let following = if self.next.is_some() { self.lexer.next()? } else { None };
        let token = std::mem::replace(&mut self.next, following);
        if let Some(token) = &token {
            self.last = token.span.clone();
        }
        Ok(token)
    }

    /// Reads a root and what follows it, up to where the next spec begins.
    fn spec(&mut self) -> Result<AbstractSpec, SpecSyntaxError> {
        let mut root = self.node()?;
        let mut parent = Parent::Root;
        let mut count = 0;
        loop {
            let start = self.next.as_ref().map_or(0, |token| token.span.start);
            let (sigil, mut edge) = match self.next_kind() {
                Some(TokenKind::EdgeStart(sigil)) => {
                    let sigil = *sigil;
                    self.take()?;
                    (sigil, self.edge_attributes()?)
                }
                Some(TokenKind::Dependency { sigil, virtuals }) => {
                    let (sigil, virtuals) = (*sigil, edge::virtual_names(*virtuals));
                    self.take()?;
                    if sigil != Sigil::Anywhere && self.next.is_none() {
                        let end = self.lexer.text().len();
                        let reason = "expected the name of a direct dependency after `%`, but the text ends";
                        return Err(self.error(end..end, reason));
                    }
                    (sigil, DependencyConstraint { virtuals, ..edge::unconditional() })
                }
                Some(TokenKind::EdgeEnd { .. }) => {
                    let span =
                        self.next.as_ref().map_or(0..0, |token| token.span.start..token.span.start + 1);
                    return Err(self.error(span, "this `]` has no `[` before it"));
                }
                _ => break,
            };
            edge.spec = self.node()?;
            edge.direct = sigil != Sigil::Anywhere;
            edge.propagate = sigil == Sigil::Propagated;
            count += 1;
            if count > MAX_DEPENDENCIES {
                return Err(
                    self.error(start..self.last.end, format!("more than {MAX_DEPENDENCIES} dependencies"))
                );
            }
            if edge.direct {
                edge.spec.name = edge.spec.name.map(|name| names::compiler_package(&name).to_owned());
                let dependencies = match parent {
                    Parent::Root => &mut root.dependencies,
                    Parent::Dependency(at) => &mut root.dependencies[at].spec.dependencies,
                    Parent::Merged => &mut Vec::new(),
                };
                add(dependencies, edge).map_err(|reason| self.error(start..self.last.end, reason))?;
            } else {
                let added = add(&mut root.dependencies, edge);
                let added = added.map_err(|reason| self.error(start..self.last.end, reason))?;
                parent = added.map_or(Parent::Merged, Parent::Dependency);
            }
        }
        root.put_in_order();
        Ok(root)
    }
}

/// Whose direct dependency a `%` is.
enum Parent {
    Root,
    Dependency(usize),
    /// Spack forgets `%` after a second `^` of the same package: `a ^b ^b %gcc` is `a ^b`.
    Merged,
}

/// Adds a dependency, or asks more of one that is there. Gives its place if it is a new one.
fn add(edges: &mut Vec<DependencyConstraint>, edge: DependencyConstraint) -> Result<Option<usize>, String> {
    let same_name = |other: &DependencyConstraint| other.spec.name == edge.spec.name;
    if edge.spec.name.is_some() {
        let same = |other: &&mut DependencyConstraint| {
            same_name(other) && other.types == edge.types && other.when == edge.when
        };
        if let Some(known) = edges.iter_mut().find(same) {
            known.spec.constrain_node(&edge.spec).map_err(|contradiction| contradiction.to_string())?;
            known.virtuals.extend(edge.virtuals);
            known.virtuals.sort();
            known.virtuals.dedup();
            return Ok(None);
        }
    }
    let clash = |other: &&DependencyConstraint| {
        same_name(other) && other.when == edge.when && !names::can_coexist(other.types, edge.types)
    };
    if edges.iter().any(|other| clash(&other)) {
        let name = edge.spec.name.as_deref().unwrap_or("*");
        return Err(format!("{name} is a dependency already, with deptypes that exclude these"));
    }
    edges.push(edge);
    Ok(Some(edges.len() - 1))
}
