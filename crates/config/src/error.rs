//! What can be wrong with configuration files.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why configuration was not read or changed. Lines and columns count from 1, columns in characters.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written; it is as it was.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The file is YAML, but means nothing as configuration.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where the value starts.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// There is a mirror of that name.
    #[error("a mirror named {name} already exists in {}", path.display())]
    MirrorExists {
        /// The name.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// There is no mirror of that name.
    #[error("no mirror named {name} in {}; {}", path.display(), listing(existing))]
    NoSuchMirror {
        /// The name.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// The names that are there, in order.
        existing: Vec<String>,
    },
    /// A mirror has no URL for what is asked of it.
    #[error("the mirror {mirror} has no URL to {direction}")]
    NoUrl {
        /// The mirror's name.
        mirror: String,
        /// What was to be done.
        direction: Direction,
    },
    /// An access pair names an environment variable that is not set.
    #[error(
        "the mirror {mirror} takes its {what} from the environment variable {variable}, which is not set (see {})",
        path.display()
    )]
    VariableNotSet {
        /// The mirror's name.
        mirror: String,
        /// Where it is configured.
        path: PathBuf,
        /// `user` or `password`.
        what: &'static str,
        /// The variable.
        variable: String,
    },
    /// Something of a new mirror is empty or has control characters in it.
    #[error("{value:?} cannot be the {what} of a mirror: it is empty or has control characters in it")]
    Unusable {
        /// `name`, `URL`, `user`, …
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// A new mirror's password is empty or has control characters in it. It is not quoted.
    #[error("the password of the mirror {mirror} is empty or has control characters in it")]
    UnusableSecret {
        /// The mirror's name.
        mirror: String,
    },
    /// The file is written in a way that an edit would change more than it should; it is as it was.
    #[error("cannot edit {} without changing more than asked for: edit it by hand", path.display())]
    CannotEdit {
        /// The file.
        path: PathBuf,
    },
}

/// What a mirror is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To read from it.
    Fetch,
    /// To write to it.
    Push,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Fetch => "fetch from",
            Direction::Push => "push to",
        })
    }
}

fn listing(names: &[String]) -> String {
    if names.is_empty() { "there are none".to_owned() } else { format!("there are: {}", names.join(", ")) }
}
