//! Edits of what is written on lines: the entries of a mapping one below the other, and lists with dashes.

use super::content::{self, Content};
use super::splice::{
    Splice, before_on_line, column, keep_anchors, line_end, line_start, lines_at, list_step, newline, step,
    without_lines,
};
use super::tree::{Item, Kind, Node, Pair, Tree, properties_end};
use super::{Place, Spot};

/// A new entry among `pairs`, of which there are some.
pub(super) fn insert(
    tree: &Tree<'_>,
    pairs: &[Pair],
    place: Place,
    key: &str,
    content: &Content,
) -> Option<Vec<Splice>> {
    let text = tree.text;
    let (first, last) = (pairs.first()?, pairs.last()?);
    let indent = " ".repeat(column(text, last.start));
    let lines = content::entry(key, content, step(tree));
    let at = match place {
        Place::Last => line_end(text, last.value.end.max(last.after_colon)),
        Place::First if is_blank(before_on_line(text, first.start)) => {
            above(text, line_start(text, first.start))
        }
        // The first key stands after a dash or a colon; so does the new one.
        Place::First => {
            let break_line = format!("{}{indent}", newline(text));
            let written = format!("{}{break_line}", lines.join(&break_line));
            return Some(vec![Splice { range: first.start..first.start, text: written }]);
        }
    };
    Some(vec![lines_at(text, at, &indent, &lines)])
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c == ' ')
}

/// The beginning of the comment directly above a line, or of the line: what is said there is about that line.
fn above(text: &str, line: usize) -> usize {
    let mut at = line;
    while at > 0 {
        let before = line_start(text, at - 1);
        if !text[before..at].trim_start().starts_with('#') {
            break;
        }
        at = before;
    }
    at
}

/// A new last item.
pub(super) fn push(tree: &Tree<'_>, items: &[Item], content: &Content) -> Option<Vec<Splice>> {
    let text = tree.text;
    let last = items.last()?;
    let gap = &text[last.start + 1..last.node.properties.max(last.start + 1)];
    let gap = if !gap.is_empty() && gap.chars().all(|c| c == ' ') { gap } else { " " };
    let line = format!("-{gap}{}", content.inline(false));
    let at = line_end(text, last.node.end.max(last.start + 1));
    Some(vec![lines_at(text, at, &" ".repeat(column(text, last.start)), &[line])])
}

/// Takes lines away. `next` is where the next entry or item begins; if there was `only` this one, `parent` is empty afterwards.
pub(super) fn remove(
    tree: &Tree<'_>,
    parent: &Spot<'_>,
    range: (usize, usize),
    next: Option<usize>,
    only: bool,
) -> Option<Vec<Splice>> {
    let text = tree.text;
    if !is_blank(before_on_line(text, range.0)) {
        // After a dash or a colon: the next one comes up, if there is nothing between them.
        let next = next.filter(|next| text[range.1..*next].trim().is_empty())?;
        return Some(vec![Splice { range: range.0..next, text: String::new() }]);
    }
    let mut splices = vec![without_lines(text, range.0..range.1)];
    if only {
        let empty = if matches!(parent.node.kind, Kind::List { .. }) { " []" } else { " {}" };
        let at = after_properties(tree, parent.pair?, parent.node);
        splices.push(Splice { range: at..at, text: empty.to_owned() });
    }
    Some(splices)
}

/// Where a value can begin: after the colon, anchor and tag.
fn after_properties(tree: &Tree<'_>, pair: &Pair, value: &Node) -> usize {
    let from = if value.is_unwritten() { value.end } else { value.start };
    if value.properties < from {
        properties_end(tree.text, value.properties, from)
    } else if value.is_unwritten() {
        value.end
    } else {
        pair.after_colon
    }
}

