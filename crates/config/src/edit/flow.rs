//! Edits of what is written in brackets or braces, on one line or on several.

use std::ops::Range;

use super::Place;
use super::splice::{Splice, before_on_line, line_end, line_start, newline};
use super::tree::{Node, Tree, skip};

/// A new element among those that stand at `elements` (where each begins and ends) within `node`.
pub(super) fn insert(
    tree: &Tree<'_>,
    node: &Node,
    elements: &[(usize, usize)],
    place: Place,
    written: &str,
) -> Option<Vec<Splice>> {
    let text = tree.text;
    let at = |at: usize, text: String| vec![Splice { range: at..at, text }];
    let (Some(first), Some(last)) = (elements.first(), elements.last()) else {
        return Some(at(node.start + 1, written.to_owned()));
    };
    let newline = newline(text);
    if place == Place::First {
        let indent = before_on_line(text, first.0);
        return Some(if is_blank(indent) {
            at(first.0, format!("{written},{newline}{indent}"))
        } else {
            at(first.0, format!("{written}, "))
        });
    }
    let comma = comma_after(text, last.1);
    let indent = before_on_line(text, last.0);
    let closing = skip(text, comma.map_or(last.1, |comma| comma + 1));
    let is_on_own_line = is_blank(indent) && text[last.1..closing].contains('\n');
    Some(match (is_on_own_line, comma) {
        (false, None) => at(last.1, format!(", {written}")),
        (false, Some(comma)) => at(comma + 1, format!(" {written},")),
        (true, comma) => {
            // A comment after the last element stays with it.
            let end = line_end(text, comma.unwrap_or(last.1));
            let separator = if comma.is_some() { "," } else { "" };
            let mut splices = at(end, format!("{indent}{written}{separator}{newline}"));
            if comma.is_none() {
                splices.push(Splice { range: last.1..last.1, text: ",".to_owned() });
            }
            splices
        }
    })
}

/// Takes the element of that number away, with the comma that it no longer needs.
pub(super) fn remove(
    tree: &Tree<'_>,
    node: &Node,
    elements: &[(usize, usize)],
    number: usize,
) -> Option<Vec<Splice>> {
    let text = tree.text;
    let (start, end) = *elements.get(number)?;
    let cut = |range: Range<usize>| Splice { range, text: String::new() };
    let comma = comma_after(text, end);
    let whole = start..comma.map_or(end, |comma| comma + 1);
    let rest_of_line = &text[whole.end..line_end(text, whole.end)];
    let has_own_line = is_blank(before_on_line(text, start))
        && (rest_of_line.trim().is_empty() || rest_of_line.trim_start().starts_with('#'))
        && line_end(text, whole.end) < node.end;
    let own_lines = line_start(text, start)..line_end(text, whole.end);
    let is_last = number + 1 == elements.len();
    let before = number.checked_sub(1).and_then(|before| elements.get(before));
    Some(match (before, is_last) {
        // Not every parser takes brackets with only comments in them.
        (None, true) => vec![cut(node.start + 1..node.end - 1)],
        (_, false) if has_own_line => vec![cut(own_lines)],
        (_, false) => {
            let next = elements.get(number + 1)?.0;
            let is_apart = text[whole.end..next].contains('#');
            vec![cut(start..if is_apart { whole.end } else { next })]
        }
        (Some(before), true) => {
            let mut splices = Vec::new();
            // Whoever ends the list with a comma goes on doing so.
            let comma_before = comma_after(text, before.1)?;
            let from = if has_own_line {
                splices.push(cut(own_lines));
                None
            } else if text[comma_before + 1..start].trim().is_empty() {
                Some(comma_before + 1..whole.end)
            } else {
                Some(whole.clone())
            };
            let ends_with_comma = comma.is_some();
            match from {
                Some(range) if !ends_with_comma && range.start == comma_before + 1 => {
                    splices.push(cut(comma_before..range.end));
                }
                other => {
                    splices.extend(other.map(cut));
                    if !ends_with_comma {
                        splices.push(cut(comma_before..comma_before + 1));
                    }
                }
            }
            splices
        }
    })
}

/// Where the comma after an element is.
fn comma_after(text: &str, end: usize) -> Option<usize> {
    let at = skip(text, end);
    text[at..].starts_with(',').then_some(at)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t'))
}
