//! Edits of YAML that change what they should and leave every other byte as it is.
//!
//! [`Edit`] finds the places in the text ([`tree`]), splices lines or parts of lines there ([`block`], [`flow`]), and has
//! another parser read the result: only if it means what the old text meant but for the one change is it taken. Whatever this
//! module does not know to write well (block scalars in odd places, anchors that are shared, tabs) ends as
//! [`ConfigError::CannotEdit`], and never as a file that says something else.

mod block;
mod content;
mod file;
mod flow;
mod meaning;
mod splice;
mod tree;

use std::path::Path;

pub(crate) use content::Content;
pub(crate) use file::{create, edit_file};
use meaning::Change;
use saphyr::Yaml;
use splice::{Splice, apply};
use tree::{Kind, Node, Pair};

use crate::ConfigError;

/// One step from a value to one in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'s> {
    /// The value of that key.
    Key(&'s str),
    /// The item of that number, from 0.
    Item(usize),
}

/// Where a new entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before all others.
    First,
    /// After all others.
    Last,
}

/// A text that is being edited.
pub(crate) struct Edit<'p> {
    path: &'p Path,
    text: String,
}

/// A value that was found, and where it is.
struct Spot<'n> {
    node: &'n Node,
    /// The entry that it is the value of.
    pair: Option<&'n Pair>,
    /// Whether it is in brackets or braces.
    in_flow: bool,
}

impl<'p> Edit<'p> {
    /// Begins with `text`, the content of `path`.
    pub(crate) fn new(path: &'p Path, text: impl Into<String>) -> Self {
        Self { path, text: text.into() }
    }