/// Writes something in the place of nothing: `{}`, `[]`, `null` or what is not written at all.
pub(super) fn fill(tree: &Tree<'_>, spot: &Spot<'_>, content: &Content) -> Option<Vec<Splice>> {
    let (text, pair) = (tree.text, spot.pair?);
    let at = after_properties(tree, pair, spot.node);
    let end = spot.node.end.max(at);
    if spot.in_flow {
        return Some(vec![Splice { range: at..end, text: format!(" {}", content.inline(true)) }]);
    }
    let step = step(tree);
    let below_key = if matches!(content, Content::List(_)) { list_step(tree) } else { 0 };
    let indent = " ".repeat(column(text, pair.start) + below_key);
    let lines = content::below(content, step);
    if lines.is_empty() {
        return Some(vec![Splice { range: at..end, text: format!(" {}", content.inline(false)) }]);
    }
    Some(vec![
        Splice { range: at..end, text: String::new() },
        lines_at(text, line_end(text, end), &indent, &lines),
    ])
}

/// Writes `content` in the place of a value.
pub(super) fn replace(tree: &Tree<'_>, spot: &Spot<'_>, content: &Content) -> Option<Vec<Splice>> {
    let (text, node) = (tree.text, spot.node);
    let is_block = matches!(node.kind, Kind::Mapping { flow: false, .. } | Kind::List { flow: false, .. });
    let Some(pair) = spot.pair else {
        // An item: on its line.
        let inline = content::instead(content, node, spot.in_flow);
        return (!is_block && !node.is_unwritten())
            .then(|| vec![Splice { range: node.properties..node.end, text: inline }]);
    };
    if is_block {
        // From the end of the key's line on, so that a comment there stays.
        let first = line_start(text, node.start);
        if first <= pair.after_colon {
            return None;
        }
        let at = pair.after_colon;
        if matches!(content, Content::Mapping(pairs) if !pairs.is_empty()) && !spot.in_flow {
            let lines = content::below(content, step(tree));
            let indent = " ".repeat(column(text, pair.start));
            let new = lines_at(text, first, &indent, &lines);
            return Some(vec![new, without_lines(text, node.start..node.end)]);
        }
        let mut splices = vec![without_lines(text, node.start..node.end)];
        let written = Splice { range: at..at, text: format!(" {}", content.inline(false)) };
        // An anchor that nothing refers to goes with what it was for.
        if node.properties < node.start && node.properties < first {
            let end = properties_end(text, node.properties, first);
            splices.push(Splice { range: at..end, text: written.text });
        } else {
            splices.push(written);
        }
        return Some(splices);
    }
    let is_written_again = matches!(content, Content::Mapping(_));
    let whole = Spot { node, pair: Some(pair), in_flow: spot.in_flow };
    if is_written_again {
        return write_below(tree, &whole, content);
    }
    let has_tag = text[node.properties..node.start].contains('!');
    let is_shared = keep_anchors(tree, node.properties..node.end).is_none_or(|moved| !moved.is_empty());
    let start = match (node.is_unwritten(), has_tag || is_shared) {
        (true, _) => after_properties(tree, pair, node),
        (false, true) => node.properties,
        (false, false) => node.start,
    };
    let space =
        if start == pair.after_colon || text[..start].ends_with(|c: char| c != ' ') { " " } else { "" };
    Some(vec![Splice {
        range: start..node.end.max(start),
        text: format!("{space}{}", content::instead(content, node, spot.in_flow)),
    }])
}

/// Writes a mapping in the place of a value on the key's line, anchor and all.
fn write_below(tree: &Tree<'_>, spot: &Spot<'_>, content: &Content) -> Option<Vec<Splice>> {
    let (text, pair, node) = (tree.text, spot.pair?, spot.node);
    let range = pair.after_colon..node.end.max(pair.after_colon);
    if spot.in_flow {
        return Some(vec![Splice { range, text: format!(" {}", content.inline(true)) }]);
    }
    let lines = content::below(content, step(tree));
    let indent = " ".repeat(column(text, pair.start));
    let end = range.end;
    Some(vec![Splice { range, text: String::new() }, lines_at(text, line_end(text, end), &indent, &lines)])
}
