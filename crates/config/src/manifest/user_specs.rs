//! Lists of specs with references, matrices and conditions, made into lists without references.
//!
//! The rules are those of Spack's `environment/list.py`: definitions are worked off in the order in which their names first
//! appear, a reference leads to what is defined before it, and what a sigil makes of a matrix it makes of it wherever that
//! matrix is referred to.

use std::cell::Cell;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::value::{Key, Origin};
use crate::{ConfigError, Value};

/// What a manifest wants: its `specs` with references replaced by what they stand for.
#[derive(Clone, Debug, Default)]
pub struct UserSpecs {
    /// In order.
    pub specs: Vec<UserSpec>,
    /// The lists that have names, in the order in which they are defined.
    pub definitions: IndexMap<String, Vec<UserSpec>>,
    /// The plain specs of every list as they are written, of `specs` too: what can be removed by itself.
    pub written: IndexMap<String, Vec<SpecText>>,
}

/// One item of a list of specs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSpec {
    /// A spec.
    One(SpecText),
    /// Every combination of one item of each row, but for those that satisfy one of `exclude`.
    Matrix {
        /// The rows.
        rows: Vec<Vec<UserSpec>>,
        /// Specs to leave out.
        exclude: Vec<SpecText>,
        /// `^` or `%` before each combination.
        sigil: Option<char>,
        /// Where it is written.
        origin: Origin,
    },
}

/// A spec as text, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecText {
    /// The spec.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// What a list is made of while sigils may still change.
#[derive(Clone)]
enum Item {
    One(SpecText),
    Matrix(Rc<Matrix>),
}

struct Matrix {
    rows: Vec<Vec<Item>>,
    exclude: Vec<SpecText>,
    /// Spack keeps it with the matrix and not with the reference, so that it counts for all references.
    sigil: Cell<Option<char>>,
    origin: Origin,
}

/// The list of what is to be installed.
const SPECS: &str = "specs";

/// The parts that define one name; each with its condition.
type Parts<'v> = Vec<(&'v [Value], Option<&'v Value>)>;

/// Expands `specs`, with the value of the section `definitions`. `holds` says whether a condition holds, or why that cannot
/// be told.
pub(super) fn expand(
    specs: Option<&Value>,
    definitions: Option<&Value>,
    holds: &dyn Fn(&str) -> Result<bool, String>,
) -> Result<UserSpecs, ConfigError> {
    let mut expansion = Expansion { known: IndexMap::new() };
    let mut written = IndexMap::new();
    for (name, parts) in by_name(definitions)? {
        let mut values = Vec::new();
        for (items, condition) in parts {
            if let Some(condition) = condition {
                let text = condition.text().ok_or_else(|| condition.invalid("`when` must be text"))?;
                let reason = |reason| condition.invalid(format!("the condition `{text}`: {reason}"));
                if !holds(text).map_err(reason)? {
                    continue;
                }
            }
            values.extend(items);
        }
        let list = expansion.list(&values)?;
        expansion.known.insert(name.to_owned(), list);
        written.insert(name.to_owned(), plain(&values));
    }
    let specs = match specs.filter(|specs| !specs.is_null()) {
        None => Vec::new(),
        Some(specs) => {
            let items = specs.items().ok_or_else(|| specs.invalid("`specs` must be a list"))?;
            let values: Vec<&Value> = items.iter().collect();
            written.insert(SPECS.to_owned(), plain(&values));
            expansion.list(&values)?
        }
    };
    // Last: what is met late may have put a sigil on what was met before.
    let known = expansion.known.into_iter().map(|(name, list)| (name, finished(&list))).collect();
    Ok(UserSpecs { specs: finished(&specs), definitions: known, written })
}

/// The specs that are written out.
fn plain(values: &[&Value]) -> Vec<SpecText> {
    let texts = values.iter().filter_map(|value| Some(spec_text(value, value.text()?)));
    texts.filter(|spec| !spec.text.starts_with('$')).collect()
}

fn finished(list: &[Item]) -> Vec<UserSpec> {
    let finish = |item: &Item| match item {
        Item::One(text) => UserSpec::One(text.clone()),
        Item::Matrix(matrix) => UserSpec::Matrix {
            rows: matrix.rows.iter().map(|row| finished(row)).collect(),
            exclude: matrix.exclude.clone(),
            sigil: matrix.sigil.get(),
            origin: matrix.origin.clone(),
        },
    };
    list.iter().map(finish).collect()
}

