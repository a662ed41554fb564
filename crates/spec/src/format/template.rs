//! Format strings, `{name}{@version}{/hash:7}`: what stands between braces is looked up in a spec.
//!
//! The grammar is that of Spack's `Spec.format`: a backslash takes the meaning from the next character; in braces there can
//! be a sigil that is written before what is found, `^dependency.`, and an attribute, or `hash` with a length.

use super::attribute::{self, Surroundings};
use crate::node::Node;
use std::fmt::Write;
use std::str::FromStr;

/// A format string that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// The text is no format string, or asks for what a spec does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use format string `{text}`: {reason}")]
pub struct TemplateError {
    /// The format string.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Lookup(Lookup),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Lookup {
    /// Written before what is found: `@`, ` %`, `arch=`.
    sigil: String,
    /// `^dependency.`
    dependency: Option<String>,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// `hash`, `hash:7`
    Hash(Option<usize>),
    /// `architecture.target`, split at the dots.
    Attribute(Vec<String>),
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let invalid = |reason: String| TemplateError { text: text.to_owned(), reason };
        if let Some(old) = old_style(text) {
            return Err(invalid(format!("`{old}` is the syntax of old; write {{attribute}}")));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let after = &rest[character.len_utf8()..];
            rest = after;
            match character {
                '\\' => match after.chars().next() {
                    Some(escaped) if escaped != '\n' => {
                        literal.push(escaped);
                        rest = &after[escaped.len_utf8()..];
                    }
                    _ => literal.push('\\'),
                },
                '}' => return Err(invalid("a `}` without `{`; write `\\}` for the character".to_owned())),
                '{' => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    let (lookup, after) = lookup(after).map_err(invalid)?;
                    pieces.push(Piece::Lookup(lookup));
                    rest = after;
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

impl Template {
    /// Writes `node` in this format. What the node has none of leaves nothing, its sigil neither; white space at the ends goes.
    ///
    /// # Errors
    /// If there is no such attribute, variant or dependency.
    pub fn render(&self, node: &Node, surroundings: &impl Surroundings) -> Result<String, TemplateError> {
        let invalid = |reason: String| TemplateError { text: self.text.clone(), reason };
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Lookup(Lookup { sigil, dependency, wanted }) => {
                    let node = match dependency {
                        Some(name) => attribute::dependency(node, name, surroundings)
                            .ok_or_else(|| invalid(format!("{} has no dependency `{name}`", node.label())))?,
                        None => node,
                    };
                    match wanted {
                        Wanted::Hash(length) => {
                            let hash = node.hash.as_str();
                            let _ =
                                write!(out, "{sigil}{}", length.and_then(|n| hash.get(..n)).unwrap_or(hash));
                        }
                        Wanted::Attribute(path) => {
                            match attribute::find(node, path, surroundings).map_err(invalid)? {
                                attribute::Found::Text(text) => {
                                    let _ = write!(out, "{sigil}{text}");
                                }
                                attribute::Found::Bare(text) => out.push_str(&text),
                                attribute::Found::Nothing => {}
                            }
                        }
                    }
                }
            }
        }
        Ok(out.trim().to_owned())
    }
}

/// What follows an opening brace, up to its closing one, and the rest.
fn lookup(text: &str) -> Result<(Lookup, &str), String> {
    let (sigil, rest) = text.split_at(sigil_length(text));
    let (dependency, rest) = match rest.strip_prefix('^').and_then(|rest| rest.split_once('.')) {
        Some((name, rest)) if !name.is_empty() && !name.contains('}') => (Some(name.to_owned()), rest),
        _ => (None, rest),
    };
    let missing_brace = || "a `{` without `}`; write `\\{` for the character".to_owned();
    let (wanted, rest) = match hash(rest) {
        Some((length, rest)) => (Wanted::Hash(length), rest),
        None => {
            let end = rest.find('}').ok_or_else(missing_brace)?;
            (Wanted::Attribute(path(&rest[..end])?), &rest[end..])
        }
    };
    let rest = rest.strip_prefix('}').ok_or_else(missing_brace)?;
    check_sigil(sigil, &wanted)?;
    Ok((Lookup { sigil: sigil.to_owned(), dependency, wanted }, rest))
}

/// The length of `@`, `%` or `/`, perhaps after a blank; or of `key=`.
fn sigil_length(text: &str) -> usize {
    let bare = text.strip_prefix(' ').unwrap_or(text);
    if bare.starts_with(['@', '%', '/']) {
        return text.len() - bare.len() + 1;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c: char| !is_word(c) && c != ' ' && c != '-').unwrap_or(text.len());
    if !text.starts_with('-') && end > 0 && text[end..].starts_with('=') { end + 1 } else { 0 }
}

/// `hash` as a whole word, and the length after a colon.
fn hash(text: &str) -> Option<(Option<usize>, &str)> {
    let word = text.get(..4).filter(|word| word.eq_ignore_ascii_case("hash"))?;
    let rest = &text[word.len()..];
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let digits = rest.strip_prefix(':').unwrap_or_default();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    match digits[..end].parse() {
        Ok(length) => Some((Some(length), &digits[end..])),
        // More digits than a number holds: all of the hash.
        Err(_) if end > 0 => Some((None, &digits[end..])),
        Err(_) => Some((None, rest)),
    }
}

fn path(attribute: &str) -> Result<Vec<String>, String> {
    let parts: Vec<String> = attribute.to_lowercase().split('.').map(str::to_owned).collect();
    match parts.iter().find(|part| part.is_empty() || part.starts_with('_')) {
        None => Ok(parts),
        Some(part) if part.is_empty() => Err(format!("an attribute is empty in `{{{attribute}}}`")),
        Some(part) => Err(format!("there is no attribute `{part}`")),
    }
}

fn check_sigil(sigil: &str, wanted: &Wanted) -> Result<(), String> {
    let only = |what: &str| Err(format!("the sigil `{sigil}` is for {what} only"));
    match (sigil, wanted) {
        ("" | "/", Wanted::Hash(_)) => Ok(()),
        (_, Wanted::Hash(_)) => Err(format!("a hash has the sigil `/` and not `{sigil}`")),
        ("@", Wanted::Attribute(path)) => match path.last().map(String::as_str) {
            Some("version" | "versions") => Ok(()),
            _ => only("versions"),
        },
        ("%", Wanted::Attribute(path)) => match path.join(".").as_str() {
            "compiler" | "compiler.name" => Ok(()),
            _ => only("compilers"),
        },
        ("/", Wanted::Attribute(path)) if *path != ["abstract_hash"] => only("hashes"),
        _ => Ok(()),
    }
}

/// `${NAME}`, which Spack had before 0.15.
fn old_style(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        let inside = &text[at + 2..];
        let end = inside.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(inside.len());
        if end > 0 && inside[end..].starts_with('}') {
            return Some(&text[at..at + 2 + end + 1]);
        }
        from = at + 2;
    }
    None
}
