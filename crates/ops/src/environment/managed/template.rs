//! The manifest of a new environment, as text.

use super::ViewChoice;
use std::fmt::Write;
use std::path::PathBuf;

/// Scalars that YAML takes for something else than text.
const NOT_TEXT: [&str; 12] =
    ["true", "false", "yes", "no", "on", "off", "null", "~", "y", "n", ".nan", ".inf"];

/// A manifest that wants `specs`.
pub(super) fn manifest(
    specs: &[String],
    view: &ViewChoice,
    unify: bool,
    include_concrete: &[PathBuf],
) -> String {
    let mut text = String::from(
        "# The packages of an environment, and its configuration. Spack and strata read it alike.\nspack:\n",
    );
    if !include_concrete.is_empty() {
        text.push_str("  include_concrete:\n");
        for directory in include_concrete {
            writeln!(text, "  - {}", scalar(&directory.display().to_string())).ok();
        }
    }
    text.push_str("  # What is wanted\n");
    if specs.is_empty() {
        text.push_str("  specs: []\n");
    } else {
        text.push_str("  specs:\n");
        for spec in specs {
            writeln!(text, "  - {}", scalar(spec)).ok();
        }
    }
    let view = match view {
        ViewChoice::Unsaid => "true".to_owned(),
        ViewChoice::Without => "false".to_owned(),
        ViewChoice::At(path) => scalar(&path.display().to_string()),
    };
    write!(text, "  view: {view}\n  concretizer:\n    unify: {unify}\n").ok();
    text
}

/// Text as a YAML scalar: quoted where it would be, or could be, something else.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./@+~=,^% -:".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_read_otherwise = NOT_TEXT.iter().any(|word| word.eq_ignore_ascii_case(text));
    let ends = text.ends_with([':', ' ']) || text.contains(": ");
    if begins && text.chars().all(is_plain) && !ends && !is_read_otherwise {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        // Only double quotes have escapes, and those of JSON are among them.
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn what_would_be_something_else_is_quoted() {
        for plain in ["hdf5@1.14 +mpi ^openmpi", "/views/a-b", "python@3:3.12 %gcc"] {
            assert_eq!(scalar(plain), plain);
        }
        for (text, quoted) in [
            ("%gcc", "'%gcc'"),
            ("python@3:", "'python@3:'"),
            ("it's", "'it''s'"),
            ("a: b", "'a: b'"),
            ("null", "'null'"),
            ("7zip", "'7zip'"),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(scalar(text), quoted);
        }
    }
}
