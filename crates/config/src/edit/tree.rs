//! [`Tree`]: where in a text each value of a YAML document stands, to the byte.
//!
//! The parser says what there is and where plain text ends; everything else (colons, dashes, quotes, anchors) is found again
//! in the text, because its positions are those of tokens and not of values. What is not found where it must be makes the text
//! one that is not edited.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A document and the text it was read from.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    pub(super) text: &'t str,
    /// None if there is nothing but comments.
    pub(super) root: Option<Node>,
}

/// One value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The number of its anchor, or of the one that it refers to; 0 for none.
    pub(super) anchor: usize,
    /// Where its anchor and tag begin, or else its content.
    pub(super) properties: usize,
    /// Where its content begins; for a block, the first dash or key.
    pub(super) start: usize,
    /// Where it ends, without what comes after it on the line.
    pub(super) end: usize,
}

/// What a value is, and how it is written.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text, a number, a flag.
    Scalar { text: String, style: ScalarStyle },
    /// `*name`.
    Alias,
    /// A list, in brackets or with dashes.
    List { flow: bool, items: Vec<Item> },
    /// A mapping, in braces or on lines.
    Mapping { flow: bool, pairs: Vec<Pair> },
}

/// An item of a list.
#[derive(Debug)]
pub(super) struct Item {
    /// Where its dash is; in brackets, where it begins.
    pub(super) start: usize,
    pub(super) node: Node,
}

/// An entry of a mapping.
#[derive(Debug)]
pub(super) struct Pair {
    /// Where its key begins, or the `?` before it.
    pub(super) start: usize,
    pub(super) key: Node,
    /// Right after the colon; after the key if there is none.
    pub(super) after_colon: usize,
    pub(super) value: Node,
}

impl Pair {
    /// The key, if it is text.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.key.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

impl Node {
    /// Whether nothing is written.
    pub(super) fn is_unwritten(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, style: ScalarStyle::Plain } if text.is_empty())
    }

    /// Whether it is nothing, written or not.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, style: ScalarStyle::Plain }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// This and everything below, in the order in which it is written.
    pub(super) fn walk<'n>(&'n self, visit: &mut impl FnMut(&'n Node)) {
        visit(self);
        match &self.kind {
            Kind::List { items, .. } => items.iter().for_each(|item| item.node.walk(visit)),
            Kind::Mapping { pairs, .. } => {
                for pair in pairs {
                    pair.key.walk(visit);
                    pair.value.walk(visit);
                }
            }
            Kind::Scalar { .. } | Kind::Alias => {}
        }
    }
}

/// Reads `text`; none if it is not YAML, or not written in a way that all places in it are certain.
pub(super) fn read(text: &str) -> Option<Tree<'_>> {
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let mut reader = Reader { text, parser: Parser::new_from_str(text), offsets, depth: 0 };
    let mut from = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::Nothing, _) => {}
            (Event::DocumentStart(explicit), end) => {
                if explicit {
                    from = end;
                }
                break;
            }
            _ => return Some(Tree { text, root: None }),
        }
    }
    let (event, end) = reader.next()?;
    let root = reader.node(event, end, from, false)?;
    let empty = root.is_unwritten() && root.anchor == 0;
    Some(Tree { text, root: (!empty).then_some(root) })
}

/// How deep values may lie in each other.
const DEPTH: usize = 100;

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// The byte at which each character begins.
    offsets: Vec<usize>,
    depth: usize,
}

impl<'t> Reader<'t> {
    /// The next event and the byte where it ends.
    fn next(&mut self) -> Option<(Event<'t>, usize)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        let end = self.offsets.get(span.end.index()).copied().unwrap_or(self.text.len());
        Some((event, end))
    }

