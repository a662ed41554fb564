//! From text to tokens, one at a time, in one pass.
//!
//! At each place the kinds of tokens are tried in an order of their own: `c=gcc` is virtual packages and a provider after
//! `%`, and a variant anywhere else; `a/b.json` is a file, `a/b` a name and a hash.

use super::error::SpecSyntaxError;
use super::quote::is_bare;
use super::token::{Sigil, Token, TokenKind};
use std::ops::Range;

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// The package of `virtual=package`, which comes after the token that had it.
    substitute: Option<Token<'t>>,
    /// The last run of characters that can be in a file name: its end, and the end of the file name in it.
    file_run: (usize, Option<usize>),
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_identifier(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

fn is_name(byte: u8) -> bool {
    is_identifier(byte) || byte == b'.'
}

fn is_file(byte: u8) -> bool {
    is_name(byte) || byte == b'/'
}

/// Blanks as Python sees them.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, substitute: None, file_run: (0, None) }
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn starts_with(&self, at: usize, text: &str) -> bool {
        self.text.as_bytes()[at..].starts_with(text.as_bytes())
    }

    /// The end of the run of accepted bytes that begins at `from`.
    fn run(&self, from: usize, accept: impl Fn(u8) -> bool) -> usize {
        let length = self.text.as_bytes()[from..].iter().take_while(|byte| accept(**byte)).count();
        from + length
    }

    fn skip_blanks(&self, from: usize) -> usize {
        self.text.len() - self.text[from..].trim_start_matches(is_blank).len()
    }

    /// The end of an identifier: a letter, digit or `_`, then `-` as well.
    fn identifier(&self, from: usize) -> Option<usize> {
        self.byte(from).filter(|byte| is_word(*byte)).map(|_| self.run(from, is_identifier))
    }

    /// The same with dots, and whatever follows them.
    fn name(&self, from: usize) -> Option<usize> {
        self.byte(from).filter(|byte| is_word(*byte)).map(|_| self.run(from, is_name))
    }

    /// Identifiers with single dots between them.
    fn dotted(&self, from: usize) -> Option<usize> {
        let mut end = self.identifier(from)?;
        while self.byte(end) == Some(b'.') {
            match self.identifier(end + 1) {
                Some(next) => end = next,
                None => break,
            }
        }
        Some(end)
    }

    /// The next token; none at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Token<'t>>, SpecSyntaxError> {
        if let Some(token) = self.substitute.take() {
            return Ok(Some(token));
        }
        self.at = self.skip_blanks(self.at);
        let start = self.at;
        if start == self.text.len() {
            return Ok(None);
        }
        let found = self
            .edge(start)
            .or_else(|| self.version(start))
            .or_else(|| self.switch(start))
            .or_else(|| self.setting(start))
            .or_else(|| self.file(start))
            .or_else(|| self.package(start))
            .or_else(|| self.hash(start));
        let Some((kind, end)) = found else { return Err(super::unexpected::character(self.text, start)) };
        self.at = end;
        Ok(Some(Token { kind, span: start..end }))
    }

    fn edge(&mut self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        let (sigil, end) = match self.byte(start)? {
            b'^' => (Sigil::Anywhere, start + 1),
            b'%' if self.byte(start + 1) == Some(b'%') => (Sigil::Propagated, start + 2),
            b'%' => (Sigil::Direct, start + 1),
            b']' => {
                let (virtuals, end) = self.virtual_assignment(start + 1);
                return Some((TokenKind::EdgeEnd { virtuals }, end));
            }
            _ => return None,
        };
        if self.byte(end) == Some(b'[') {
            return Some((TokenKind::EdgeStart(sigil), end + 1));
        }
        let (virtuals, end) = self.virtual_assignment(end);
        Some((TokenKind::Dependency { sigil, virtuals }, end))
    }

    /// `c,cxx=gcc`: gives the names before `=`, and keeps what follows as the next token.
    fn virtual_assignment(&mut self, from: usize) -> (Option<&'t str>, usize) {
        let start = self.skip_blanks(from);
        let Some(mut end) = self.identifier(start) else { return (None, from) };
        while self.byte(end) == Some(b',') {
            match self.identifier(end + 1) {
                Some(next) => end = next,
                None => break,
            }
        }
        let package = if self.byte(end) == Some(b'=') { self.dotted(end + 1) } else { None };
        let Some(package) = package else { return (None, from) };
        let kind = TokenKind::Name(&self.text[end + 1..package]);
        self.substitute = Some(Token { kind, span: end + 1..package });
        (Some(&self.text[start..end]), package)
    }

    fn version(&self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        if self.byte(start) != Some(b'@') {
            return None;
        }
        let end = self.git_version(start + 1).or_else(|| self.version_list(self.skip_blanks(start + 1)))?;
        Some((TokenKind::Version(&self.text[start + 1..end]), end))
    }

    /// `git.main`, `git.main=1.2`, and the same with the forty digits of a commit.
    fn git_version(&self, start: usize) -> Option<usize> {
        let named = self.starts_with(start, "git.") && self.byte(start + 4).is_some_and(is_word);
        let reference = if named {
            self.run(start + 4, is_file)
        } else {
            let digits = self.run(start, |byte| byte.is_ascii_hexdigit()) - start;
            (digits >= 40).then_some(start + 40)?
        };
        let paired = if self.byte(reference) == Some(b'=') { self.one_version(reference + 1) } else { None };
        Some(paired.unwrap_or(reference))
    }

    fn version_list(&self, start: usize) -> Option<usize> {
        let mut end = self.version_or_range(start)?;
        loop {
            let comma = self.skip_blanks(end);
            if self.byte(comma) != Some(b',') {
                return Some(end);
            }
            match self.version_or_range(self.skip_blanks(comma + 1)) {
                Some(next) => end = next,
                None => return Some(end),
            }
        }
    }

    fn version_or_range(&self, start: usize) -> Option<usize> {
        let low = self.one_version(start);
        let colon = low.unwrap_or(start);
        if self.byte(colon) != Some(b':') {
            return low;
        }
        let Some(high) = self.one_version(colon + 1) else { return Some(colon + 1) };
        // In `@1.2:build_type=Debug` the range is open, and a variant follows.
        if self.byte(self.skip_blanks(high)) != Some(b'=') {
            return Some(high);
        }
        let first = colon + 1 + usize::from(self.byte(colon + 1) == Some(b'='));
        let bytes = self.text.as_bytes();
        let edge = (first + 1..high).rev().find(|at| is_word(bytes[at - 1]) != is_word(bytes[*at]));
        Some(edge.unwrap_or(colon + 1))
    }

    /// `1.2` or `=1.2`; dots and dashes at the end are not part of it.
    fn one_version(&self, start: usize) -> Option<usize> {
        let first = start + usize::from(self.byte(start) == Some(b'='));
        let run = self.text[first..self.name(first)?].trim_end_matches(['.', '-']);
        Some(first + run.len())
    }

    fn switch(&self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        let sign = self.byte(start).filter(|byte| b"+~-".contains(byte))?;
        for (length, propagate) in [(2, true), (1, false)] {
            if propagate && self.byte(start + 1) != Some(sign) {
                continue;
            }
            let from = self.skip_blanks(start + length);
            if let Some(end) = self.name(from) {
                let name = &self.text[from..end];
                return Some((TokenKind::Switch { name, on: sign == b'+', propagate }, end));
            }
        }
        None
    }

    fn setting(&self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        let name_end = self.name(start)?;
        let exactly = self.byte(name_end) == Some(b':');
        let equals = name_end + usize::from(exactly);
        let name = &self.text[start..name_end];
        for (sign, propagate) in [("==", true), ("=", false)] {
            if !self.starts_with(equals, sign) {
                continue;
            }
            let from = equals + sign.len();
            if let Some(end) = self.value(from) {
                let value = &self.text[from..end];
                return Some((TokenKind::Setting { name, value, exactly, propagate }, end));
            }
        }
        None
    }

    fn value(&self, from: usize) -> Option<usize> {
        match self.byte(from)? {
            quote @ (b'\'' | b'"') => closing_quote(self.text, from + 1, quote).map(|at| at + 1),
            _ => Some(self.run(from, is_bare)).filter(|end| *end > from),
        }
    }

    fn file(&mut self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        let first = match self.byte(start)? {
            b'.' | b'/' => start,
            _ => self.run(start, is_identifier),
        };
        if !matches!(self.byte(first), Some(b'.' | b'/')) || first > start && self.byte(first) == Some(b'.') {
            return None;
        }
        if first >= self.file_run.0 {
            let end = self.run(first, is_file);
            let run = &self.text[first..end];
            let ending = run.rfind(".json").max(run.rfind(".yaml"));
            self.file_run = (end, ending.map(|at| first + at + ".json".len()));
        }
        let end = self.file_run.1.filter(|end| *end > first + ".json".len())?;
        Some((TokenKind::File(&self.text[start..end]), end))
    }

    fn package(&self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        if self.byte(start) == Some(b'*') {
            return Some((TokenKind::Star, start + 1));
        }
        self.dotted(start).map(|end| (TokenKind::Name(&self.text[start..end]), end))
    }

    fn hash(&self, start: usize) -> Option<(TokenKind<'t>, usize)> {
        let end = self.run(start + 1, is_word);
        let is_hash = self.byte(start) == Some(b'/') && end > start + 1;
        is_hash.then(|| (TokenKind::Hash(&self.text[start + 1..end]), end))
    }
}

/// Where the quoted text that begins at `from` ends: at the first quote without a backslash before it, or where there is none
/// at the last quote.
fn closing_quote(text: &str, from: usize, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_quote = |at: &usize| bytes[*at] == quote;
    let unescaped = (from..bytes.len()).filter(is_quote).find(|at| bytes[at - 1] != b'\\');
    unescaped.or_else(|| (from..bytes.len()).rev().find(is_quote))
}

/// Where a mark under the character at `at` ends.
pub(super) fn one_character(text: &str, at: usize) -> Range<usize> {
    at..at + text[at..].chars().next().map_or(0, char::len_utf8)
}
