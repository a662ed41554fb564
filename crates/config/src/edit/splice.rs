//! Pieces of text that take the place of others, and what lines they are on.

use std::ops::Range;

use super::content::{self, Content};
use super::tree::{Kind, Node, Tree};

/// `text` in the place of `range`.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// All splices at once; none if they overlap.
pub(super) fn apply(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let mut edited = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for splice in splices {
        edited.push_str(text.get(at..splice.range.start)?);
        edited.push_str(&splice.text);
        at = splice.range.end;
    }
    edited.push_str(text.get(at..)?);
    Some(edited)
}

/// Where the line of `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Where the line of `at` ends, line end and all.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// How lines end.
pub(super) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// What stands on the line before `at`.
pub(super) fn before_on_line(text: &str, at: usize) -> &str {
    &text[line_start(text, at)..at]
}

/// In which column `at` is, from 0, in characters.
pub(super) fn column(text: &str, at: usize) -> usize {
    before_on_line(text, at).chars().count()
}

/// Whole lines at `at`, the beginning of a line or the end of the text.
pub(super) fn lines_at(text: &str, at: usize, indent: &str, lines: &[String]) -> Splice {
    let newline = newline(text);
    let lines: Vec<String> = lines
        .iter()
        .map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") })
        .collect();
    let joined = lines.join(newline);
    // A text that does not end with a line end still does not.
    let is_unfinished = at == text.len() && !text.is_empty() && !text.ends_with('\n');
    let text = if is_unfinished { format!("{newline}{joined}") } else { format!("{joined}{newline}") };
    Splice { range: at..at, text }
}

/// The lines of `range`, whole. If the last of them has no line end, the one before has none afterwards.
pub(super) fn without_lines(text: &str, range: Range<usize>) -> Splice {
    let (mut start, end) = (line_start(text, range.start), line_end(text, range.end));
    if end == text.len() && !text.ends_with('\n') {
        let before = &text[..start];
        start = before.strip_suffix('\n').map_or(before, |it| it.strip_suffix('\r').unwrap_or(it)).len();
    }
    Splice { range: start..end, text: String::new() }
}

/// A mapping at the end of a text that has nothing but comments.
pub(super) fn append(text: &str, content: &Content) -> Splice {
    let Content::Mapping(pairs) = content else { return Splice { range: 0..0, text: String::new() } };
    let lines: Vec<String> = pairs.iter().flat_map(|(key, value)| content::entry(key, value, 2)).collect();
    let newline = newline(text);
    let before = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    Splice { range: text.len()..text.len(), text: format!("{before}{}{newline}", lines.join(newline)) }
}

/// Whether a value has nothing in it, not even a comment, so that it can be written anew.
pub(super) fn is_empty(text: &str, node: &Node) -> bool {
    match &node.kind {
        Kind::List { flow: true, items } if items.is_empty() => skip_inside(text, node),
        Kind::Mapping { flow: true, pairs } if pairs.is_empty() => skip_inside(text, node),
        _ => node.is_null(),
    }
}

fn skip_inside(text: &str, node: &Node) -> bool {
    let inside = &text[node.start + 1..node.end - 1];
    inside.chars().all(|c| matches!(c, ' ' | '\t'))
}

/// What is anchored in `removed` and referred to elsewhere moves to the first place that refers to it. None if it is not on one
/// line.
pub(super) fn keep_anchors(tree: &Tree<'_>, removed: Range<usize>) -> Option<Vec<Splice>> {
    let mut anchored: Vec<&Node> = Vec::new();
    let mut aliases: Vec<&Node> = Vec::new();
    tree.root.as_ref()?.walk(&mut |node| match node.kind {
        Kind::Alias if !removed.contains(&node.start) => aliases.push(node),
        Kind::Alias => {}
        _ if node.anchor > 0 && removed.contains(&node.properties) => anchored.push(node),
        _ => {}
    });
    let mut splices = Vec::new();
    for node in anchored {
        let Some(alias) = aliases.iter().find(|alias| alias.anchor == node.anchor) else { continue };
        let written = &tree.text[node.properties..node.end];
        let is_block =
            matches!(node.kind, Kind::List { flow: false, .. } | Kind::Mapping { flow: false, .. });
        if is_block || written.contains('\n') {
            return None;
        }
        splices.push(Splice { range: alias.start..alias.end, text: written.to_owned() });
    }
    Some(splices)
}

/// How far the entries of a mapping are indented in this file.
pub(super) fn step(tree: &Tree<'_>) -> usize {
    let mut step = None;
    visit_values(tree, &mut |key, value| {
        if let (None, Kind::Mapping { flow: false, pairs }) = (step, &value.kind)
            && let Some(first) = pairs.first()
        {
            step =
                column(tree.text, first.start).checked_sub(column(tree.text, key)).filter(|step| *step > 0);
        }
    });
    step.unwrap_or(2)
}

/// How far the dashes of a list are indented in this file.
pub(super) fn list_step(tree: &Tree<'_>) -> usize {
    let mut step = None;
    visit_values(tree, &mut |key, value| {
        if let (None, Kind::List { flow: false, items }) = (step, &value.kind)
            && let Some(first) = items.first()
        {
            step = column(tree.text, first.start).checked_sub(column(tree.text, key));
        }
    });
    step.unwrap_or(0)
}

/// The values of all mappings, with where their keys are.
fn visit_values(tree: &Tree<'_>, visit: &mut impl FnMut(usize, &Node)) {
    let Some(root) = &tree.root else { return };
    root.walk(&mut |node| {
        if let Kind::Mapping { pairs, .. } = &node.kind {
            pairs.iter().for_each(|pair| visit(pair.start, &pair.value));
        }
    });
}