/// The parts of each definition, by name, names in the order in which they first appear.
fn by_name(definitions: Option<&Value>) -> Result<IndexMap<&str, Parts<'_>>, ConfigError> {
    let mut found: IndexMap<&str, Parts<'_>> = IndexMap::new();
    let Some(definitions) = definitions.filter(|value| !value.is_null()) else { return Ok(found) };
    let items = definitions.items().ok_or_else(|| definitions.invalid("`definitions` must be a list"))?;
    for item in items {
        let mapping = item.mapping().ok_or_else(|| item.invalid("a definition is a name and a list"))?;
        let names: Vec<(&Key, &Value)> = mapping.iter().filter(|(key, _)| key.name != "when").collect();
        let (key, value) = match names.as_slice() {
            [] => return Err(item.invalid("this definition has a condition, and no name and list")),
            [one] => *one,
            several => {
                let names: Vec<&str> = several.iter().map(|(key, _)| key.name.as_str()).collect();
                return Err(item.invalid(format!(
                    "a definition has one name and this one has several: {}",
                    names.join(", ")
                )));
            }
        };
        let list = value.items().ok_or_else(|| value.invalid(format!("`{}` must be a list", key.name)))?;
        found.entry(key.name.as_str()).or_default().push((list, mapping.get("when")));
    }
    Ok(found)
}

struct Expansion {
    known: IndexMap<String, Vec<Item>>,
}

impl Expansion {
    fn list(&self, values: &[&Value]) -> Result<Vec<Item>, ConfigError> {
        let mut items = Vec::new();
        for value in values {
            match (value.text(), value.mapping()) {
                (Some(text), _) => match text.strip_prefix('$') {
                    Some(reference) => items.extend(self.reference(value, reference)?),
                    None => items.push(Item::One(spec_text(value, text))),
                },
                (_, Some(_)) => items.push(Item::Matrix(Rc::new(self.matrix(value)?))),
                _ => return Err(value.invalid("this must be a spec, as text, or a matrix")),
            }
        }
        Ok(items)
    }

    fn reference(&self, value: &Value, reference: &str) -> Result<Vec<Item>, ConfigError> {
        let sigil = reference.chars().next().filter(|first| matches!(first, '^' | '%'));
        let name = reference.trim_start_matches(|c| Some(c) == sigil);
        let name = if sigil.is_some() { &reference[1..] } else { name };
        let Some(list) = self.known.get(name) else {
            return Err(value.invalid(format!("`{name}` is not defined, or not before this")));
        };
        let Some(sigil) = sigil else { return Ok(list.clone()) };
        let marked = |item: &Item| match item {
            Item::One(SpecText { text, origin }) => {
                Item::One(SpecText { text: format!("{sigil}{text}"), origin: origin.clone() })
            }
            Item::Matrix(matrix) => {
                matrix.sigil.set(Some(sigil));
                item.clone()
            }
        };
        Ok(list.iter().map(marked).collect())
    }

    fn matrix(&self, value: &Value) -> Result<Matrix, ConfigError> {
        let mapping = value.mapping();
        let keys = mapping.into_iter().flat_map(|mapping| mapping.iter().map(|(key, _)| key));
        if let Some(key) = keys.into_iter().find(|key| !["matrix", "exclude"].contains(&key.name.as_str())) {
            let message = format!("`{}` means nothing here: a matrix has `matrix` and `exclude`", key.name);
            return Err(key.origin.invalid(message));
        }
        let matrix = value.get("matrix").ok_or_else(|| value.invalid("this has no `matrix`"))?;
        let written = matrix.items().ok_or_else(|| matrix.invalid("`matrix` must be a list of lists"))?;
        let mut rows = Vec::with_capacity(written.len());
        for row in written {
            let items = row.items().ok_or_else(|| row.invalid("a row of a matrix must be a list"))?;
            rows.push(self.list(&items.iter().collect::<Vec<_>>())?);
        }
        let mut exclude = Vec::new();
        if let Some(list) = value.get("exclude").filter(|list| !list.is_null()) {
            let items = list.items().ok_or_else(|| list.invalid("`exclude` must be a list of specs"))?;
            for item in items {
                let text = item.text().ok_or_else(|| item.invalid("this must be a spec, as text"))?;
                exclude.push(spec_text(item, text));
            }
        }
        Ok(Matrix { rows, exclude, sigil: Cell::new(None), origin: value.origin.clone() })
    }
}

fn spec_text(value: &Value, text: &str) -> SpecText {
    SpecText { text: text.to_owned(), origin: value.origin.clone() }
}