    /// The value that begins with `event`, after `from`; `in_flow` if that is in brackets or braces.
    fn node(&mut self, event: Event<'t>, end: usize, from: usize, in_flow: bool) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let node = match event {
            Event::Alias(anchor) => {
                let start = self.skip(from);
                let end = self.text[start..].strip_prefix('*').map(|_| end)?;
                Node { kind: Kind::Alias, anchor, properties: start, start, end }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let (properties, start) = self.properties(from, anchor > 0 || tag.is_some())?;
                let kind = Kind::Scalar { text: text.into_owned(), style };
                let (start, end) = self.scalar(
                    &kind,
                    start,
                    end,
                    properties.map_or(from, |at| at + self.property_length(at)),
                )?;
                Node { kind, anchor, properties: properties.unwrap_or(start), start, end }
            }
            Event::SequenceStart(anchor, tag) => {
                let (properties, start) = self.properties(from, anchor > 0 || tag.is_some())?;
                let (kind, end) = self.list(start)?;
                Node { kind, anchor, properties: properties.unwrap_or(start), start, end }
            }
            Event::MappingStart(anchor, tag) => {
                // What stands before a block's first key may belong to the key; then the key has it, and this has none.
                let own = anchor > 0 || tag.is_some();
                let (properties, start) =
                    if own { self.properties(from, true)? } else { (None, self.skip(from)) };
                let (kind, end) = self.mapping(start, in_flow)?;
                Node { kind, anchor, properties: properties.unwrap_or(start), start, end }
            }
            _ => return None,
        };
        self.depth -= 1;
        Some(node)
    }

    /// Where a scalar's content begins and ends; if nothing is written, at `empty`: what comes next belongs to another value.
    fn scalar(&self, kind: &Kind, start: usize, end: usize, empty: usize) -> Option<(usize, usize)> {
        let Kind::Scalar { text, style } = kind else { return None };
        let rest = &self.text[start..];
        match style {
            ScalarStyle::Plain if text.is_empty() => Some((empty, empty)),
            ScalarStyle::Plain => {
                let end = start + self.text.get(start..end)?.trim_end_matches([' ', '\t', '\r', '\n']).len();
                (end > start).then_some((start, end))
            }
            ScalarStyle::SingleQuoted => {
                let mut at = rest.strip_prefix('\'').map(|_| 1)?;
                loop {
                    at += rest[at..].find('\'')? + 1;
                    if !rest[at..].starts_with('\'') {
                        return Some((start, start + at));
                    }
                    at += 1;
                }
            }
            ScalarStyle::DoubleQuoted => {
                let mut escaped = false;
                let inside = rest.strip_prefix('"')?;
                let length = inside.bytes().position(|byte| {
                    let closes = byte == b'"' && !escaped;
                    escaped = byte == b'\\' && !escaped;
                    closes
                })?;
                Some((start, start + length + 2))
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = rest.starts_with(['|', '>']).then(|| rest.lines().next())??.len();
                let end = start + self.text.get(start..end)?.trim_end_matches([' ', '\t', '\r', '\n']).len();
                Some((start, end.max(start + header)))
            }
        }
    }

    fn list(&mut self, start: usize) -> Option<(Kind, usize)> {
        let flow = self.text[start..].starts_with('[');
        let mut items = Vec::new();
        let mut at = if flow { start + 1 } else { start };
        loop {
            let (event, end) = self.next()?;
            let begin = self.skip(at);
            if matches!(event, Event::SequenceEnd) {
                let end = if flow { begin + self.text[begin..].strip_prefix(']').map(|_| 1)? } else { at };
                return Some((Kind::List { flow, items }, end));
            }
            let from = if flow { at } else { begin + self.text[begin..].strip_prefix('-').map(|_| 1)? };
            let node = self.node(event, end, from, flow)?;
            // An item without anything ends at its dash.
            at = node.end.max(from);
            items.push(Item { start: if flow { node.properties } else { begin }, node });
            if flow {
                at = self.after(at, ',').unwrap_or(at);
            }
        }
    }

    fn mapping(&mut self, start: usize, in_flow: bool) -> Option<(Kind, usize)> {
        let flow = self.text[start..].starts_with('{');
        let mut pairs = Vec::new();
        let mut at = if flow { start + 1 } else { start };
        loop {
            let (event, end) = self.next()?;
            let begin = self.skip(at);
            if matches!(event, Event::MappingEnd) {
                let end = if flow { begin + self.text[begin..].strip_prefix('}').map(|_| 1)? } else { at };
                return Some((Kind::Mapping { flow, pairs }, end));
            }
            let explicit = self.text[begin..].starts_with(['?'])
                && self.text[begin + 1..].starts_with([' ', '\t', '\n', '\r']);
            let from = if explicit { begin + 1 } else { begin };
            let key = self.node(event, end, from, flow || in_flow)?;
            let after_colon = self.after(key.end, ':');
            let (event, end) = self.next()?;
            let value = self.node(event, end, after_colon.unwrap_or(key.end), flow || in_flow)?;
            let after_colon = after_colon.unwrap_or(key.end);
            at = value.end.max(after_colon);
            pairs.push(Pair { start: begin, key, after_colon, value });
            if flow {
                at = self.after(at, ',').unwrap_or(at);
            }
        }
    }

    /// The place after `sign`, if it is what comes next.
    fn after(&self, at: usize, sign: char) -> Option<usize> {
        let at = self.skip(at);
        self.text[at..].starts_with(sign).then(|| at + sign.len_utf8())
    }

    /// Where the next thing is that is neither space nor comment.
    fn skip(&self, from: usize) -> usize {
        skip(self.text, from)
    }

    /// Where anchor and tag begin, if there are any, and where what comes after them does.
    fn properties(&self, from: usize, any: bool) -> Option<(Option<usize>, usize)> {
        if !any {
            return Some((None, self.skip(from)));
        }
        let first = self.skip(from);
        let mut at = first;
        while self.text[at..].starts_with(['&', '!']) {
            at = self.skip(at + self.word(at));
        }
        (at > first).then_some((Some(first), at))
    }

    /// The length of the anchor and tag that begin at `from`, without what follows.
    fn property_length(&self, from: usize) -> usize {
        let first = self.word(from);
        let next = from + first;
        let space = self.text[next..].len() - self.text[next..].trim_start_matches([' ', '\t']).len();
        let second = next + space;
        if self.text[second..].starts_with(['&', '!']) { second - from + self.word(second) } else { first }
    }

    fn word(&self, at: usize) -> usize {
        word(self.text, at)
    }
}

fn word(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}')).unwrap_or(rest.len())
}

/// Where the anchor and tag end that begin at `from`, before `until`: there may be a comment between.
pub(super) fn properties_end(text: &str, from: usize, until: usize) -> usize {
    let (mut end, mut next) = (from, from);
    while next < until && text[next..].starts_with(['&', '!']) {
        end = next + word(text, next);
        next = skip(text, end);
    }
    end
}

/// Where the next thing in `text` is that is neither space nor comment.
pub(super) fn skip(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        let begins_word = at == 0 || text[..at].ends_with([' ', '\t', '\n', '\r']);
        if !begins_word || !text[at..].starts_with('#') {
            return at;
        }
        at += text[at..].find('\n').unwrap_or(text.len() - at);
    }
}
