//! Values as YAML, in the form in which `spack config get` prints them: blocks, two columns deeper for each mapping, lists as
//! deep as their key, quotes where they are needed.

use crate::value::{Data, Key, Mapping, Mark, Origin, Value};

/// One line of YAML, and where what it says is written; none for what is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line, without its end.
    pub text: String,
    /// The origin of the last text or key on it.
    pub origin: Option<Origin>,
}

/// A section as YAML.
pub fn yaml(section: &str, value: &Value) -> String {
    lines(section, value).into_iter().map(|line| line.text + "\n").collect()
}

/// A section as lines of YAML with their origins.
pub fn lines(section: &str, value: &Value) -> Vec<Line> {
    let mut printer = Printer { lines: Vec::new(), last: None };
    printer.entry(&quoted(section), value, 0, "");
    printer.lines
}

struct Printer {
    lines: Vec<Line>,
    last: Option<Origin>,
}

impl Printer {
    /// `key: value` at a depth; `lead` is what stands in place of the last columns of the indentation: `- `.
    fn entry(&mut self, key: &str, value: &Value, depth: usize, lead: &str) {
        let indent = indented(depth, lead);
        match &value.data {
            Data::Mapping(mapping) if !mapping.is_empty() => {
                self.line(format!("{indent}{key}:"));
                self.mapping(mapping, depth + 2, "");
            }
            Data::List(items) if !items.is_empty() => {
                self.line(format!("{indent}{key}:"));
                self.list(items, depth, "");
            }
            _ => {
                self.note(value);
                self.line(format!("{indent}{key}: {}", scalar(value)));
            }
        }
    }

    fn mapping(&mut self, mapping: &Mapping, depth: usize, lead: &str) {
        for (at, (key, value)) in mapping.iter().enumerate() {
            self.last = Some(key.origin.clone());
            self.entry(&written_key(key), value, depth, if at == 0 { lead } else { "" });
        }
    }

    fn list(&mut self, items: &[Value], depth: usize, lead: &str) {
        for (at, item) in items.iter().enumerate() {
            let lead = if at == 0 { format!("{lead}- ") } else { "- ".to_owned() };
            match &item.data {
                Data::Mapping(mapping) if !mapping.is_empty() => self.mapping(mapping, depth + 2, &lead),
                Data::List(items) if !items.is_empty() => self.list(items, depth + 2, &lead),
                _ => {
                    self.note(item);
                    self.line(format!("{}{}", indented(depth + 2, &lead), scalar(item)));
                }
            }
        }
    }

    /// Text counts as written where it stands; other values where their key does, as in `spack config blame`.
    fn note(&mut self, value: &Value) {
        if value.text().is_some() {
            self.last = Some(value.origin.clone());
        }
    }

    fn line(&mut self, text: String) {
        self.lines.push(Line { text, origin: self.last.clone() });
    }
}

fn indented(depth: usize, lead: &str) -> String {
    format!("{}{lead}", " ".repeat(depth.saturating_sub(lead.len())))
}

/// A key with its mark.
fn written_key(key: &Key) -> String {
    match key.mark {
        Mark::Merge => quoted(&key.name),
        Mark::Replace => quoted(&format!("{}:", key.name)),
        Mark::Prepend => quoted(&format!("{}+", key.name)),
        Mark::Append => quoted(&format!("{}-", key.name)),
    }
}

/// A value that fits on a line.
fn scalar(value: &Value) -> String {
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::Boolean(flag) => flag.to_string(),
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => float(*number),
        Data::Text(text) => quoted(text),
        Data::List(_) => "[]".to_owned(),
        Data::Mapping(_) => "{}".to_owned(),
    }
}

/// A number that is not whole, or is written as if it were not.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() }
    } else {
        format!("{number:?}")
    }
}

/// Text as a YAML scalar: plain where that is read as the same text.
pub fn quoted(text: &str) -> String {
    if text
        .chars()
        .any(|c| c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}' || c == '\u{85}')
    {
        return in_double_quotes(text);
    }
    let starts_like_something = text.starts_with(|c: char| ",[]{}#&*!|>'\"%@`".contains(c))
        || ["---", "..."].iter().any(|mark| text.starts_with(mark))
        || (text.starts_with(['-', '?', ':']) && text[1..].chars().next().is_none_or(|c| c == ' '));
    let means_something = text.contains(": ") || text.ends_with(':') || text.contains(" #");
    let has_space_around = text.starts_with(' ') || text.ends_with(' ');
    if text.is_empty()
        || starts_like_something
        || means_something
        || has_space_around
        || !crate::plain::is_text(text)
    {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

fn in_double_quotes(text: &str) -> String {
    let mut result = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            '\r' => result.push_str("\\r"),
            '\0' => result.push_str("\\0"),
            '\u{1b}' => result.push_str("\\e"),
            c if (c as u32) < 0x100 && c.is_control() => result.push_str(&format!("\\x{:02X}", c as u32)),
            '\u{feff}' | '\u{2028}' | '\u{2029}' => result.push_str(&format!("\\u{:04X}", c as u32)),
            c => result.push(c),
        }
    }
    result + "\""
}
