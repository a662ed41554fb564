//! The tokens of the language.

use std::ops::Range;

/// A token and where it is.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum TokenKind<'t> {
    /// `^`, `%` or `%%`, with the names that a following `virtual=package` has before its `=`.
    Dependency { sigil: Sigil, virtuals: Option<&'t str> },
    /// `^[`, `%[` or `%%[`
    EdgeStart(Sigil),
    /// `]`, with the names as above.
    EdgeEnd { virtuals: Option<&'t str> },
    /// What follows `@`.
    Version(&'t str),
    /// `+name`, `~name`, `-name`, and twice the sign.
    Switch { name: &'t str, on: bool, propagate: bool },
    /// `name=value`, `name:=value`, `name==value`; the value with its quotes.
    Setting { name: &'t str, value: &'t str, exactly: bool, propagate: bool },
    /// The path of a file of a spec.
    File(&'t str),
    /// A package name, its namespace before it if it has one.
    Name(&'t str),
    /// `*`
    Star,
    /// What follows `/`.
    Hash(&'t str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sigil {
    /// `^`
    Anywhere,
    /// `%`
    Direct,
    /// `%%`
    Propagated,
}
