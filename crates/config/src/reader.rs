//! A YAML file as a [`Value`]: every scalar as Spack's parser reads it, every value with its line and column.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use saphyr::{MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::value::{Data, Key, Mapping, Mark, Origin, Value};
use crate::{ConfigError, plain};

/// The content of the file `path` of `scope` as a value; none if it has no document or an empty one.
pub(crate) fn file(path: &Path, scope: &str, text: &str) -> Result<Option<Value>, ConfigError> {
    let reader = Reader { scope: scope.into(), file: Some(path.into()), moved: moved(text) };
    let syntax = |error: &ScanError| {
        let marker = error.marker();
        let (line, column) = (marker.line(), marker.col() + 1);
        ConfigError::Syntax { path: path.to_owned(), line, column, message: error.info().to_owned() }
    };
    let documents = parsed(text).map_err(|error| syntax(&error))?;
    if let [_, second, ..] = documents.as_slice() {
        let second = Value { data: Data::Null, origin: reader.origin(second) };
        return Err(second.invalid("there is more than one YAML document"));
    }
    let value = documents.first().map(|document| reader.value(document)).transpose()?;
    Ok(value.filter(|value| !value.is_null()))
}

/// A value that a scope without a file says; the error is a sentence.
pub(crate) fn inline(scope: &str, text: &str) -> Result<Value, String> {
    let reader = Reader { scope: scope.into(), file: None, moved: HashMap::new() };
    let documents = parsed(text).map_err(|error| error.info().to_owned())?;
    match documents.as_slice() {
        [] => Ok(Value { data: Data::Null, origin: Origin::internal(scope) }),
        [document] => reader.value(document).map_err(|error| error.to_string()),
        _ => Err("there is more than one YAML document".to_owned()),
    }
}

fn parsed(text: &str) -> Result<Vec<MarkedYaml<'_>>, ScanError> {
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true)?;
    match loader.error() {
        Some(error) => Err(error.clone()),
        None => Ok(loader.into_documents()),
    }
}

/// What begins elsewhere than the parser says, by where it says so. An alias is where what it stands for is written, as in Spack; a
/// block of text where its `|` or `>` is.
fn moved(text: &str) -> HashMap<usize, Marker> {
    let mut found = HashMap::new();
    if !text.contains(['*', '|', '>']) {
        return found;
    }
    let mut anchors = HashMap::new();
    // What is wrong with it is said by whoever reads it; the parser says it for ever.
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        match event {
            Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, id, _) => {
                let start = indicator(text, span.start);
                found.insert(span.start.index(), start);
                anchors.insert(id, start);
            }
            Event::Scalar(_, _, id, _) | Event::SequenceStart(id, ..) | Event::MappingStart(id, ..)
                if id > 0 =>
            {
                anchors.insert(id, span.start);
            }
            Event::Alias(id) => {
                found.extend(anchors.get(&id).map(|start| (span.start.index(), *start)));
            }
            _ => {}
        }
    }
    found
}

/// The `|` or `>` before a block of text that starts at `start`.
fn indicator(text: &str, start: Marker) -> Marker {
    let before: String = text.chars().take(start.index()).collect();
    let before = before.trim_end();
    let line = before.lines().last().unwrap_or_default();
    let column = line.rfind(['|', '>']).map_or(0, |at| line[..at].chars().count());
    let index = before.chars().count() - line.chars().count() + column;
    Marker::new(index, before.lines().count(), column)
}

struct Reader {
    scope: Arc<str>,
    file: Option<Arc<Path>>,
    /// See [`moved`].
    moved: HashMap<usize, Marker>,
}

impl Reader {
    fn origin(&self, node: &MarkedYaml<'_>) -> Origin {
        let start = node.span.start;
        let start = self.moved.get(&start.index()).copied().unwrap_or(start);
        let (line, column) = self.file.as_ref().map_or((0, 0), |_| (start.line(), start.col() + 1));
        Origin { scope: Arc::clone(&self.scope), file: self.file.clone(), line, column }
    }

    fn invalid(&self, node: &MarkedYaml<'_>, message: impl Into<String>) -> ConfigError {
        Value { data: Data::Null, origin: self.origin(node) }.invalid(message)
    }

    fn value(&self, node: &MarkedYaml<'_>) -> Result<Value, ConfigError> {
        let data = match &node.data {
            YamlData::Sequence(items) => {
                Data::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            YamlData::Mapping(_) => Data::Mapping(self.mapping(node)?),
            YamlData::Representation(text, style, tag) => match scalar(text, *style, tag.as_deref()) {
                // As Spack: a colon at the end of any text is a mark.
                Some(Data::Text(text)) => Data::Text(marked(&text).0.to_owned()),
                Some(data) => data,
                None => return Err(self.invalid(node, format!("`{text}` is a date: put it in quotes"))),
            },
            _ => return Err(self.invalid(node, "this kind of value means nothing in configuration")),
        };
        Ok(Value { data, origin: self.origin(node) })
    }

    /// Merge keys (`<<`) are followed: what they bring comes last, and does not replace what is there.
    fn mapping(&self, node: &MarkedYaml<'_>) -> Result<Mapping, ConfigError> {
        let YamlData::Mapping(pairs) = &node.data else {
            return Err(self.invalid(node, "only a mapping can be merged into another"));
        };
        let mut entries: Vec<(Key, Value)> = Vec::new();
        let mut merged = Vec::new();
        for (key, value) in pairs {
            let YamlData::Representation(written, style, _) = &key.data else {
                return Err(self.invalid(key, "a key must be text"));
            };
            if written == "<<" && *style == ScalarStyle::Plain {
                match &value.data {
                    YamlData::Sequence(sources) => merged.extend(sources.iter()),
                    _ => merged.push(value),
                }
                continue;
            }
            let (name, mark) = marked(written);
            if entries.iter().any(|(known, _)| known.name == name) {
                return Err(self.invalid(key, format!("there is more than one `{name}`")));
            }
            let key = Key { name: name.to_owned(), mark, origin: self.origin(key) };
            entries.push((key, self.value(value)?));
        }
        for source in merged {
            for (key, value) in self.mapping(source)?.into_entries() {
                if !entries.iter().any(|(known, _)| known.name == key.name) {
                    entries.push((key, value));
                }
            }
        }
        Ok(Mapping::new(entries))
    }
}

/// A scalar's value; none for a date.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Data> {
    let as_text = || Some(Data::Text(text.to_owned()));
    match tag.map(|tag| tag.suffix.as_str()) {
        Some("str") => as_text(),
        None if style == ScalarStyle::Plain => plain::value(text),
        None => as_text(),
        Some(_) => plain::value(text),
    }
}

/// Text without its mark, and the mark. A colon after an `@` belongs to a spec, as Spack has it.
pub(crate) fn marked(written: &str) -> (&str, Mark) {
    match written.strip_suffix(':') {
        Some(name) if !written.contains('@') => (name, Mark::Replace),
        _ => (written, Mark::Merge),
    }
}
