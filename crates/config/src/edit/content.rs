//! [`Content`]: what an edit writes, in the style in which Spack writes it.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use saphyr_parser::ScalarStyle;

use super::tree::{Kind, Node};

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A list; on lines of its own, with its dashes below the key, if it can be.
    List(Vec<Content>),
    /// A mapping, in order.
    Mapping(Vec<(String, Content)>),
    /// What is written elsewhere in the text, as it is written there; what it means is `meaning`.
    Verbatim {
        /// The text, on one line.
        written: String,
        /// What the parser makes of it.
        meaning: Yaml<'static>,
    },
}

impl Content {
    /// Some text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As the value of a key of a block, on one line.
    pub(crate) fn one_line(&self) -> String {
        self.inline(false)
    }

    /// What a parser has to find.
    pub(crate) fn meaning(&self) -> Yaml<'static> {
        match self {
            Self::Text(text) => text_node(text),
            Self::Flag(flag) => Yaml::Value(Scalar::Boolean(*flag)),
            Self::List(items) => Yaml::Sequence(items.iter().map(Self::meaning).collect()),
            Self::Mapping(pairs) => {
                Yaml::Mapping(pairs.iter().map(|(key, value)| (text_node(key), value.meaning())).collect())
            }
            Self::Verbatim { meaning, .. } => meaning.clone(),
        }
    }

    /// On one line, within brackets or braces or not.
    pub(super) fn inline(&self, in_flow: bool) -> String {
        match self {
            Self::Text(text) => scalar(text, in_flow),
            Self::Flag(flag) => flag.to_string(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.inline(true)).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Mapping(pairs) => {
                let pair =
                    |(key, value): &(String, Self)| format!("{}: {}", scalar(key, true), value.inline(true));
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
            Self::Verbatim { written, .. } => written.clone(),
        }
    }

    /// What follows a key's colon, up to the end of the entry: lines without their indentation but for what they have below
    /// the key, which is `step` for a mapping.
    fn after_key(&self, step: usize) -> Vec<String> {
        match self {
            Self::Mapping(pairs) if !pairs.is_empty() => {
                let below = pairs.iter().flat_map(|(key, value)| entry(key, value, step));
                let below = below.map(|line| format!("{:step$}{line}", ""));
                std::iter::once(String::new()).chain(below).collect()
            }
            Self::List(items) if !items.is_empty() => {
                let below = items.iter().map(|item| format!("- {}", item.inline(false)));
                std::iter::once(String::new()).chain(below).collect()
            }
            other => vec![format!(" {}", other.inline(false))],
        }
    }
}

/// The lines of an entry of a block mapping.
pub(super) fn entry(key: &str, value: &Content, step: usize) -> Vec<String> {
    let mut lines = value.after_key(step);
    lines[0] = format!("{}:{}", scalar(key, false), lines[0]);
    lines
}

/// The lines below a key for what is its value.
pub(super) fn below(value: &Content, step: usize) -> Vec<String> {
    value.after_key(step).split_off(1)
}

/// A text as a parser gives it.
pub(super) fn text_node(text: &str) -> Yaml<'static> {
    Yaml::Value(Scalar::String(text.to_owned().into()))
}

/// `content` on one line, in quotes if what it replaces is.
pub(super) fn instead(content: &Content, old: &Node, in_flow: bool) -> String {
    let Content::Text(text) = content else { return content.inline(in_flow) };
    match old.kind {
        Kind::Scalar { style: ScalarStyle::DoubleQuoted, .. } => escaped(text),
        Kind::Scalar { style: ScalarStyle::SingleQuoted, .. } if !needs_escapes(text) => single_quoted(text),
        _ => scalar(text, in_flow),
    }
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether only double quotes can hold it.
fn needs_escapes(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || matches!(c, '\u{feff}' | '\u{85}' | '\u{2028}' | '\u{2029}'))
}

/// A text as it is written: as it is if it can be, else in quotes.
pub(super) fn scalar(text: &str, in_flow: bool) -> String {
    if needs_escapes(text) {
        escaped(text)
    } else if is_plain(text, in_flow) {
        text.to_owned()
    } else {
        single_quoted(text)
    }
}

/// Whether a text can stand without quotes, for parsers of YAML 1.1 too.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let mut after_first = text.chars().skip(1);
    let starts = match first {
        '-' | '?' | ':' => after_first.next().is_some_and(|c| c != ' '),
        _ => !"[]{},#&*!|>'\"%@`=<".contains(first) && !first.is_whitespace(),
    };
    let words = ["yes", "no", "on", "off", "y", "n", "true", "false", "null", "~", "..."];
    let ends_early = text.ends_with([' ', ':', '\t'])
        || text.starts_with("---")
        || text.contains(": ")
        || text.contains(" #")
        || (in_flow && ends_in_flow(text));
    starts
        && !ends_early
        && !words.contains(&&*text.to_ascii_lowercase())
        && !is_number_or_date(text)
        && means_itself(text)
}

/// Whether text in brackets or braces would end before its end, or could be taken for a key.
fn ends_in_flow(text: &str) -> bool {
    text.contains([',', '[', ']', '{', '}']) || (text.contains(':') && text.contains(['"', '\'']))
}

/// Whether some parser could take it for a number, a time or a date.
fn is_number_or_date(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    begins && text.chars().all(|c| c.is_ascii_hexdigit() || "xXoO_+-.:TtZz ".contains(c))
        || matches!(text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), ".inf" | ".nan")
}

fn means_itself(text: &str) -> bool {
    let parsed = Yaml::load_from_str(text);
    parsed.is_ok_and(
        |documents| matches!(&documents[..], [Yaml::Value(Scalar::String(found))] if found == text),
    )
}

fn escaped(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if needs_escapes(c.encode_utf8(&mut [0; 4])) => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
