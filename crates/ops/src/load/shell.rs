//! Shell code that sets and unsets variables, whatever is in their values.
//!
//! `eval "$(strata …)"` gives a POSIX shell the text as it is. csh has no such thing: what backquotes give it is taken apart at
//! blanks and put together again with single ones, and patterns of file names are looked up, quotes or not. What that would
//! change is written by its octal codes (`$'\040'`), which tcsh understands and older kinds of csh do not; all else is written
//! so that any csh does.

use std::fmt::Write;

/// A family of shells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shell {
    /// sh, dash, bash, zsh.
    #[default]
    Sh,
    /// csh, tcsh.
    Csh,
    /// fish.
    Fish,
}

impl Shell {
    /// Code that makes these changes: a line for each, which ends with a semicolon. Names that no shell takes are left out; see
    /// [`is_name`].
    pub fn code(self, changes: &[(String, Option<String>)]) -> String {
        let mut code = String::new();
        for (name, value) in changes.iter().filter(|(name, _)| is_name(name)) {
            let line = match value {
                Some(value) => self.set(name, value),
                None => self.unset(name),
            };
            code += &line;
        }
        code
    }

    /// A line that sets a variable for the shell and what it starts. `name` is one that [`is_name`] is true of.
    pub fn set(self, name: &str, value: &str) -> String {
        let value = self.quoted(value);
        match self {
            Self::Sh => format!("export {name}={value};\n"),
            Self::Csh => format!("setenv {name} {value};\n"),
            Self::Fish => format!("set -gx {name} {value};\n"),
        }
    }

    /// A line that makes a variable unknown. `name` is one that [`is_name`] is true of.
    pub fn unset(self, name: &str) -> String {
        match self {
            Self::Sh => format!("unset {name};\n"),
            Self::Csh => format!("unsetenv {name};\n"),
            Self::Fish => format!("set -e {name};\n"),
        }
    }

    /// A word that stands for `text`, and nothing else.
    pub fn quoted(self, text: &str) -> String {
        if !text.is_empty() && text.bytes().all(is_plain) {
            return text.to_owned();
        }
        match self {
            Self::Sh => format!("'{}'", text.replace('\'', r"'\''")),
            Self::Csh if is_changed_by_csh(text) => octal(text),
            // History is looked for within quotes, too.
            Self::Csh => format!("'{}'", text.replace('\'', r"'\''").replace('!', r"\!")),
            Self::Fish => fish(text),
        }
    }
}

/// Whether a text can be the name of a variable in every shell.
pub fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a byte means nothing in any shell, wherever it is in a word.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_/.,:+-@".contains(&byte)
}

/// Whether it would not survive backquotes.
fn is_changed_by_csh(text: &str) -> bool {
    text.contains("  ") || text.contains(|c: char| c.is_ascii_control() || "*?[]{}~".contains(c))
}

/// `$'\141\142'`: what means something by its codes.
fn octal(text: &str) -> String {
    let mut word = String::from("$'");
    for c in text.chars() {
        match c {
            // Its code would end the word.
            '\'' => word.push_str(r"'\'$'"),
            c if !c.is_ascii() || u8::try_from(c).is_ok_and(is_plain) => word.push(c),
            c => {
                write!(word, "\\{:03o}", u32::from(c)).ok();
            }
        }
    }
    word.push('\'');
    word
}

/// In single quotes, but for line breaks: what a command prints is taken apart at them.
fn fish(text: &str) -> String {
    let parts = text.split('\n').map(|part| format!("'{}'", part.replace('\\', r"\\").replace('\'', r"\'")));
    parts.collect::<Vec<_>>().join(r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_variables() {
        for (name, expected) in [
            ("PATH", true),
            ("_a9", true),
            ("9a", false),
            ("", false),
            ("A-B", false),
            ("A;ls", false),
            ("BASH_FUNC_x%%", false),
            ("Ä", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }

    #[test]
    fn words_are_quoted_as_each_shell_needs_it() {
        let cases = [
            ("/a/b:/c", "/a/b:/c", "/a/b:/c", "/a/b:/c"),
            ("", "''", "''", "''"),
            ("it's", r"'it'\''s'", r"'it'\''s'", r"'it\'s'"),
            ("a b", "'a b'", "'a b'", "'a b'"),
            ("$x`y`\"", "'$x`y`\"'", "'$x`y`\"'", "'$x`y`\"'"),
            ("hi!", "'hi!'", r"'hi\!'", "'hi!'"),
            ("a  b", "'a  b'", r"$'a\040\040b'", "'a  b'"),
            ("a\nb", "'a\nb'", r"$'a\012b'", r"'a'\n'b'"),
            (r"\", r"'\'", r"'\'", r"'\\'"),
            ("*é", "'*é'", r"$'\052é'", "'*é'"),
            ("'\t!", "''\\''\t!'", r"$''\'$'\011\041'", "'\\'\t!'"),
        ];
        for (text, sh, csh, fish) in cases {
            assert_eq!(Shell::Sh.quoted(text), sh, "{text:?}");
            assert_eq!(Shell::Csh.quoted(text), csh, "{text:?}");
            assert_eq!(Shell::Fish.quoted(text), fish, "{text:?}");
        }
    }

    #[test]
    fn names_that_are_none_are_left_out() {
        let changes = [("A;rm".to_owned(), Some("x".to_owned())), ("B".to_owned(), None)];
        assert_eq!(Shell::Sh.code(&changes), "unset B;\n");
        assert_eq!(Shell::Csh.code(&changes), "unsetenv B;\n");
        assert_eq!(Shell::Fish.code(&changes), "set -e B;\n");
    }
}
