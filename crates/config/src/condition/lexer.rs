//! The words of a condition: names, numbers, texts and signs.

use std::fmt;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, or a word such as `and`.
    Name(String),
    /// A text, without its quotes.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `==`, `(`, …
    Sign(String),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Sign(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "`{number}`"),
        }
    }
}

/// The words of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length);
            match word {
                "r" | "R" if after.starts_with(['"', '\'']) => with(length, quoted(after, true)?),
                "u" | "U" if after.starts_with(['"', '\'']) => with(length, quoted(after, false)?),
                _ if after.starts_with(['"', '\'']) => {
                    return Err(format!("texts with `{word}` before them are not known here"));
                }
                word => (Token::Name(word.to_owned()), length),
            }
        } else if first.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let number = rest[..length].parse().map_err(|_| format!("`{}` is no number", &rest[..length]))?;
            (Token::Integer(number), length)
        } else if first == '"' || first == '\'' {
            with(0, quoted(rest, false)?)
        } else {
            let two = rest.get(..2).filter(|two| ["==", "!=", "<=", ">="].contains(two));
            let sign = match two {
                Some(two) => two.to_owned(),
                None if "()[],.<>".contains(first) => first.to_string(),
                None => return Err(format!("`{first}` means nothing here")),
            };
            let length = sign.len();
            (Token::Sign(sign), length)
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn with(before: usize, (text, length): (String, usize)) -> (Token, usize) {
    (Token::Text(text), before + length)
}

/// A text in quotes at the start of `rest`, and how long it is written.
fn quoted(rest: &str, is_raw: bool) -> Result<(String, usize), String> {
    let mut characters = rest.char_indices();
    let Some((_, quote)) = characters.next() else { return Err("a text is missing".to_owned()) };
    let mut text = String::new();
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Ok((text, at + c.len_utf8())),
            '\\' => {
                let Some((_, next)) = characters.next() else { break };
                match next {
                    next if is_raw => text.extend(['\\', next]),
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    '\\' | '\'' | '"' => text.push(next),
                    // As Python: a backslash before anything else is a backslash.
                    next => text.extend(['\\', next]),
                }
            }
            c => text.push(c),
        }
    }
    Err(format!("a text has no closing {quote}"))
}
