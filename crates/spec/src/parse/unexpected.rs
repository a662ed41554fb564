//! What to say about a character that begins no token: what was expected there, and what was probably meant.

use super::error::SpecSyntaxError;
use super::lexer::{is_blank, one_character};

const ANYTHING: &str =
    "a version `@1.2`, a variant `+name` or `name=value`, a dependency `^name` or `%name`, or a `/hash`";

/// The error of a text that cannot be read on at `at`.
pub(super) fn character(text: &str, at: usize) -> SpecSyntaxError {
    let (span, reason, hint) = explained(text, at);
    SpecSyntaxError { text: text.to_owned(), span, reason, hint }
}

fn explained(text: &str, at: usize) -> (std::ops::Range<usize>, String, Option<String>) {
    // The value of `name:=value` is what is missing.
    let at = if text[at..].starts_with(":=") { at + 1 } else { at };
    let here = one_character(text, at);
    let before = text[..at].trim_end_matches(is_blank);
    let after = text[here.end..].trim_start_matches(is_blank);
    let word = &before[before.trim_end_matches(|c: char| !is_blank(c)).len()..];
    let found = &text[here.clone()];
    let follows = match after.chars().next() {
        Some(next) => format!("not `{next}`"),
        None => "but the text ends".to_owned(),
    };
    match found {
        "@" => (here, format!("expected a version after `@`, {follows}"), None),
        "+" | "~" | "-" => (here, format!("expected the name of a variant after `{found}`, {follows}"), None),
        "/" => (here, format!("expected the beginning of a hash after `/`, {follows}"), None),
        "'" | "\"" => {
            let hint = "quotes stand around the value alone: cflags='-O2 -g'";
            (here, format!("expected {ANYTHING}, not a quote"), Some(hint.to_owned()))
        }
        "=" if word.contains('@') => {
            let hint = "`@=1.2` is exactly that version; only git versions have `=` inside: `@git.main=1.2`";
            (here, "expected the end of the version, not `=`".to_owned(), Some(hint.to_owned()))
        }
        "=" if before.len() < at || after.len() < text[here.end..].len() => {
            let hint =
                "write name=value without blanks around `=`, and quotes if there are some in the value";
            (
                here,
                "expected a name directly before `=` and a value directly after it".to_owned(),
                Some(hint.to_owned()),
            )
        }
        // A quote that is closed would have been read as a value.
        "=" if after.starts_with(['\'', '"']) => {
            let hint = format!("write {} at the end of the value", &after[..1]);
            (here.end..text.len(), "this quote is never closed".to_owned(), Some(hint))
        }
        "=" => (here, format!("expected a value after `=`, {follows}"), None),
        ":" if word.contains('@') => {
            let hint = "a range has one `:`, as in @1.2:1.4; put a comma between several";
            (here, "expected the end of the version, not `:`".to_owned(), Some(hint.to_owned()))
        }
        "," if word.contains('@') => {
            (here, format!("expected a version or a range after `,`, {follows}"), None)
        }
        "," if word.contains(['%', '^']) => {
            let hint = "virtual packages and their provider are written %c,cxx=gcc";
            (
                here,
                "expected `=` and a package after the list of virtual packages".to_owned(),
                Some(hint.to_owned()),
            )
        }
        "." if word.contains('@') => {
            (here, format!("expected a number or a word after `.` in the version, {follows}"), None)
        }
        _ => (here, format!("expected {ANYTHING}, not `{found}`"), None),
    }
}