    /// The text as it is now.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// What is there: as the parser has it, aliases replaced by what they refer to and merge keys as they are written. None if
    /// there is nothing.
    pub(crate) fn get(&self, at: &[Step<'_>]) -> Option<Yaml<'static>> {
        meaning::read(&self.text)?.and_then(|root| meaning::find(&root, at).cloned())
    }

    /// The text of the scalar at `at`, as it is written there with its quotes, or the alias.
    pub(crate) fn written(&self, at: &[Step<'_>]) -> Option<String> {
        let tree = tree::read(&self.text)?;
        let node = find(tree.root.as_ref()?, at)?.node;
        let is_inline = matches!(node.kind, Kind::Scalar { .. } | Kind::Alias) && !node.is_unwritten();
        let written = &self.text[node.properties..node.end];
        (is_inline && !written.contains('\n')).then(|| written.to_owned())
    }

    /// Puts an entry into the mapping at `at`, which is made if it is not there.
    pub(crate) fn insert(
        &mut self,
        at: &[Step<'_>],
        place: Place,
        key: &str,
        content: &Content,
    ) -> Result<(), ConfigError> {
        let change = Change::Insert { place, key, content: content.meaning() };
        self.change(at, change, |tree| {
            let entry = || Content::Mapping(vec![(key.to_owned(), content.clone())]);
            let Some(root) = &tree.root else {
                return Some(vec![splice::append(tree.text, &nested(at, entry())?)]);
            };
            match reach(root, at)? {
                Reached::Value(spot) if splice::is_empty(tree.text, spot.node) && spot.pair.is_some() => {
                    block::fill(tree, &spot, &entry())
                }
                Reached::Value(spot) => insert_into(tree, spot.node, spot.in_flow, place, key, content),
                Reached::Missing { parent, step: Step::Key(missing), below } => {
                    add_missing(tree, &parent, missing, nested(below, entry())?)
                }
                Reached::Missing { .. } => None,
            }
        })
    }

    /// Puts an item at the end of the list at `at`, which is made if it is not there.
    pub(crate) fn push(&mut self, at: &[Step<'_>], content: &Content) -> Result<(), ConfigError> {
        self.change(at, Change::Push(content.meaning()), |tree| {
            let list = Content::List(vec![content.clone()]);
            let Some(root) = &tree.root else {
                return Some(vec![splice::append(tree.text, &nested(at, list)?)]);
            };
            match reach(root, at)? {
                Reached::Value(spot) if splice::is_empty(tree.text, spot.node) && spot.pair.is_some() => {
                    block::fill(tree, &spot, &list)
                }
                Reached::Value(spot) => match &spot.node.kind {
                    Kind::List { flow: true, items } => {
                        let ends: Vec<_> = items.iter().map(|item| (item.start, item.node.end)).collect();
                        flow::insert(tree, spot.node, &ends, Place::Last, &content.inline(true))
                    }
                    Kind::List { flow: false, items } => block::push(tree, items, content),
                    _ => None,
                },
                Reached::Missing { parent, step: Step::Key(missing), below } => {
                    add_missing(tree, &parent, missing, nested(below, list)?)
                }
                Reached::Missing { .. } => None,
            }
        })
    }

    /// Takes the entry or the item at `at` away. A collection that has nothing left is written `{}` or `[]`.
    pub(crate) fn remove(&mut self, at: &[Step<'_>]) -> Result<(), ConfigError> {
        self.change(at, Change::Remove, |tree| {
            let (last, parents) = at.split_last()?;
            let parent = find(tree.root.as_ref()?, parents)?;
            let (range, is_flow, number, extents) = match (&parent.node.kind, last) {
                (Kind::Mapping { flow, pairs }, Step::Key(name)) => {
                    let number = pairs.iter().position(|pair| pair.name() == Some(name))?;
                    let ends = |pair: &Pair| (pair.start, pair.value.end.max(pair.after_colon));
                    let extents: Vec<_> = pairs.iter().map(ends).collect();
                    (extents[number], *flow, number, extents)
                }
                (Kind::List { flow, items }, Step::Item(number)) => {
                    let after_sign = |start: usize| if *flow { start } else { start + 1 };
                    let extents: Vec<_> = items
                        .iter()
                        .map(|item| (item.start, item.node.end.max(after_sign(item.start))))
                        .collect();
                    (*extents.get(*number)?, *flow, *number, extents)
                }
                _ => return None,
            };
            let mut splices = if is_flow {
                flow::remove(tree, parent.node, &extents, number)?
            } else {
                let next = extents.get(number + 1).map(|next| next.0);
                block::remove(tree, &parent, range, next, extents.len() == 1)?
            };
            splices.extend(splice::keep_anchors(tree, range.0..range.1)?);
            Some(splices)
        })
    }

    /// Puts something else in the place of the value at `at`, which must be there.
    pub(crate) fn replace(&mut self, at: &[Step<'_>], content: &Content) -> Result<(), ConfigError> {
        self.change(at, Change::Replace(content.meaning()), |tree| {
            let spot = find(tree.root.as_ref()?, at)?;
            let mut splices = block::replace(tree, &spot, content)?;
            // What is written again, with its anchor, is where it was.
            if !matches!(content, Content::Mapping(_)) {
                splices.extend(splice::keep_anchors(tree, spot.node.properties..spot.node.end)?);
            }
            Some(splices)
        })
    }

    /// Gives the entry at `at` another key.
    pub(crate) fn rename(&mut self, at: &[Step<'_>], to: &str) -> Result<(), ConfigError> {
        self.change(at, Change::Rename(to), |tree| {
            let spot = find(tree.root.as_ref()?, at)?;
            let key = &spot.pair?.key;
            Some(vec![Splice {
                range: key.start..key.end,
                text: content::instead(&Content::text(to), key, spot.in_flow),
            }])
        })
    }

    /// Does as `splices` say, if the outcome is what `change` means.
    fn change(
        &mut self,
        at: &[Step<'_>],
        change: Change<'_>,
        splices: impl FnOnce(&tree::Tree<'_>) -> Option<Vec<Splice>>,
    ) -> Result<(), ConfigError> {
        let edited = tree::read(&self.text)
            .and_then(|tree| splices(&tree))
            .and_then(|splices| apply(&self.text, splices))
            .filter(|edited| meaning::is_changed(&self.text, edited, at, change));
        self.text = edited.ok_or_else(|| ConfigError::CannotEdit { path: self.path.to_owned() })?;
        Ok(())
    }
}

/// How far one gets along steps.
enum Reached<'n, 's> {
    /// To the end.
    Value(Spot<'n>),
    /// To a mapping, or to nothing, that has not the next step.
    Missing { parent: Spot<'n>, step: Step<'s>, below: &'s [Step<'s>] },
}

/// Follows steps; none where they lead into what is no collection, or through an alias.
fn reach<'n, 's>(root: &'n Node, at: &'s [Step<'s>]) -> Option<Reached<'n, 's>> {
    let mut spot = Spot { node: root, pair: None, in_flow: false };
    for (number, step) in at.iter().enumerate() {
        let missing = |parent| {
            Some(Reached::Missing { parent, step: *step, below: at.get(number + 1..).unwrap_or(&[]) })
        };
        spot = match (&spot.node.kind, step) {
            (Kind::Mapping { flow, pairs }, Step::Key(name)) => {
                match pairs.iter().find(|pair| pair.name() == Some(name)) {
                    None => return missing(spot),
                    Some(pair) => {
                        Spot { node: &pair.value, pair: Some(pair), in_flow: spot.in_flow || *flow }
                    }
                }
            }
            (Kind::List { flow, items }, Step::Item(number)) => {
                Spot { node: &items.get(*number)?.node, pair: None, in_flow: spot.in_flow || *flow }
            }
            _ if spot.node.is_null() => return missing(spot),
            _ => return None,
        };
    }
    Some(Reached::Value(spot))
}

fn find<'n>(root: &'n Node, at: &[Step<'_>]) -> Option<Spot<'n>> {
    match reach(root, at)? {
        Reached::Value(spot) => Some(spot),
        Reached::Missing { .. } => None,
    }
}

/// `content` below keys.
fn nested(at: &[Step<'_>], content: Content) -> Option<Content> {
    at.iter().rev().try_fold(content, |content, step| match step {
        Step::Key(key) => Some(Content::Mapping(vec![((*key).to_owned(), content)])),
        Step::Item(_) => None,
    })
}

/// Puts an entry that is not there into a mapping, or in the place of nothing.
fn add_missing(tree: &tree::Tree<'_>, parent: &Spot<'_>, key: &str, content: Content) -> Option<Vec<Splice>> {
    if splice::is_empty(tree.text, parent.node) && parent.pair.is_some() {
        return block::fill(tree, parent, &Content::Mapping(vec![(key.to_owned(), content)]));
    }
    insert_into(tree, parent.node, parent.in_flow, Place::Last, key, &content)
}

/// Puts an entry into a mapping that has some, or is written in braces.
fn insert_into(
    tree: &tree::Tree<'_>,
    mapping: &Node,
    in_flow: bool,
    place: Place,
    key: &str,
    content: &Content,
) -> Option<Vec<Splice>> {
    match &mapping.kind {
        Kind::Mapping { flow: true, pairs } => {
            let ends = |pair: &Pair| (pair.start, pair.value.end.max(pair.after_colon));
            let ends: Vec<_> = pairs.iter().map(ends).collect();
            let text = format!("{}: {}", content::scalar(key, true), content.inline(true));
            flow::insert(tree, mapping, &ends, place, &text)
        }
        Kind::Mapping { flow: false, pairs } if !in_flow => block::insert(tree, pairs, place, key, content),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
